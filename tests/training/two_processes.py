"""One distillation step under ``torchrun``, or in one process on the whole batch: losses and gradients to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed
from mmengine.model import MMDistributedDataParallel

from detkds_gp.detectors import build_detector, check_pair, make_batch
from detkds_gp.experiment import load_config
from detkds_gp.experiment.prepare import load_data
from detkds_gp.fitness import SplitImages
from detkds_gp.language import load_primitive_set
from detkds_gp.losses import DistillationLoss
from detkds_gp.training import DistilledDetector, seed_all, start_processes


def main(config_path: str, out: str, *formulas: str) -> None:
    torch.set_num_threads(1)
    start_processes()
    spread = torch.distributed.is_initialized()
    rank, processes = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if spread else (0, 1)
    config = load_config(config_path)
    images = SplitImages(load_data(config.data)["train"], config.proxy.image_size, 0)
    share = 4 // processes
    batch = make_batch([images[index] for index in range(rank * share, (rank + 1) * share)])
    told = {formula: step(formula, config, images.split.classes, batch, spread) for formula in formulas}
    torch.save(told, Path(out) / f"{processes}-{rank}.pt")
    if spread:
        torch.distributed.destroy_process_group()


def step(formula, config, classes, batch, spread):  # type: ignore[no-untyped-def]
    """Return the distillation loss of this process's share, and its gradient as the optimizer would see it."""
    grammar = load_primitive_set("detkds_gp.primitives:OMNI")
    seed_all(0)
    student, teacher = (build_detector(side.spec(), classes) for side in (config.student, config.teacher))
    pair = check_pair(student, teacher, config.proxy.image_size)
    loss = DistillationLoss(formula, grammar)
    model = DistilledDetector(student, loss, pair, teacher, torch.Generator().manual_seed(0)).train()
    for module in student.modules():  # batch norm's own statistics would differ between a half and a whole batch
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    run = MMDistributedDataParallel(model, device_ids=None, find_unused_parameters=True) if spread else model
    seed_all(1)
    losses = run(**batch, mode="loss")
    terms = torch.stack([value.mean() for name, value in losses.items() if "distill" in name])
    terms.sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": terms.detach(), "gradients": gradients}


if __name__ == "__main__":
    main(*sys.argv[1:])
