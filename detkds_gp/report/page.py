"""The report as one HTML file: self-contained, no network, every text escaped."""

from __future__ import annotations

import gzip
import json
import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from detkds_gp.atomic import atomic_file
from detkds_gp.errors import StoreError
from detkds_gp.gain import Interval, signed
from detkds_gp.language import PrimitiveSet
from detkds_gp.report import figures, search_tables
from detkds_gp.report.features import GROUPS
from detkds_gp.report.genealogy import genealogy, given
from detkds_gp.report.guidance import Effect, guide
from detkds_gp.report.run import JudgedCandidate, Run
from detkds_gp.report.students import curve_figures, judged_students, told_metrics
from detkds_gp.report.trees import draw, draw_tree
from detkds_gp.report.verdict import verdict
from detkds_gp.store.events import STARTED

NO_PICTURES = (
    "No pictures are painted of this run: call gp_search run once more where its data are; "
    "gp_search train paints what its students find."
)
OPTIONS = "--cfg-options"
LISTED = 10
"""Candidates of the table of the best."""


def render_report(run: Run, primitive_set: PrimitiveSet, served: str = "") -> str:
    """Return the report of a run, finished or not.

    Args:
        run: as collected.
        primitive_set: that it searched.
        served: the version of the store that it is drawn from, by which the page asks the server it came from for
            a newer one; empty for a file.

    Raises:
        FormulaError: if the primitive set is not the one searched.
    """
    known = {candidate.text: candidate for candidate in run.candidates}
    guidance = guide(run, primitive_set.declarations)
    drawn_figures = {"progress": figures.progress(run), "pareto": figures.pareto(run)} if run.ranking else {}
    if guidance.model is not None:
        drawn_figures["predicted"] = figures.predicted(guidance.reached, [float(ap) for ap in guidance.model.predicted])
    students = judged_students(run)
    drawn_figures |= curve_figures(students)
    best = run.winner.candidate if run.winner else None
    bred = run.best_found if run.winner and run.winner.is_rival and run.best_found else run.winner
    data = _last_session(run).get("data", ())
    lineage = genealogy(bred.candidate, known, given(run, primitive_set)) if bred else None
    return render(
        "report.html.j2",
        drawn_figures,
        served=served,
        run=run,
        verdict=verdict(run),
        drawn=draw(best, primitive_set) if best else None,
        judged=_judged(run),
        students=students,
        metrics=told_metrics(students),
        watched=f"seed {run.seeds[0]} of the final round" if run.seeds else "",
        pictures=run.pictures,
        no_pictures=NO_PICTURES,
        niches=search_tables.niches(run),
        rungs=search_tables.rungs(run),
        losses=search_tables.losses(run),
        foresight=search_tables.foresight(run),
        best=run.ranking[:LISTED],
        guidance=guidance,
        effects=_by_group(effect for effect in guidance.effects if guidance.trusted and effect.is_clear),
        unclear=_by_group(effect for effect in guidance.effects if not (guidance.trusted and effect.is_clear)),
        genealogy=lineage,
        source=run.winner_name if bred is run.winner else "the best of the search",
        colours=figures.niche_numbers(run),
        ancestors=[draw_tree(a.candidate, primitive_set) for a in lineage.ancestors] if lineage else [],
        session=_last_session(run),
        data=data,
        doubts=[line for line in data if line.startswith("warning")],
        command=_command_parts(run),
        quoted_dir=shlex.quote(str(run.work_dir)),
        settings=json.dumps(run.fingerprint, indent=2, ensure_ascii=False),
    )


def write_page(html: str, path: str | Path) -> None:
    """Write a page whole or not at all.

    Raises:
        StoreError: the path cannot be written.
    """
    target = Path(path)
    try:
        with atomic_file(target) as draft:
            draft.write_text(html, encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}; give another file with -o") from error


def as_data(value: Any) -> Markup:
    """Return JSON that may stand in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(value, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def render(name: str, drawn_figures: Mapping[str, figures.Figure], **values: Any) -> str:
    """Return a page of a template.

    Args:
        name: of the template.
        drawn_figures: what its plots draw; without any it carries no script for them.
        values: that the template names.
    """
    plotly = _packed_plotly() if drawn_figures else ""
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return _environment().get_template(name).render(figures=drawn_figures, plotly=plotly, made=made, **values)


@cache
def _packed_plotly() -> str:
    """Return plotly.js, gzipped, as base64; browsers unpack it by themselves (DecompressionStream, since 2023)."""
    return b64encode(gzip.compress(get_plotlyjs().encode(), compresslevel=9, mtime=0)).decode("ascii")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("detkds_gp.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "data": as_data, "ap": _ap, "hours": _hours, "named": _named, "signed": signed, "reach": _reach,
    }  # fmt: skip
    return environment


def _ap(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _hours(value: float) -> str:
    if value >= 1:
        return f"{value:.1f} h"
    return f"{60 * value:.0f} min" if value >= 1 / 60 else f"{3600 * value:.0f} s"


def _reach(intervals: Iterable[Interval | None]) -> tuple[float, float]:
    """Return the ends of a scale that shows 0 and every interval."""
    known = [found for found in intervals if found is not None]
    return min([0.0, *(found.low for found in known)]), max([0.0, *(found.high for found in known)])


def _named(niche: str) -> str:
    return "all, mixed" if niche == figures.MIX else niche.replace("_", " ")


def _judged(run: Run) -> list[JudgedCandidate]:
    """Return the finalists, the best on selection first, who dropped out, and the other best of each knowledge."""
    finalists = [*run.by_selection, *run.dropped]
    known = {one.candidate.text for one in finalists}
    return [*finalists, *(one for one in run.champions.values() if one.candidate.text not in known)]


def _last_session(run: Run) -> Mapping[str, Any]:
    starts = [event.detail for event in run.events if event.kind == STARTED]
    return starts[-1] if starts else {}


def _command_parts(run: Run) -> tuple[str, str]:
    """Return the config that the last session was started with (CONFIG where none was given), and its options."""
    words = [str(word) for word in _last_session(run).get("command", ())]
    after = words[words.index("run") + 1 :] if "run" in words else []
    config = shlex.quote(after[0]) if after and not after[0].startswith("-") else "CONFIG"
    found: list[str] = []
    for place, word in enumerate(after):
        if word == OPTIONS:
            found += takewhile(lambda one: not one.startswith("--"), after[place + 1 :])
        elif word.startswith(f"{OPTIONS}="):
            found.append(word.partition("=")[2])
    return config, f" {shlex.join([OPTIONS, *found])}" if found else ""


def _by_group(effects: Iterable[Effect]) -> dict[str, list[Effect]]:
    best_first = sorted(effects, key=lambda e: -e.effect.mean)
    grouped = {group: [e for e in best_first if e.feature.group == group] for group in GROUPS}
    return {group: found for group, found in grouped.items() if found}
