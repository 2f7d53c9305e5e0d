"""What a run found, in words and on a line from the student alone to the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from detkds_gp.gain import Interval, complete_gain, signed
from detkds_gp.report.run import JudgedCandidate, Run
from detkds_gp.results import same_loss


@dataclass(frozen=True)
class Mark:
    """A place on the line of APs.

    Attributes:
        name: what stands there.
        ap: mean over seeds.
        seeds: single APs, by seed; empty where there is one only.
        at: percent from the left.
        seeds_at: the same for ``seeds``.
        sort: ``alone``, ``winner`` or ``teacher``.
    """

    name: str
    ap: float
    seeds: tuple[float, ...]
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
    if run.winner is None:
        return Verdict("open", "Nothing found yet", "No candidate has been scored so far.")
    gain = run.winner.gain
    if gain is None:
        return Verdict("open", "Not judged yet", _open_text(run), _marks(run))
    sort = "better" if gain.low > 0 else "worse" if gain.high < 0 else "unclear"
    ours, alone = _known(run.winner.test_aps), _known(run.references.alone_test)
    text = (
        f"Trained with it, the student reaches AP {fmean(ours):.3f} on test images that the search never saw; "
        f"alone it reaches {fmean(alone):.3f}. That is {signed(gain.mean)}, with a 95% interval of "
        f"{signed(gain.low)} to {signed(gain.high)} over {len(ours)} seeds kept for this comparison. {_MEANS[sort]}"
    )
    title = _TITLES[sort]
    if not run.winner.is_published and (rival := run.best_published) is not None:
        lead = complete_gain(run.winner.test_aps, rival.test_aps)
        text += _lead_text(lead, f"the published loss {rival.role}")
    if (same := _reweighed(run)) is not None:
        title = _REWEIGHED_TITLES[sort]
        text += f" The winner is the loss of {same.finalist.role}, at another weight."
    if run.winner.is_rival and not run.winner.is_published:
        first = "The best formulas of all knowledges, added up as they are, come first on the selection images."
        text = f"{first} {text}{_lead_text(_lead(run))}"
    elif run.winner.is_rival:
        lead = _lead(run)
        ahead = sort == "better" and lead is not None and lead.low > 0
        title = "A published loss does better than what the search found" if ahead else _RIVAL_TITLES[sort]
        text = f"The published loss {run.winner.role} comes first on the selection images. {text}{_lead_text(lead)}"
    return Verdict(sort, title, text, _marks(run), _gap(run, gain))


def _reweighed(run: Run) -> JudgedCandidate | None:
    """Return the published loss that what the search found is at another weight, the best on selection; else None."""
    if run.winner is None or run.winner.is_rival:
        return None
    found = [one for one in run.finalists if one.is_published and one.selection_mean is not None]
    same = [one for one in found if same_loss(one.candidate.text, run.winner.candidate.text)]
    return max(same, key=lambda one: one.selection_mean or 0.0, default=None)


def _lead(run: Run) -> Interval | None:
    """Return how much a rival that won does better than the best that the search found, on test images."""
    if run.winner is None or run.best_found is None:
        return None
    return complete_gain(run.winner.test_aps, run.best_found.test_aps)


def _lead_text(lead: Interval | None, over: str = "the best that the search found") -> str:
    if lead is None:
        return ""
    means = "it is better" if lead.low > 0 else "it is worse there" if lead.high < 0 else "the two cannot be told apart"
    return f" Over {over} it gains {lead} there: {means}."


def _open_text(run: Run) -> str:
    assert run.winner is not None
    best = (
        f"The best of {len(run.ranking)} scored candidates has AP {run.winner.candidate.ap:.3f} on the selection "
        "images, by which candidates are chosen"
    )
    if alone := run.references.alone_selection:
        best += f"; the student alone has {min(alone):.3f} to {max(alone):.3f}"
    why = {
        "running": "The run goes on; the comparison on test images comes last.",
        "stopped": "The run has stopped before the comparison on test images; the same command continues it.",
        "finished": "A training of the comparison failed, so there is no interval."
        if run.winner.failures or (run.seeds and None in run.references.alone_test)
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


def _marks(run: Run) -> tuple[Mark, ...]:
    assert run.winner is not None
    test = run.winner.gain is not None
    references = run.references
    found: list[tuple[str, str, tuple[float, ...]]] = [
        ("student alone", "alone", tuple(_known(references.alone_test)) if test else references.alone_selection),
        (
            f"with {run.winner_name}",
            "winner",
            tuple(_known(run.winner.test_aps)) if test else (run.winner.candidate.ap or 0.0,),
        ),
    ]
    teacher = references.teacher_test if test else references.teacher_selection
    found += [] if teacher is None else [("teacher", "teacher", (teacher,))]
    found = [mark for mark in found if mark[2]]
    numbers = [ap for _, _, aps in found for ap in aps]
    low, high = min(numbers), max(numbers)
    span = (high - low) or 1.0

    def at(ap: float) -> float:
        return round(100 * (ap - low) / span, 2)

    return tuple(
        Mark(name, fmean(aps), aps if len(aps) > 1 else (), at(fmean(aps)), tuple(map(at, aps)), sort)
        for name, sort, aps in found
    )


def _known(aps: tuple[float | None, ...]) -> list[float]:
    return [ap for ap in aps if ap is not None]
