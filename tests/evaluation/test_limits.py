"""The time limits of trainings, and what happens to those that a worker lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.evaluation import Allowance, EvaluationService, Packing, Question
from detkds_gp.execution import Fault, Work
from detkds_gp.execution.serial import SerialExecutor
from detkds_gp.fitness import PackRequest
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.primitives import DETKDS
from detkds_gp.score import NOT_BEGUN, Score, Trial
from detkds_gp.store import Store

TEXT = "1 * 1 * l2(global)"


def scored(task: Any) -> Any:
    trials = task.trials if isinstance(task, PackRequest) else [task]
    scores = [Score(0.5, wall_seconds=1.0) for _ in trials]
    return scores if isinstance(task, PackRequest) else scores[0]


class Losing(SerialExecutor):
    """Loses the first few tasks, as a pool loses those of a killed worker, and remembers how long each was let run."""

    def __init__(self, losses: int = 0) -> None:
        super().__init__(lambda: scored)
        self.losses, self.patience, self.ran = losses, list[float](), list[Any]()

    def begin(self, tasks: Sequence[Any], *, patience: float = 1.0, **options: Any) -> Work:
        self.patience.append(patience)
        work = super().begin(tasks, patience=patience, **options)
        answered = work.answered

        def lost(index: int, answer: Any) -> None:
            self.ran.append(tasks[index])
            self.losses -= 1
            answered(index, Fault("timeout", "over the limit", 9.0) if self.losses >= 0 else answer)

        work.answered = lost  # type: ignore[method-assign]
        return work


@contextmanager
def service(folder: Path, executor: Losing, pack: int = 1) -> Iterator[EvaluationService]:
    with Store.open(folder) as store:
        yield EvaluationService(store, lambda: executor, Listener(), 0, packing=Packing(pack, 1), steps=100)


def questions(count: int = 1, iterations: int = 100, *, test: bool = False) -> list[Question]:
    distiller = parse_distiller(TEXT, DETKDS)
    return [Question(Trial(TEXT, iterations, seed + 1, test=test), distiller, "global") for seed in range(count)]


@pytest.mark.parametrize(
    ("iterations", "test", "wanted"), [(100, False, 1), (50, False, 1), (200, False, 2), (200, True, 4), (100, True, 2)]
)
def test_what_trains_longer_has_a_longer_limit(iterations: int, test: bool, wanted: float, tmp_path: Path) -> None:
    executor = Losing(losses=1)
    with service(tmp_path, executor) as evaluations:
        (score,) = evaluations.scores("final round", questions(1, iterations, test=test))
    assert score.ok
    assert executor.patience == [wanted, wanted]  # the second time, too


def test_what_a_worker_lost_is_told_and_begun_once_more(tmp_path: Path) -> None:
    told: list[tuple[str, Any]] = []
    allowance = Allowance(
        begin=lambda trials: told.append(("begin", [one.seed for one in trials])) or True,
        heard=lambda trial, score: told.append(("heard", trial.seed)),
        lost=lambda trials: told.append(("lost", [one.seed for one in trials])),
    )
    with service(tmp_path, Losing(losses=1)) as evaluations:
        scores = evaluations.scores("divide 0", questions(2), allowance)
    assert all(score.ok for score in scores)
    assert told == [
        ("begin", [1]), ("lost", [1]), ("begin", [2]), ("heard", 2), ("begin", [1]), ("heard", 1),
    ]  # fmt: skip


def test_a_second_try_ends_with_the_budget(tmp_path: Path) -> None:
    executor = Losing(losses=1)
    with service(tmp_path, executor) as evaluations:
        asked = questions(2)
        scores = evaluations.scores("divide 0", asked, Allowance(over=lambda: len(executor.ran) >= 2))
    assert [score.failure for score in scores] == [NOT_BEGUN, None]
    with Store.open(tmp_path, readonly=True) as store:
        assert store.score(asked[0].trial) is None  # it may be trained with a larger budget


def test_what_is_tried_of_a_lost_pack_before_the_budget_ends_is_kept(tmp_path: Path) -> None:
    executor = Losing(losses=1)
    texts = [f"{weight} * 1 * l2(global)" for weight in (1, 2, 3)]
    asked = [Question(Trial(text, 100, 1), parse_distiller(text, DETKDS), "global") for text in texts]
    with service(tmp_path, executor, pack=3) as evaluations:
        scores = evaluations.scores("divide 0", asked, Allowance(over=lambda: len(executor.ran) >= 3))
    assert [score.failure for score in scores] == [None, None, NOT_BEGUN]
