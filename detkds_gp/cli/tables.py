"""What `gp_search run` and `show` print of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detkds_gp.cli.output import number_table, say
from detkds_gp.gain import Interval, signed, verdict

if TYPE_CHECKING:
    from detkds_gp.results import Ranked


def print_result(console: Console, summary: Mapping[str, Any], work_dir: Path) -> None:
    """Print the final round, or how the search stands before it, and what may be said of the winner."""
    best, final = summary["best"], summary["final"]
    for line in summary["cut"]:
        console.print(f"cut: {line}", style="yellow", soft_wrap=True, markup=False, highlight=False)
    console.print(_search_table(summary) if final is None else _final_table(summary))
    if best is not None:
        say(console, f"{best['standing']}: {best['formula']}")
        console.print(verdict(Interval(**best["gain"]) if best["gain"] else None), highlight=False)
        if lead := _lead(summary):
            console.print(lead, soft_wrap=True, highlight=False, markup=False)
        for role in _reweighed(summary):
            console.print(f"the winner is the loss of {role}, at another weight", highlight=False, markup=False)
        if best["optimism"] is not None:
            gains = [signed(best[name]["mean"]) for name in ("selection_gain", "gain")]
            console.print(
                f"its gain on selection, where it was chosen: {gains[0]}; on test: {gains[1]}", highlight=False
            )
    if summary["noise"] is not None:
        console.print(f"scores of the search: {summary['noise']['words']}", soft_wrap=True, highlight=False)
    counts = ", ".join(f"{number} {name}" for name, number in summary["counts"].items())
    say(console, screening_line(summary["screening"]), f"{counts}; everything is in {work_dir}")


def _lead(summary: Mapping[str, Any]) -> str | None:
    """Say what the winner gains over the other side: the closest published loss, or the best of the search."""
    lead = (summary["final"] or {}).get("lead")
    if lead is None:
        return None
    gain = Interval(*(lead[name] for name in ("mean", "low", "high")))
    return f"over {_who(lead) if lead['weighed'] else 'the best of the search'}, on the same seeds of test: {gain}"


def _reweighed(summary: Mapping[str, Any]) -> list[str]:
    """Return the published losses of the final round that differ from the winner in weights alone."""
    from detkds_gp.results import same_loss

    best, final = summary["best"], summary["final"]
    if final is None or best["standing"] != "winner":
        return []
    rivals = {row["formula"]: row["role"] for row in final["finalists"] if row["weighed"]}
    if best["formula"] in rivals:
        return []
    return list(dict.fromkeys(role for formula, role in rivals.items() if same_loss(formula, best["formula"])))


def _search_table(summary: Mapping[str, Any]) -> Table:
    """Return the best of every knowledge on the selection split, which is all that a search knows."""
    rows = {"teacher": [summary["teacher"]["selection_ap"]], "student alone": summary["baseline"]["selection_ap"]}
    rows |= {f"best of {niche}": [found["selection_ap"]] for niche, found in summary["niches"].items()}
    if summary["best"] is not None:
        rows["leader"] = [summary["best"]["selection_ap"]]
    return number_table("AP (COCO, 0.50:0.95) so far", ("", "selection"), ((who, _ap(r)) for who, r in rows.items()))


def _final_table(summary: Mapping[str, Any]) -> Table:
    """Return everyone who was judged, the best on selection first."""
    final, teacher, best = summary["final"], summary["teacher"], summary["best"]
    title = f"AP (COCO, 0.50:0.95) in the final round: {final['iterations']} iterations, {len(final['seeds'])} seeds"
    table = number_table(title, ("", "selection", "test", "gain on test [95% interval]", "training"))
    table.add_row("teacher", _ap([teacher["selection_ap"]]), _ap([teacher["test_ap"]]))
    table.add_row("student alone", _ap(final["alone"]["selection_ap"]), _ap(final["alone"]["test_ap"]), "", "x 1")
    for row in sorted(final["finalists"], key=lambda row: -_mean(row["selection_ap"])):
        won = best is not None and best["standing"] == "winner" and row["formula"] == best["formula"]
        role = f"[bold]winner[/bold]: {_role(row)}" if won else _role(row)
        gain = _gain(row, len(final["seeds"]))
        table.add_row(role, _ap(row["selection_ap"]), _ap(row["test_ap"]), gain, _time(row))
    for row in final["dropped"]:
        told = f"dropped out after {len(row['seeds'])} seeds"
        if row["lead"] is not None:
            told += escape(f"; there the winner has {Interval(**row['lead'])}")
        table.add_row(_role(row), _ap(row["selection_ap"]), _ap(row["test_ap"]), told, _time(row))
    if final["race"]:
        table.caption = f"who wins was decided on {len(final['race'])} other seeds, which no gain counts"
    return table


def _role(row: Mapping[str, Any]) -> str:
    return escape(_who(row))


def _who(row: Mapping[str, Any]) -> str:
    return f"{row['role']} ({row['weighed']})" if row["weighed"] else str(row["role"])


def _gain(row: Mapping[str, Any], seeds: int) -> str:
    """Say the gain of a finalist, or which of its trainings failed: it then has none."""
    if row["failures"]:
        return f"none: {len(row['failures'])} of {seeds} trainings failed ({', '.join(dict.fromkeys(row['failures']))})"
    return "" if row["gain"] is None else escape(str(Interval(**row["gain"])))


def _time(row: Mapping[str, Any]) -> str:
    """Say how long its trainings took, in times the student alone's."""
    return "" if row["training_time"] is None else f"x {row['training_time']:.1f}"


def screening_line(told: Mapping[str, Any]) -> str:
    """Say in words what screening found."""
    rejected = ", ".join(f"{number} {name}" for name, number in told["rejected"].items()) or "none"
    return f"formulas screened: {told['screened']}; rejected: {rejected}; {told['same']} the same loss as another"


def _mean(aps: Sequence[float | None]) -> float:
    return fmean([ap for ap in aps if ap is not None] or [0.0])


def _ap(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3f}" if known else ""


def print_ranking(console: Console, ranking: Sequence[Ranked]) -> None:
    """List distillers, best first: AP, what the search expects of it (and its standard deviation), formula."""
    for number, ranked in enumerate(ranking, start=1):
        believed = f"  {ranked.expected.ap:.4f}±{ranked.expected.deviation:.4f}" if ranked.expected else ""
        say(console, f"{number:3d}  {ranked.score.ap:.4f}{believed}  {ranked.distiller.text}")
