"""The interactive figures, as the JSON that plotly.js draws; colours are names that the page resolves.

Texts are escaped here: plotly reads markup in them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from statistics import fmean
from typing import Any, TypeAlias

from detkds_gp.report.run import Candidate, Run

Figure: TypeAlias = dict[str, Any]

DOTS = 1500
"""Single candidates drawn at most; lines and fronts are always whole."""

WHOLE = 12
"""Operations up to which every number has a tick."""

COLOURS = 9
"""Colours of niches that the page has."""

MIX = "mix"


def progress(run: Run) -> Figure:
    """Draw the best AP so far of every niche against evaluations; ``hours`` holds the same against time."""
    found = thinned([c for c in run.answered if c.ap is not None], DOTS)
    dots = {"hours": _hours(found), "marker": {"size": 4, "color": "dot"}}
    traces = [_trace("single candidates", "markers", found, "number", "%{y:.4f}") | dots]
    numbers = niche_numbers(run)
    for niche, members in _by_niche(run).items():
        steps = _best_so_far(members)
        found = [candidate for candidate, _ in steps]
        line = {"shape": "hv", "width": 4 if niche == MIX else 2, "color": f"niche-{numbers[niche]}"}
        best = {"y": [ap for _, ap in steps], "hours": _hours(found), "line": line}
        traces.append(_trace(label(niche), "lines", found, "number", f"{label(niche)}: %{{y:.4f}}") | best)
    return {"data": traces, "layout": layout("evaluations", "best AP, selection") | _baseline(run)}


def pareto(run: Run) -> Figure:
    """Draw AP against the operations that a loss computes at every step, with the front."""
    found = thinned(run.ranking, DOTS)
    told = "%{y:.4f} with %{x} operations"
    dots = _trace("candidates", "markers", found, "operations", told) | {"marker": {"size": 6, "color": "dot"}}
    style = {"line": {"shape": "hv", "width": 2, "color": "accent"}, "marker": {"size": 9, "color": "accent"}}
    line = _trace("best for their cost", "lines+markers", pareto_front(run.ranking), "operations", told) | style
    axes = layout("operations of the loss at every step", "AP, selection")
    if found and max(c.operations for c in found) <= WHOLE:
        axes["xaxis"]["dtick"] = 1
    return {"data": [dots, line], "layout": axes | _baseline(run)}


def predicted(real: Sequence[float], told: Sequence[float]) -> Figure:
    """Draw what a model predicts of candidates that it has not seen against what they reached."""
    pairs = list(zip(told, real, strict=True))[:DOTS]
    ends = [min(real), max(real)]
    return {
        "data": [
            {"name": "held-out candidates", "mode": "markers", "x": [round(p, 5) for p, _ in pairs],
             "y": [r for _, r in pairs], "marker": {"size": 6, "color": "dot"},
             "hovertemplate": "predicted %{x:.4f}, reached %{y:.4f}<extra></extra>"},
            {"name": "as predicted", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip",
             "line": {"dash": "dot", "width": 1, "color": "muted"}},
        ],
        "layout": layout("AP predicted", "AP reached"),
    }  # fmt: skip


def pareto_front(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return those that none is better than at no higher cost, the cheapest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.operations, -(c.ap or 0.0))):
        if not front or (candidate.ap or 0.0) > (front[-1].ap or 0.0):
            front.append(candidate)
    return front


def thinned(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """Return at most so many, spread evenly, the first always."""
    step = max(1, -(-len(candidates) // most))
    return list(candidates[::step])


def niche_numbers(run: Run) -> dict[str, int]:
    """Return the number of every niche's colour, the mixes' last: the same in all pictures of a page."""
    return {niche: number % COLOURS for number, niche in enumerate(_by_niche(run))}


def layout(x: str, y: str) -> Figure:
    """Return a layout with the titles of both axes."""
    return {"xaxis": {"title": x}, "yaxis": {"title": y}}


def label(name: str) -> str:
    """Write a niche's name for people."""
    return escape("all knowledge, mixed" if name == MIX else name.replace("_", " "))


def short(text: str, letters: int = 110) -> str:
    """Return a text that a pointer's label has room for, escaped."""
    return escape(text if len(text) <= letters else text[: letters - 1] + "…")


def _by_niche(run: Run) -> dict[str, list[Candidate]]:
    niches: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in run.answered:
        niches[candidate.birth.niche].append(candidate)
    return dict(sorted(niches.items(), key=lambda pair: pair[0] == MIX))


def _trace(name: str, mode: str, found: Sequence[Candidate], x: str, told: str) -> Figure:
    return {
        "name": name, "mode": mode, "x": [getattr(c, x) for c in found], "y": [c.ap for c in found],
        "text": [short(c.text) for c in found], "hovertemplate": f"{told}<br>%{{text}}<extra></extra>",
    }  # fmt: skip


def _hours(found: Sequence[Candidate]) -> list[float]:
    return [round(candidate.hours, 4) for candidate in found]


def _best_so_far(members: Sequence[Candidate]) -> list[tuple[Candidate, float]]:
    """Return where the best changes, and the last member with it."""
    steps: list[tuple[Candidate, float]] = []
    for candidate in members:
        if candidate.ap is not None and not candidate.on_a_rung and (not steps or candidate.ap > steps[-1][1]):
            steps.append((candidate, candidate.ap))
    if steps and members[-1] is not steps[-1][0]:
        steps.append((members[-1], steps[-1][1]))
    return steps


def _baseline(run: Run) -> Figure:
    """Return a band that students alone span, over their seeds."""
    alone = run.references.alone_selection
    if not alone:
        return {}
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": min(alone), "y1": max(alone), "line": {"width": 0},
            "fillcolor": "band", "layer": "below"}  # fmt: skip
    name = {"xref": "paper", "x": 1, "xanchor": "right", "y": fmean(alone), "showarrow": False,
            "text": f"student alone, {len(alone)} seeds", "font": {"size": 12, "color": "muted"}}  # fmt: skip
    return {"shapes": [band], "annotations": [name]}
