"""The search with a belief: divide and conquer, in which a Gaussian process says what is worth a training."""

from __future__ import annotations

import random
from collections.abc import Mapping

from detkds_gp.search.belief import Belief
from detkds_gp.search.divide_and_conquer import DivideAndConquer
from detkds_gp.search.guide import Believing, Guide


class BeliefSearch(DivideAndConquer):
    """The stages and operators of `DivideAndConquer`, but luck does not survive, and not all that is bred is trained.

    A belief (`Belief`) learns from all scores. Several times as many formulas are made and screened as are trained;
    those are trained that may be best. Parents, champions and the hall of fame are those of the highest expected AP.
    """

    def _made_guide(self, rng: random.Random) -> Guide:
        self._believing = Believing(Belief(self.primitive_set, self._ledger.screening_cache.direction), rng)
        return self._believing

    @property
    def expected(self) -> Mapping[str, tuple[float, float]]:
        """By text, the AP that is expected of the best so far, and its standard deviation."""
        return self._believing.expected(list(self.hall_of_fame))
