"""Distillation steps under ``torchrun``, or in one process on the whole batch: what each process sees, to a file.

Under ``torchrun`` it goes on with how the processes part, and with what the first one prepares for all.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.detectors import build_detector, check_pair, make_batch
from detkds_gp.errors import ConfigError
from detkds_gp.fitness import SplitImages
from detkds_gp.language import load_primitive_set, load_zoo
from detkds_gp.losses import DistillationLoss
from detkds_gp.naming import named_distiller
from detkds_gp.setup.prepare import load_data
from detkds_gp.training import AverageLosses, DistilledDetector, first_does, processes, seed_all

OPTIMIZER = {"optimizer": {"type": "SGD", "lr": 0.1}}
IMAGES = 4


def main(out: str, *configs: str) -> None:
    """Take one step under every distiller of every config: ``[path, options, names]`` as JSON."""
    torch.set_num_threads(1)
    with processes():
        together = torch.distributed.is_initialized()
        rank, count = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if together else (0, 1)
        share = IMAGES // count
        told: dict[str, Any] = {}
        for path, options, names in map(json.loads, configs):
            config = load_config(path, options)
            images = SplitImages(load_data(config.data)["train"], config.proxy.image_size, 0)
            batch = make_batch([images[index] for index in range(rank * share, (rank + 1) * share)])
            for name, model in models(config, images.split.classes, names):
                told[f"{Path(path).stem} {name}"] = step(model, batch, together)
        if together:
            leave_a_cycle()
        within = threads_of_group()
    torch.save(told, Path(out) / f"{count}-{rank}.pt")
    if together:
        (Path(out) / f"{rank}.threads").write_text(f"{within} {threads_of_group()}")
        prepare_for_all(Path(out), rank, count)


def threads_of_group() -> int:
    """Return how many threads of this process belong to a group of processes."""
    names = (path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))
    return sum("gloo" in name for name in names)


def leave_a_cycle() -> None:
    """Leave a model that holds the group and itself, as a Runner does."""
    model = DistributedDataParallel(nn.Linear(2, 1))
    model(torch.ones(1, 2)).sum().backward()
    model.itself = model  # type: ignore[assignment]


def prepare_for_all(out: Path, rank: int, count: int) -> None:
    """Let the first process prepare for longer than the group's own timeout, then make mistakes; write what is seen."""
    once = f"file://{out / 'rendezvous'}"
    short = timedelta(seconds=8)
    torch.distributed.init_process_group("gloo", init_method=once, rank=rank, world_size=count, timeout=short)
    done = out / "done"

    def prepare() -> None:
        time.sleep(11)
        done.write_text(str(rank))

    first_does(prepare)
    told = [f"{rank} sees what {done.read_text()} did"]
    for error in (ConfigError("got 1, wanted 2"), ZeroDivisionError("x")):
        try:
            first_does(lambda error=error: fail(error))
        except Exception as raised:
            told.append(f"{type(raised).__name__}: {raised}")
    (out / f"{rank}.txt").write_text("\n".join(told))
    torch.distributed.destroy_process_group()


def fail(error: Exception) -> None:
    raise error


def models(config: ExperimentConfig, classes: tuple[str, ...], names: Sequence[str]):  # type: ignore[no-untyped-def]
    """Yield a fresh student with its teacher under every distiller, as every process of a training makes it."""
    grammar, zoo = load_primitive_set("detkds_gp.primitives:OMNI"), load_zoo(config.zoo)
    seed_all(0)
    student, teacher = (build_detector(side.spec(), classes) for side in (config.student, config.teacher))
    pair = check_pair(student, teacher, config.proxy.image_size)
    for name in names:
        loss = DistillationLoss(named_distiller(name, grammar, zoo), grammar)
        own, generator = copy.deepcopy(student), torch.Generator().manual_seed(0)
        model = DistilledDetector(own, loss, pair, teacher, generator).train()
        for module in own.modules():  # batch norm's own statistics would differ between a half and a whole batch
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        yield name, model


def step(model: DistilledDetector, batch: dict[str, Any], spread: bool) -> dict[str, Any]:
    """Return what this process says of its share, and what the optimizer makes of all shares."""
    made = {name: value.detach().clone() for name, value in model.named_parameters() if not is_detectors(name)}
    own, local = gradients(model, model, batch)
    run = MMDistributedDataParallel(model, device_ids=None, find_unused_parameters=True) if spread else model
    again, averaged = gradients(run, model, batch)
    assert torch.equal(own, again)
    seed_all(1)
    logged = run.train_step(batch, build_optim_wrapper(run, OPTIMIZER))
    AverageLosses().after_train_iter(None, 0, outputs=logged)  # type: ignore[arg-type]
    return {
        "loss": own,
        "logged": torch.stack([value for name, value in logged.items() if "distill" in name]),
        "local": local,
        "averaged": averaged,
        "made": made,
        "after": {name: value.detach() for name, value in model.named_parameters() if not name.startswith("teacher.")},
    }


def gradients(run: nn.Module, model: DistilledDetector, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the distiller's terms, and their gradient alone; the random draws of a formula are the same each time."""
    model.zero_grad()
    seed_all(1)
    losses = run(**batch, mode="loss")
    terms = torch.stack([value.mean() for name, value in losses.items() if "distill" in name])
    terms.sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return terms.detach(), found


def is_detectors(name: str) -> bool:
    """Tell whether a weight is the student's or the teacher's, neither an adapter's nor a learned primitive's."""
    return name.startswith(("student.", "teacher."))


if __name__ == "__main__":
    main(*sys.argv[1:])
