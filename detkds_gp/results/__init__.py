"""The one reading of a run: its ranking, final round, state and clock, from which everything else is shown."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.results.cut import cuts
    from detkds_gp.results.finalist import MIX, Finalist, same_loss
    from detkds_gp.results.grammar import read_grammar, write_grammar
    from detkds_gp.results.leaderboard import Expected, champions, expected_aps, ranked
    from detkds_gp.results.state import Clock, State, screening_counts, state_of
    from detkds_gp.results.summary import Ranked, Summary, opened
    from detkds_gp.results.verdict import Judged, Verdict

__all__ = [
    "MIX", "Clock", "Expected", "Finalist", "Judged", "Ranked", "State", "Summary", "Verdict", "champions", "cuts",
    "expected_aps", "opened", "ranked", "read_grammar", "same_loss", "screening_counts", "state_of",
    "write_grammar",
]  # fmt: skip

import_lazily(__name__)
