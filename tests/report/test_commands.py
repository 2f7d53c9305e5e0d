"""The command that a report gives: it trains with what the run found, as the run was told to."""

from __future__ import annotations

import re
import shlex
from html import unescape
from pathlib import Path

import pytest
from typer.main import get_command

from detkds_gp.cli.app import app
from detkds_gp.language import Zoo
from detkds_gp.naming.named import named_distillers
from detkds_gp.primitives import DETKDS
from detkds_gp.report import collect, render_report
from detkds_gp.results import opened
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD, FINAL_PLANNED

from .test_collect import copied


def test_a_rival_that_wins_the_final_round_is_the_winner(made_run, tmp_path: Path) -> None:
    work_dir = tmp_path / "a run"
    made_run.make_run(work_dir, 20, judged=False)
    leader = collect(work_dir).ranking[0]
    rival = "2 * calibrated * l2(standardize_channel(global))"
    lines = {leader.text: ("leader", leader.resolved, 0.4), rival: ("PKD", rival.replace("calibrated", "0.5"), 0.45)}
    with Store.open(work_dir) as store:
        plan = store.events(FINAL_PLANNED)[0].detail
        finalists = [{"text": text, "role": role} for text, (role, _, _) in lines.items()]
        held = {name: plan[name] for name in ("seeds", "iterations", "reduced")}
        store.record_event(FINAL_HELD, finalists=finalists, **held)
        for text, (_, resolved, ap) in lines.items():
            for seed in plan["seeds"]:
                so_far = collect(work_dir).winner
                assert (so_far.candidate.text, so_far.gain) == (leader.text, None)
                trial = Trial(text, plan["iterations"], seed, test=True)
                store.record_score(trial, Score(ap, ap - 0.1 * (text == rival)), resolved)  # chosen on selection
    run = collect(work_dir)
    with opened(work_dir) as summary:
        told = summary.to_json()["best"]
    assert run.winner is not None
    assert run.winner.candidate.text == rival
    assert run.winner.candidate.resolved == told["formula"]
    assert list(run.winner.test_aps) == told["test_ap"]
    html = render_report(run, DETKDS)
    assert "won by <b>PKD</b>, a rival" in html
    assert named_distillers(trained_with(html), DETKDS, Zoo())[0].text == told["formula"]


def trained_with(html: str) -> str:
    """Return the distiller of the command that a report gives, as the command line understands it."""
    (line,) = re.findall("<pre>(gp_search train .*?)</pre>", html)
    _, name, *words = shlex.split(unescape(line))
    command = get_command(app)
    with command.commands[name].make_context(name, words) as context:
        assert context.params["config"] == "made.py"
        return context.params["distiller"]


@pytest.mark.parametrize(
    "given",
    [["--cfg-options", "a.b=1", "c=it's", "--workers", "2"], ["--cfg-options", "a.b=1", "--cfg-options=c=it's"]],
)
def test_the_command_has_the_options_of_the_run(given: list[str], small: Path, tmp_path: Path) -> None:
    copied(small, tmp_path)
    with Store.open(tmp_path) as store:
        started = next(event.detail for event in store.events("started"))
        store.record_event("started", **{**started, "command": ["gp_search", "run", "made.py", *given]})
    html = unescape(render_report(collect(tmp_path), DETKDS))
    (line,) = re.findall("<pre>(gp_search train .*?)</pre>", html)
    assert shlex.split(line)[-3:] == ["--cfg-options", "a.b=1", "c=it's"]


def test_a_run_that_has_not_finished_can_be_trained_with(made_run, tmp_path: Path) -> None:
    made_run.make_run(tmp_path, 20, judged=False)
    run = collect(tmp_path)
    assert run.winner is not None
    found = named_distillers(trained_with(render_report(run, DETKDS)), DETKDS, Zoo())
    assert found[0].text == run.winner.candidate.resolved
