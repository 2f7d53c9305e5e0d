"""What a run found, in words and on a line from the student alone to the teacher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from detkds_gp.gain import Interval, complete_gain, signed
from detkds_gp.report.run import JudgedCandidate, Run
from detkds_gp.results import same_loss


@dataclass(frozen=True)
class Mark:
    """A place on the line of APs: a mean over seeds, and in percent from the left where it and every seed stand.

    Its sort is ``alone``, ``winner`` or ``teacher``.
    """

    name: str
    ap: float
    at: float
    seeds_at: tuple[float, ...]
    sort: str


@dataclass(frozen=True)
class Verdict:
    """The answer of a run.

    Attributes:
        sort: ``better``, ``worse``, ``unclear`` or ``open``: what the interval allows to say.
        title: the answer in a few words.
        text: the answer with its numbers.
        marks: the line of APs; empty while something on it is missing.
        gap: share of the way from student alone to teacher, with the gain's interval; None where it says nothing.
    """

    sort: str
    title: str
    text: str
    marks: tuple[Mark, ...] = ()
    gap: Interval | None = None


_TITLES = {
    "better": "The search found a loss that helps",
    "worse": "The best loss of the search harms",
    "unclear": "No difference can be told yet",
}
_RIVAL_TITLES = {
    "better": "The best loss is a published one, and it helps",
    "worse": "The best loss is a published one, and it harms",
    "unclear": "A published loss wins, but no difference can be told yet",
}
_REWEIGHED_TITLES = {
    "better": "A published loss helps, at the weight that the search gave it",
    "worse": "The best of the search is a published loss at another weight, and it harms",
    "unclear": "A published loss at another weight leads, but no difference can be told yet",
}
_MEANS = {
    "better": "The interval lies above 0: the gain is not chance of the seeds.",
    "worse": "The interval lies below 0: train the student without it.",
    "unclear": "The interval holds 0: more seeds, more iterations or a longer search may tell.",
}


def verdict(run: Run) -> Verdict:
    """Say what a run found."""
    winner = run.winner
    if winner is None:
        return Verdict("open", "Nothing found yet", "No candidate has been scored so far.")
    if (gain := winner.gain) is None:
        return Verdict("open", "Not judged yet", _open_text(run, winner), _marks(run, winner))
    sort = "better" if gain.low > 0 else "worse" if gain.high < 0 else "unclear"
    title = _TITLES[sort]
    ours, alone = _known(winner.test_aps), _known(run.references.alone_test)
    text = (
        f"Trained with it, the student reaches AP {fmean(ours):.3f} on test images that the search never saw; "
        f"alone it reaches {fmean(alone):.3f}. That is {signed(gain.mean)}, with a 95% interval of "
        f"{signed(gain.low)} to {signed(gain.high)} over {len(ours)} seeds kept for this comparison. {_MEANS[sort]}"
    )
    if not winner.is_published and (rival := run.best_published) is not None:
        lead = complete_gain(winner.test_aps, rival.test_aps)
        text += _lead_text(lead, f"the published loss {rival.role}")
    if winner.is_rival:
        lead = complete_gain(winner.test_aps, run.best_found.test_aps) if run.best_found else None
        text += _lead_text(lead, "the best that the search found")
        first = "The best formulas of all knowledges, added up as they are, come first on the selection images."
        if winner.is_published:
            first = f"The published loss {winner.role} comes first on the selection images."
            ahead = sort == "better" and lead is not None and lead.low > 0
            title = "A published loss does better than what the search found" if ahead else _RIVAL_TITLES[sort]
        text = f"{first} {text}"
    elif same := [one for one in run.by_selection if _reweighed(one, winner)]:
        title = _REWEIGHED_TITLES[sort]
        text += f" The winner is the loss of {same[0].finalist.role}, at another weight."
    return Verdict(sort, title, text, _marks(run, winner), _gap(run, gain))


def _reweighed(one: JudgedCandidate, winner: JudgedCandidate) -> bool:
    """Whether one is a published loss that the winner is at another weight."""
    judged = one.is_published and one.selection_mean is not None
    return judged and same_loss(one.candidate.text, winner.candidate.text)


def _lead_text(lead: Interval | None, over: str) -> str:
    if lead is None:
        return ""
    means = "it is better" if lead.low > 0 else "it is worse there" if lead.high < 0 else "the two cannot be told apart"
    return f" Over {over} it gains {lead} there: {means}."


def _open_text(run: Run, winner: JudgedCandidate) -> str:
    best = (
        f"The best of {len(run.ranking)} scored candidates has AP {winner.candidate.ap:.3f} on the selection "
        "images, by which candidates are chosen"
    )
    if alone := run.references.alone_selection:
        best += f"; the student alone has {min(alone):.3f} to {max(alone):.3f}"
    why = {
        "running": "The run goes on; the comparison on test images comes last.",
        "stopped": "The run has stopped before the comparison on test images; the same command continues it.",
        "finished": "A training of the comparison failed, so there is no interval."
        if winner.failures or (run.seeds and None in run.references.alone_test)
        else "The budget ended before two seeds of the comparison on test images were complete.",
    }
    return f"{best}. {why[run.state]} Being picked as the best flatters an AP: it is no proof of a gain."


def _gap(run: Run, gain: Interval) -> Interval | None:
    """Divide a gain by the way from student to teacher; the teacher's AP counts as known."""
    alone = _known(run.references.alone_test)
    teacher = run.references.teacher_test
    if teacher is None or not alone or teacher <= fmean(alone):
        return None
    gap = teacher - fmean(alone)
    return Interval(gain.mean / gap, gain.low / gap, gain.high / gap)


def _marks(run: Run, winner: JudgedCandidate) -> tuple[Mark, ...]:
    test, references = winner.gain is not None, run.references
    alone = _known(references.alone_test if test else references.alone_selection)
    ours = _known(winner.test_aps) if test else [winner.candidate.ap or 0.0]
    teacher = _known([references.teacher_test if test else references.teacher_selection])
    sides = [("student alone", "alone", alone), (f"with {run.winner_name}", "winner", ours)]
    found = [mark for mark in (*sides, ("teacher", "teacher", teacher)) if mark[2]]
    numbers = [ap for _, _, aps in found for ap in aps]
    low, high = min(numbers), max(numbers)
    marks = []
    for name, sort, aps in found:
        at, *seeds_at = (round(100 * (ap - low) / ((high - low) or 1.0), 2) for ap in (fmean(aps), *aps))
        marks.append(Mark(name, fmean(aps), at, tuple(seeds_at), sort))
    return tuple(marks)


def _known(aps: Iterable[float | None]) -> list[float]:
    return [ap for ap in aps if ap is not None]
