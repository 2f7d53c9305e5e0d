"""What is said of a final round that a published loss wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from detkds_gp.cli.tables import print_result
from detkds_gp.gain import paired_gain
from detkds_gp.language import NONE
from detkds_gp.primitives import DETKDS
from detkds_gp.report import Run, collect, render_report
from detkds_gp.report.compare import transfer
from detkds_gp.report.verdict import verdict
from detkds_gp.results import opened
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store

ALONE = (0.20, 0.21, 0.19, 0.20)
PUBLISHED = "9 * calibrated * l2(global)"
Judge = Callable[..., Run]


@pytest.fixture
def judge(made_run: ModuleType, tmp_path: Path) -> Judge:
    """Hold a final round of the search's leader and a published loss that wins on selection; return the run."""

    def judged(found: Sequence[float], published: Sequence[float], rival: str = PUBLISHED, wins: bool = True) -> Run:
        made_run.make_run(tmp_path, 20, judged=False)
        leader = collect(tmp_path).ranking[0].text
        rival = rival or leader.replace(leader.split(" * ")[0], "77", 1)
        published_role = {"role": "PKD", "weighed": "paper's weight"}
        finalists = [{"text": leader, "role": "leader"}, {"text": rival, **published_role}]
        with Store.open(tmp_path) as store:
            store.record_event("final round", seeds=[7, 8, 9, 10], iterations=300, reduced="", finalists=finalists)
            for text, ap, aps in ((NONE, 0.1, ALONE), (leader, 0.3, found), (rival, 0.4 if wins else 0.2, published)):
                for seed, test_ap in zip((7, 8, 9, 10), aps, strict=True):
                    store.record_score(Trial(text, 300, seed, test=True), Score(ap, test_ap), text)
            store.record_event("finished")
        return collect(tmp_path)

    return judged


def test_a_rival_is_better_only_where_the_interval_says_so(judge: Judge) -> None:
    found, published = (0.25, 0.26, 0.24, 0.25), (0.30, 0.31, 0.29, 0.31)
    told = verdict(judge(found, published))
    assert told.title == "A published loss does better than what the search found"
    assert str(paired_gain(published, found)) in told.text
    assert "PKD" in told.text


def test_a_rival_that_is_not_told_apart_is_not_called_better(judge: Judge) -> None:
    told = verdict(judge((0.25, 0.28, 0.24, 0.25), (0.26, 0.26, 0.25, 0.25)))
    assert told.sort == "better"
    assert told.title == "The best loss is a published one, and it helps"
    assert "the two cannot be told apart" in told.text


def test_a_published_loss_at_another_weight_is_no_new_loss(judge: Judge, tmp_path: Path) -> None:
    gains = (0.25, 0.26, 0.24, 0.25), (0.22, 0.23, 0.21, 0.22)
    told = verdict(judge(*gains, rival="", wins=False))
    assert told.title == "A published loss helps, at the weight that the search gave it"
    assert told.text.endswith("The winner is the loss of PKD, at another weight.")
    assert "the winner is the loss of PKD, at another weight\n" in printed(tmp_path)


@pytest.mark.parametrize(("wins", "over"), [(False, "PKD (paper's weight)"), (True, "the best of the search")])
def test_the_winner_is_compared_with_the_other_side(judge: Judge, tmp_path: Path, wins: bool, over: str) -> None:
    found, published = (0.25, 0.26, 0.24, 0.26), (0.22, 0.23, 0.21, 0.22)
    judge(found, published, wins=wins)
    lead = paired_gain(published, found) if wins else paired_gain(found, published)
    assert f"over {over}, on the same seeds of test: {lead}\n" in printed(tmp_path)


def printed(work_dir: Path) -> str:
    out = StringIO()
    with opened(work_dir) as summary:
        print_result(Console(file=out, width=200), summary.to_json(), work_dir)
    return out.getvalue()


def test_a_loss_of_its_own_is_told_as_one(judge: Judge) -> None:
    told = verdict(judge((0.25, 0.26, 0.24, 0.25), (0.22, 0.23, 0.21, 0.22), wins=False))
    assert told.title == "The search found a loss that helps"
    assert "at another weight" not in told.text


@pytest.mark.parametrize(
    ("published", "sort", "title"),
    [
        ((0.10, 0.11, 0.09, 0.10), "worse", "The best loss is a published one, and it harms"),
        ((0.15, 0.28, 0.24, 0.15), "unclear", "A published loss wins, but no difference can be told yet"),
    ],
)
def test_a_rival_that_does_not_help_is_not_the_searchs(judge: Judge, published, sort: str, title: str) -> None:
    told = verdict(judge(ALONE, published))
    assert (told.sort, told.title) == (sort, title)


def test_every_finalist_was_scored_there(judge: Judge) -> None:
    published = (0.10, 0.11, 0.09, 0.10)
    run = judge((0.25, 0.26, 0.24, 0.25), published)
    for one in run.finalists:
        assert transfer(one.candidate.text, run).gain == one.gain
    assert transfer(PUBLISHED, run).gain == paired_gain(published, ALONE)
    assert not transfer(PUBLISHED, run).missing


def test_of_a_rival_that_wins_the_page_tells_apart_what_was_bred(judge: Judge) -> None:
    run = judge((0.25, 0.26, 0.24, 0.25), (0.30, 0.31, 0.29, 0.31))
    html = render_report(run, DETKDS)
    assert "Where the best of the search comes from" in html
    assert "300 iterations on each of 4 seeds" in html
    rows = html[html.index("Who was compared") : html.index('id="search"')].split("<tr>")[2:]
    assert ["PKD" in rows[0], "winner" in rows[0], "leader" in rows[1]] == [True, True, True]


@pytest.mark.parametrize(
    ("alone", "failures", "said"),
    [
        ((0.2,), (), "The budget ended before two seeds"),
        ((0.2, None), (), "A training of the comparison failed"),
        ((0.2, 0.2), ("nonfinite",), "A training of the comparison failed"),
    ],
)
def test_a_comparison_without_an_interval_says_why(judge: Judge, alone, failures, said: str) -> None:
    run = judge((0.25, 0.26, 0.24, 0.25), (0.1, 0.1, 0.1, 0.1))
    winner = replace(run.winner, gain=None, failures=failures)
    references = replace(run.references, alone_test=alone)
    told = verdict(replace(run, winner=winner, references=references, seeds=tuple(range(len(alone))), state="finished"))
    assert said in told.text
