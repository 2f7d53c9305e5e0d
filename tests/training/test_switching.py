"""What mmdet's hooks switch in the last epochs, in a training by iterations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mmdet.datasets import MultiImageMixDataset
from mmengine.config import Config
from mmengine.dataset import BaseDataset, InfiniteSampler, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader

from detkds_gp.training.hooks import SwitchAtIteration, switch_at_iterations


class Marked(BaseDataset):
    """Four samples, which a pipeline is to leave as they are."""

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"mark": index} for index in range(4)]

    def prepare_data(self, idx: int) -> Any:
        return self.pipeline(self.get_data_info(idx))


def runner_of(data_set: Any, workers: int) -> Any:
    loader = DataLoader(
        data_set,
        batch_size=1,
        sampler=InfiniteSampler(data_set),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=pseudo_collate,
    )
    loop = SimpleNamespace(dataloader=loader, dataloader_iterator=_InfiniteDataloaderIterator(loader))
    head = SimpleNamespace(use_l1=False)
    return SimpleNamespace(
        iter=0,
        epoch=0,
        max_epochs=1,
        train_dataloader=loader,
        train_loop=loop,
        logger=MMLogger.get_current_instance(),
        model=SimpleNamespace(detector=SimpleNamespace(bbox_head=head)),
    )


def step(runner: Any, hook: SwitchAtIteration) -> Any:
    batch = next(runner.train_loop.dataloader_iterator)
    hook.after_train_iter(runner, runner.iter, batch)
    runner.iter += 1
    return batch


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pipeline_is_another_one_from_its_iteration_on(workers: int) -> None:
    runner = runner_of(Marked(pipeline=[]), workers)
    hook = SwitchAtIteration({"type": "mmdet.PipelineSwitchHook", "switch_epoch": 280, "switch_pipeline": []}, 2)
    hook._hook.switch_pipeline = [lambda sample: {"mark": 10 + sample["mark"]}]
    hook.before_train(runner)
    marks = [step(runner, hook)["mark"][0] for _ in range(5)]
    assert [mark >= 10 for mark in marks] == [False, False, True, True, True]
    if not workers:  # which draw ahead
        assert sorted(mark % 10 for mark in marks[:4]) == [0, 1, 2, 3]


def test_a_training_that_goes_on_behind_its_iteration_begins_with_it() -> None:
    runner = runner_of(Marked(pipeline=[]), 0)
    runner.iter = 7
    hook = SwitchAtIteration({"type": "mmdet.PipelineSwitchHook", "switch_epoch": 280, "switch_pipeline": []}, 2)
    hook._hook.switch_pipeline = [lambda sample: {"mark": -1}]
    hook.before_train(runner)
    assert step(runner, hook)["mark"] == [-1]


def test_yolox_closes_its_mosaic_and_adds_a_loss() -> None:
    mixed = MultiImageMixDataset(Marked(pipeline=[]), pipeline=[])
    runner = runner_of(mixed, 0)
    hook = SwitchAtIteration({"type": "mmdet.YOLOXModeSwitchHook", "num_last_epochs": 15}, 1)
    step(runner, hook)
    assert runner.model.detector.bbox_head.use_l1
    assert mixed._skip_type_keys == ("Mosaic", "RandomAffine", "MixUp")


def test_an_epoch_becomes_its_share_of_the_iterations() -> None:
    hooks = [
        {"type": "YOLOXModeSwitchHook", "num_last_epochs": 15, "priority": 48},
        {"type": "mmdet.PipelineSwitchHook", "switch_epoch": 280, "switch_pipeline": []},
        {"type": "SyncNormHook"},
    ]
    config = Config({"custom_hooks": hooks})
    switch_at_iterations(config, 300, 1000)
    first, second, third = config.custom_hooks
    assert (first.type, first.iteration, first.priority) == ("SwitchAtIteration", 950, 48)
    assert (second.type, second.iteration) == ("SwitchAtIteration", 933)
    assert third == {"type": "SyncNormHook"}
    assert isinstance(HOOKS.build(dict(second)), SwitchAtIteration)
