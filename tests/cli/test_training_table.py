"""What `gp_search train` prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from detkds_gp.cli.train import print_training

ALONE = {"formula": "none", "distiller": "none", "metric": "bbox", "ap": 0.3, "teacher_ap": None}
UNDER_PKD = {"formula": "l2(global)", "distiller": "pkd", "metric": "bbox", "ap": 0.35, "teacher_ap": 0.4}
UNDER_CWD = {**UNDER_PKD, "formula": "l1(global)", "distiller": "cwd", "ap": 0.29}


def printed(told: dict[str, Any], *others: dict[str, Any]) -> str:
    console = Console(record=True, width=100)
    print_training(console, told, others, Path("x"))
    return console.export_text()


@pytest.mark.parametrize(("metric", "compared"), [("bbox", "box AP"), ("segm", "mask AP")])
def test_the_title_says_what_is_compared(metric: str, compared: str) -> None:
    assert f"{compared} on the test split" in printed({**UNDER_PKD, "metric": metric}, ALONE)


@pytest.mark.parametrize("last", [ALONE, UNDER_PKD, UNDER_CWD])
def test_whatever_ends_last_the_table_holds_all_best_first(last: dict[str, Any]) -> None:
    others = [one for one in (ALONE, UNDER_PKD, UNDER_CWD) if one is not last]
    lines = [line.split("│")[1:-1] for line in printed(last, *others).splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["teacher", "0.400", ""],
        ["student under pkd", "0.350", "50%"],
        ["student alone", "0.300", ""],
        ["student under cwd", "0.290", "-10%"],
    ]


def test_what_lacks_for_a_comparison_is_asked_for() -> None:
    assert "--distiller none" in printed(UNDER_PKD)
    assert "no gap to close" in printed(UNDER_PKD, {**ALONE, "ap": 0.45})
    assert "gap to close" not in printed(ALONE)


def test_a_comparison_of_single_trainings_says_that_it_is_one() -> None:
    assert "one training each: seeds may differ by as much" in printed(UNDER_PKD, ALONE)
    assert "one training each" not in printed(ALONE)
    assert "one training each" not in printed(UNDER_PKD, UNDER_CWD)
