"""The exported Python file: computes what the engine computes, reads well, and needs torch alone."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from detkds_gp.errors import UserError
from detkds_gp.export import Panel, export, export_panels
from detkds_gp.language import Constant, Input, Learned, Map, PrimitiveSet, distance, parse_distiller, transform
from detkds_gp.language.distiller import make_term
from detkds_gp.language.growth import grow
from detkds_gp.language.samples import sample_knowledge
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.primitives.inputs import global_

ROOT = Path(__file__).resolve().parents[2]
MIX = (
    "2 * 0.037 * l2(unit_channel(max_pool_2(global))) + 0.5 * 3 * binary_kl(units(class_logits, 2))"
    " + 1 * 0.2 * weighted_giou(boxes, box_score)"
)
LONG = "l2(weighted(weighted(global, teacher_spatial_attention(global, 0.5)), teacher_channel_attention(global, 0.5)))"
LEARNED = "2e-5 * add(l2_sum(masked_generation(global, 0.35)), l2_sum(global_context(spatial_attention(global, 0.5))))"
BLOCKED = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("detkds_gp", "deap", "mmdet", "mmengine"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Wall())
import runpy
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def module_of(text: str) -> Any:
    """Return a written file as a module."""
    module = ModuleType("exported")
    exec(compile(text, "exported.py", "exec"), module.__dict__)
    return module


def grown(count: int) -> list[str]:
    """Return formulas of random trees of every knowledge in both sets."""
    rng = random.Random(0)
    texts = []
    for primitive_set in (DETKDS, OMNI):
        for niche in primitive_set.niches:
            terms = [
                make_term(grow(primitive_set.niche(niche), rng, 5), primitive_set, scale=0.3) for _ in range(count)
            ]
            texts += [term.text for term in terms]
    return texts


FORMULAS = [MIX, LONG, *grown(3)]


def knowledge_for(text: str) -> dict[str, list[tuple[Tensor, Tensor]]]:
    torch.manual_seed(1)
    first, second = sample_knowledge(OMNI.inputs), sample_knowledge(OMNI.inputs)
    return {name: [*first[name], *second[name]] for name in first}


def compared(text: str, loss: Any, own: Any) -> None:
    """Compare values and the student's gradients on two levels of random numbers."""
    knowledge = knowledge_for(text)
    results = []
    for compute in (lambda: loss(knowledge).total, lambda: own(knowledge)):
        torch.manual_seed(7)  # of random masks
        total = compute()
        students = [pair[0] for name in loss.inputs for pair in knowledge[name]]
        results.append((total, torch.autograd.grad(total, students, allow_unused=True)))
    (wanted, gradients), (got, own_gradients) = results
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)
    for a, b in zip(own_gradients, gradients, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("text", FORMULAS)
def test_it_agrees_with_the_engine(text: str) -> None:
    distiller = parse_distiller(text, OMNI)
    module = module_of(str(export(distiller, OMNI, "python")))
    compared(text, DistillationLoss(distiller, OMNI), module.distillation_loss)


def test_learned_primitives_become_modules_with_the_same_result() -> None:
    distiller = parse_distiller(LEARNED, OMNI)
    module = module_of(str(export(distiller, OMNI, "python")))
    knowledge = knowledge_for(LEARNED)
    shapes = {name: [tuple(t.shape) for _, t in levels] for name, levels in knowledge.items()}
    engine, own = DistillationLoss(distiller, OMNI).build(shapes, seed=0), module.DistillationLoss((8, 8))
    assert sum(p.numel() for p in own.parameters()) == sum(p.numel() for p in engine.parameters())
    module.fill(engine)
    module.fill(own)
    compared(LEARNED, engine, own)


def test_every_primitive_that_grows_is_tried() -> None:
    used = {name for text in FORMULAS for name in OMNI.declarations if f"{name}(" in text}
    functions = {name for name, d in OMNI.declarations.items() if not isinstance(d, (Input, Constant, Learned))}
    assert len(used) > len(functions) / 2


def test_files_are_formatted_and_lint_clean(tmp_path: Path) -> None:
    for number, text in enumerate([LEARNED, *FORMULAS]):
        written = export_panels([Panel(parse_distiller(text, OMNI), OMNI, "run, rank 1, AP 0.2")], "python")
        (tmp_path / f"exported_{number}.py").write_text(str(written))
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    for command in (["format", "--diff"], ["check"]):
        ended = subprocess.run([*ruff, *command, *config, tmp_path], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("text", [MIX, LEARNED])
def test_run_where_detkds_gp_cannot_be_imported_it_tests_itself(text: str, tmp_path: Path) -> None:
    path = tmp_path / "distiller.py"
    path.write_text(str(export(parse_distiller(text, OMNI), OMNI, "python")))
    passed = subprocess.run([sys.executable, "-c", BLOCKED, path], capture_output=True, text=True, check=False)
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.startswith("self-test passed: global ")
    assert "example: a loss of " in passed.stdout
    path.write_text(path.read_text().replace(".square()", ".abs()").replace("mse_loss", "l1_loss"))
    failed = subprocess.run([sys.executable, "-c", BLOCKED, path], capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert "self-test failed: the term on global" in failed.stderr


def test_inputs_stand_in_it_with_their_shapes_and_places_in_both_libraries() -> None:
    head = str(export(parse_distiller(MIX, OMNI), OMNI, "python")).partition('\n"""')[0]
    assert "written by detkds_gp" in head
    for line in ("(N, C, H, W): the neck's output", "In mmdet: ``detector.extract_feat(images)``", "(N H W A, K)"):
        assert line in head
    sided = OMNI.inputs
    assert all("In mmdet" in (d.function.__doc__ or "") and "torchvision: " in d.function.__doc__ for d in sided)


@pytest.mark.parametrize("text", [MIX, LEARNED, "1 * 0.5 * kl(softmax_row(class_logits, 1))"])
def test_the_example_feeds_it_and_adapters_lead_unlike_channels_together(text: str) -> None:
    module = module_of(str(export(parse_distiller(text, OMNI), OMNI, "python")))
    assert module.example() > 0
    assert hasattr(module, "Adapters") == ("global" in text)


def test_adapters_lead_the_gradient_to_the_student_and_learn() -> None:
    module = module_of(str(export(parse_distiller("1 * 0.5 * l2(global)", OMNI), OMNI, "python")))
    adapters = module.Adapters([4, 8], [8, 8])
    maps = [torch.randn(2, 4, 6, 6, requires_grad=True), torch.randn(2, 8, 3, 3, requires_grad=True)]
    teacher = [torch.randn(2, 8, 6, 6), torch.randn(2, 8, 3, 3)]
    loss = module.distillation_loss({"global": list(zip(adapters(maps), teacher, strict=True))})
    own = [(adapters(maps)[level] - teacher[level]).square().mean() for level in range(2)]
    torch.testing.assert_close(loss, 0.5 * torch.stack(own).mean())
    loss.backward()
    assert all(x.grad is not None and x.grad.any() for x in (*maps, *adapters.parameters()))
    assert adapters(maps)[1] is maps[1]


def test_wrong_knowledge_is_told_by_input_level_and_shape() -> None:
    loss = module_of(str(export(parse_distiller(MIX, OMNI), OMNI, "python"))).distillation_loss
    knowledge = {name: knowledge_for(MIX)[name] for name in ("global", "class_logits", "boxes", "box_score")}
    with pytest.raises(ValueError, match="needs 'class_logits', got global"):
        loss({"global": knowledge["global"]})
    (student, teacher), rest = knowledge["global"][0], knowledge["global"][1:]
    with pytest.raises(
        ValueError, match=r"'global', level 0: student \(2, 4, 9, 11\), teacher \(2, 8, 9, 11\).*Adapters"
    ):
        loss({**knowledge, "global": [(student[:, :4], teacher), *rest]})
    with pytest.raises(ValueError, match="1 levels of 'box_score', 2 of 'boxes'"):
        loss({**knowledge, "box_score": knowledge["box_score"][:1]})


@pytest.mark.slow
def test_it_trains_a_detector_of_torchvision_as_the_docs_say(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "distiller.py").write_text(str(export(parse_distiller("2 * 0.5 * l2(global)", OMNI), OMNI, "python")))
    (tmp_path / "training.py").write_text(f"{snippet}\nassert student.backbone.body.conv1.weight.grad.any()\n")
    ended = subprocess.run([sys.executable, "training.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_it_says_formula_score_and_what_it_needs() -> None:
    text = str(export_panels([Panel(parse_distiller(MIX, OMNI), OMNI, "bccd, rank 1, AP 0.231")], "python"))
    head = text.partition('\n"""')[0]
    assert "2 * 0.037 * l2(unit_channel(max_pool_2(global)))" in head
    assert r"\mathcal{L} = 2 \cdot 0.037" in head
    assert "bccd, rank 1, AP 0.231" in head
    assert "global: Feature map of every pyramid level." in head
    assert "found by detkds_gp" in head
    assert "detkds_gp" not in text.partition('\n"""')[2].replace("what detkds_gp computed", "")


@transform(Map, Map, shape="n c h w -> n c h w", latex="f(#1)")
def counted(x: Tensor) -> Tensor:
    """Multiply by what a package other than torch says."""
    return x * len(pytest.__name__)


@distance(Map, latex="d(#1)")
def own_l2(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference, or none."""
    return (student - teacher).square().sum() / max(student.numel(), 1)


DOTTED = '''
import importlib
import importlib.util
import torch
import torch.nn.functional
import torch.nn.functional as tnf

from detkds_gp.language import Map, transform


@transform(Map, Map, shape="n c h w -> n c h w", latex="g(#1)")
def bent(x: torch.Tensor) -> torch.Tensor:
    """Bend twice, by names with dots."""
    return torch.nn.functional.relu(x) + tnf.silu(x) * bool(importlib.util.find_spec("torch"))
'''


def test_names_with_dots_stay_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dotted_primitives.py").write_text(DOTTED)
    monkeypatch.syspath_prepend(tmp_path)
    own = PrimitiveSet("OWN", [global_, import_module("dotted_primitives").bent, own_l2])
    distiller = parse_distiller("own_l2(bent(global))", own)
    text = str(export(distiller, own, "python"))
    for line in ("import importlib.util", "import torch.nn.functional", "import torch.nn.functional as tnf"):
        assert f"\n{line}\n" in text
    compared(distiller.text, DistillationLoss(distiller, own), module_of(text).distillation_loss)


def test_what_cannot_be_exported_is_told() -> None:
    own = PrimitiveSet("OWN", [global_, counted, own_l2])
    with pytest.raises(UserError, match="uses the module 'pytest'"):
        export(parse_distiller("own_l2(counted(global))", own), own, "python")
    assert "def own_l2" in str(export(parse_distiller("own_l2(global)", own), own, "python"))
    with pytest.raises(UserError, match="has no loss"):
        export(parse_distiller("none", OMNI), OMNI, "python")
    with pytest.raises(UserError, match="not measured"):
        export(parse_distiller("calibrated * l2(global)", OMNI), OMNI, "python")
    with pytest.raises(UserError, match="holds one"):
        export_panels([Panel(parse_distiller("l2(global)", OMNI), OMNI)] * 2, "python")


OWN_HEAD = """
import functools
import torch
from torch import Tensor

from detkds_gp.language import Map, transform
"""
PRIMITIVE = """

@transform(Map, Map, shape="n c h w -> n c h w", latex="g(#1)")
def bent(x: Tensor) -> Tensor:
    \"\"\"Bend.\"\"\"
    return x * helped(x)
"""


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        (
            "@torch.no_grad()\ndef helped(x: Tensor) -> Tensor:\n    return x",
            "'helped' is decorated by @torch.no_grad()",
        ),
        ("LOW, HIGH = 0.1, 0.9\n\ndef helped(x: Tensor) -> Tensor:\n    return x * LOW", "uses 'LOW', which the top"),
        ("try:\n    HIGH = 1.0\nfinally:\n    pass\n\ndef helped(x: Tensor) -> float:\n    return HIGH", "uses 'HIGH'"),
        (
            "@functools.cache\ndef kept() -> int:\n    return 2\n\ndef helped(x: 'Odd') -> int:\n    return kept()",
            "",
        ),
    ],
)
def test_what_a_text_would_lose_is_told(
    helper: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"losing_{abs(hash(helper))}"
    (tmp_path / f"{name}.py").write_text(f"{OWN_HEAD}\n\n{helper}\n{PRIMITIVE}")
    monkeypatch.syspath_prepend(tmp_path)
    own = PrimitiveSet("OWN", [global_, import_module(name).bent, own_l2])
    distiller = parse_distiller("own_l2(bent(global))", own)
    if said:
        with pytest.raises(UserError, match=re.escape(said)):
            export(distiller, own, "python")
    else:
        text = str(export(distiller, own, "python"))
        compared(distiller.text, DistillationLoss(distiller, own), module_of(text).distillation_loss)
