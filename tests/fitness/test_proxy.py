from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from detkds_gp.errors import DataError, FormulaError, StoreError
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.evaluation import shown
from detkds_gp.language import Map, PrimitiveSet, input, parse_distiller
from detkds_gp.primitives import DETKDS, distances
from detkds_gp.primitives.inputs import global_
from detkds_gp.score import Score, Trial

MIX = "1 * 0.5 * l2(shared_mask(global, 0.35)) + 2 * 1 * kl(softmax_row(class_logits, 2))"


@input(Map, niche="global", latex="A", source="attention")
def attention_maps() -> None:
    """Maps that no detector gives."""


def trial(text: str, iterations: int = 3, seed: int = 0, test: bool = False) -> Trial:
    return Trial(text, iterations, seed, test)


def untimed(score: Score) -> Score:
    return replace(score, wall_seconds=0.0)


@pytest.mark.parametrize("text", ["none", MIX])
def test_the_same_trial_twice_gives_the_same_score(text: str, task: ProxyTask) -> None:
    first, fresh = ProxyTraining(task), ProxyTraining(pickle.loads(pickle.dumps(task)))
    score = first(trial(text, test=True))
    assert score.ok
    assert score.test_ap is not None
    assert score.wall_seconds > 0
    first(trial("1 * 1 * l1(global)", seed=1))  # what is trained in between must not matter
    assert untimed(first(trial(text, test=True))) == untimed(score)
    assert untimed(fresh(trial(text, test=True))) == untimed(score)


def test_all_candidates_of_a_seed_start_alike(proxy: ProxyTraining) -> None:
    def student(text: str, seed: int) -> Tensor:
        model = proxy.model(parse_distiller(text, proxy.task.primitive_set), seed).student
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(student("none", 0), student(MIX, 0))
    assert not torch.equal(student("none", 0), student("none", 1))


def test_all_candidates_of_a_seed_see_the_same_batches(proxy: ProxyTraining) -> None:
    def seen(text: str, seed: int) -> list[Any]:
        model = proxy.model(parse_distiller(text, proxy.task.primitive_set), seed)
        batches = islice(proxy.batches(seed, model), 5)
        return [[sample.img_id for sample in batch["data_samples"]] for batch, _ in batches]

    assert seen(MIX, 0) == seen("none", 0) != seen("none", 1)


def test_a_student_without_the_test_split_has_no_ap_there(proxy: ProxyTraining) -> None:
    assert proxy(trial("none", 1)).test_ap is None


def test_knowledge_that_is_missing_is_a_failure_of_shape(task: ProxyTask) -> None:
    own = PrimitiveSet("OWN", [global_, attention_maps, distances.l2])
    score = ProxyTraining(replace(task, primitive_set=own))(trial("1 * 1 * l2(attention_maps)"))
    assert (score.failure, score.ap) == ("shape", None)
    assert "attention_maps" in score.detail


def test_a_loss_that_is_no_number_is_a_failure(proxy: ProxyTraining) -> None:
    score = proxy(trial("1 * 1e39 * l2(global)"))
    assert (score.failure, score.ap) == ("nonfinite", None)
    assert "iteration 0" in score.detail


def test_a_student_that_explodes_is_a_failure(task: ProxyTask) -> None:
    wild = {"optimizer": {"type": "AdamW", "lr": 1e6}, "clip_norm": 0, "warmup": 0}
    settings = task.settings.model_copy(update=wild)
    score = ProxyTraining(replace(task, settings=settings))(trial("none"))
    assert score.failure in ("diverged", "nonfinite")
    assert score.detail.endswith("iteration 1")


def test_formulas_that_cannot_be_trained_are_the_callers_fault(proxy: ProxyTraining) -> None:
    with pytest.raises(FormulaError, match="not measured"):
        proxy(trial("1 * calibrated * l2(global)"))
    with pytest.raises(FormulaError):
        proxy(trial("l2(globe)"))


def test_broken_files_are_named(elsewhere: ProxyTask, tmp_path: Path) -> None:
    elsewhere.teacher_outputs.write_bytes(b"no tensors")
    with pytest.raises(StoreError, match="kept teacher outputs"):
        ProxyTraining(elsewhere)(trial(MIX))
    split = elsewhere.splits["train"]
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    images = tuple(replace(record, path=empty) for record in split.images)
    splits = {**elsewhere.splits, "train": replace(split, images=images)}
    with pytest.raises(DataError, match=r"empty\.jpg"):
        ProxyTraining(replace(elsewhere, splits=splits))(trial("none"))


def test_the_memory_for_images_is_shared_by_the_splits(task: ProxyTask) -> None:
    settings = task.settings.model_copy(update={"memory_limit_mb": 1})
    many = replace(task.splits["train"], images=task.splits["train"].images * 7)  # 84 images of 12 kB
    proxy = ProxyTraining(replace(task, settings=settings, splits={**task.splits, "train": many}))
    held = 0
    for images in proxy.images.values():
        first, again = list(images), list(images)
        held += sum(a.array.nbytes for a, b in zip(first, again, strict=True) if a.array is b.array)
    assert 0 < held <= 2**20


def test_the_shipped_set_survives_the_way_to_a_worker(task: ProxyTask) -> None:
    there = pickle.loads(pickle.dumps(task))
    assert there.primitive_set.fingerprint() == task.primitive_set.fingerprint()
    assert set(there.primitive_set.declarations) <= set(DETKDS.declarations)


def test_a_watched_training_tells_more_and_scores_the_same(task: ProxyTask) -> None:
    trial = Trial("1 * 0.5 * l2(global)", 4, 3, test=True)
    (plain,), (seen,) = (ProxyTraining(replace(task, watched=seed)).together([trial]) for seed in (None, 3))
    assert seen == replace(plain, wall_seconds=seen.wall_seconds)
    assert (plain.details.curve, plain.details.found) == ((), ())
    assert [steps for steps, _ in seen.details.curve] == [1, 2, 3, 4]
    assert seen.details.curve[-1] == (4, seen.ap)
    assert [steps for steps, *_ in seen.details.losses] == [1, 2, 3, 4]
    assert seen.details.losses == plain.details.losses
    assert all(own > 0 and distilled > 0 for _, own, distilled in seen.details.losses)
    split = task.splits["test"]
    kept = zip(shown(split), seen.details.found, strict=True)
    assert all(len(boxes) <= len(split.images[place].boxes) for place, boxes in kept)
    assert set(seen.details.classes) == set(split.classes)
