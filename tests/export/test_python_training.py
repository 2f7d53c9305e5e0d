"""The exported Python file on what 20 training steps really gave its loss, where detkds_gp cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.config import load_config
from detkds_gp.export import export
from detkds_gp.fitness import ProxyTraining
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.setup.prepare import gather, prepare

STEPS = 20
TEXT = (
    "2 * 0.037 * l2(unit_channel(max_pool_2(global))) + 0.3 * add(l2_sum(foreground), l2_sum(background))"
    " + 1 * 0.2 * pearson(instance) + 0.5 * 3 * binary_kl(units(class_logits, 2))"
    " + 1 * 0.2 * weighted_giou(boxes, box_score)"
)
OUTSIDE = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("detkds_gp", "deap", "mmdet", "mmcv", "mmengine", "torchvision"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Wall())
import runpy
import torch

file, recorded, out = sys.argv[1:]
exported = runpy.run_path(file)
steps = torch.load(recorded, weights_only=True)
torch.save([exported["distillation_terms"](knowledge) for knowledge in steps], out)
"""


@pytest.mark.slow
def test_it_gives_the_losses_of_twenty_training_steps(tiny_config: Path, tmp_path: Path) -> None:
    options = {"primitive_set": "detkds_gp.primitives:OMNI", "knowledge": None}
    config = load_config(tiny_config, options)
    proxy = ProxyTraining(prepare(config, gather(config), tmp_path, Listener()))
    proxy.prepare_teacher()
    distiller = parse_distiller(TEXT, proxy.task.primitive_set)
    model = proxy.model(distiller, seed=0).train()
    recorded, inside = _trained(model, proxy.batches(0, model))
    torch.save(recorded, tmp_path / "recorded.pt")
    (tmp_path / "distiller.py").write_text(str(export(distiller, proxy.task.primitive_set, "python")))
    files = [tmp_path / name for name in ("distiller.py", "recorded.pt", "out.pt")]
    ended = subprocess.run([sys.executable, "-c", OUTSIDE, *files], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    outside = torch.load(tmp_path / "out.pt", weights_only=True)
    assert len(outside) == len(inside) == STEPS
    for got, wanted in zip(outside, inside, strict=True):
        assert got.keys() == wanted.keys() == {t.knowledge for t in distiller.terms}
        for name, levels in wanted.items():
            torch.testing.assert_close(got[name], levels.mean(), rtol=1e-5, atol=1e-7)
            assert levels.mean() > 0


def _trained(model: Any, batches: Any) -> tuple[list[Any], list[Any]]:
    """Train, and return what the loss was given and what it said, step by step."""
    recorded: list[Any] = []
    inside: list[Any] = []

    def hear(module: Any, arguments: Any, terms: Any) -> None:
        (knowledge,) = arguments
        recorded.append({name: [(s.detach(), t.detach()) for s, t in levels] for name, levels in knowledge.items()})
        inside.append({name: levels.detach() for name, levels in terms.levels.items()})

    handle = model.distillation.register_forward_hook(hear)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(STEPS):
        batch, said = next(batches)
        total, _ = model.parse_losses(model.losses(batch, said))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    handle.remove()
    return recorded, inside
