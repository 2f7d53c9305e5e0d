"""What `gp_search train` prints at its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from detkds_gp.cli.training_table import print_training


@pytest.mark.parametrize(("metric", "compared"), [("bbox", "box AP"), ("segm", "mask AP")])
def test_the_title_says_what_is_compared(metric: str, compared: str) -> None:
    console = Console(record=True, width=100)
    told = {"formula": "l2(global)", "metric": metric, "ap": 0.35, "teacher_ap": 0.4}
    print_training(console, told, {"ap": 0.3}, Path("x"))
    text = console.export_text()
    assert f"{compared} on the test split" in text
    assert "gap closed: 50%" in text
