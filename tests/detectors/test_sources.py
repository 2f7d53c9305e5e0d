"""Sources of knowledge: the shipped table, and one from outside in a worker process."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.config import load_config
from detkds_gp.detectors import check_pair, cut_outputs, output_names, outputs_of
from detkds_gp.detectors.sources import AbsentError, Reader, Side, Source, register_source, registry, share
from detkds_gp.errors import DeclarationError
from detkds_gp.execution import LocalExecutor, run_tasks
from detkds_gp.fitness import ProbeRequest, ProxyTask, ProxyTraining, ProxyWorker, ScaleRequest, ScreenRequest
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.score import Trial
from detkds_gp.setup.prepare import gather, prepare

ROOT = Path(__file__).resolve().parents[2]
OWN = "tests.detectors.own_source"
NOTHING = Source("nothing")
INPUTS = ("tower_maps", "tower_energy", "cross_tower")
MIX = "add(l2(tower_maps), add(l2(tower_energy), l2(cross_tower)))"


@pytest.fixture(scope="module")
def own() -> Iterator[None]:
    """Register the source of `OWN`, and take it away after the tests of this file."""
    before = dict(registry._registered)
    import_module(OWN)
    yield
    registry._registered.clear()
    registry._registered.update(before)
    del sys.modules[OWN]


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the shipped sources alone."""
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture(scope="module")
def task(own: None, tmp_path_factory: pytest.TempPathFactory) -> ProxyTask:
    """Two tiny RetinaNets and a primitive set that starts from a source of its own; the teacher trained for a step."""
    folder = tmp_path_factory.mktemp("own")
    options: dict[str, Any] = {
        "data.digits.root": str(folder / "digits"),
        "cache_dir": str(folder / "cache"),
        "primitive_set": f"{OWN}:OWN",
        "knowledge": ("tower",),
        "teacher.train.iterations": 1,
    }
    config = load_config(ROOT / "configs" / "tiny" / "retinanet.py", options)
    task = prepare(config, gather(config), folder, Listener())
    assert ProxyTraining(task).prepare_teacher().ok
    return task


@pytest.mark.slow
def test_a_source_from_outside_is_trained_with_in_a_worker_process(task: ProxyTask) -> None:
    requests = [
        *(ScreenRequest(f"l2({name})", 0) for name in INPUTS),
        ProbeRequest(0),
        ScaleRequest(MIX, 0),
        Trial(f"1 * 0.01 * {MIX}", 3, 0),
    ]
    with LocalExecutor(ProxyWorker(task), 1) as executor:
        answers = dict(run_tasks(executor, requests))
    *screened, _, scale, score = (answers[index] for index in range(len(requests)))
    assert [(one.failure, one.detail) for one in screened] == [(None, "")] * 3
    assert len({one.fingerprint for one in screened}) == 3
    assert scale.value > 0
    assert score.ok


def test_its_pairs_are_what_the_layer_gives(task: ProxyTask) -> None:
    proxy = ProxyTraining(task)
    model = proxy.model(parse_distiller("l2(tower_energy)", task.primitive_set), seed=0).train()
    ((batch, teacher),) = islice(proxy.batches(0, model), 1)
    assert teacher is not None
    assert list(teacher) == ["tower"]
    inputs = proxy.teacher.data_preprocessor(batch, False)["inputs"]
    for level, kept in zip(proxy.teacher.extract_feat(inputs), teacher["tower"], strict=True):
        for layer in proxy.teacher.bbox_head.cls_convs:
            level = layer(level)
        assert torch.allclose(kept, level, atol=1e-2)  # kept at half precision
    model.losses(batch, teacher)["loss_distill_tower"].mean().backward()
    assert model.student.bbox_head.cls_convs[-1].conv.weight.grad.any()
    assert model.student.bbox_head.retina_cls.weight.grad is None


def test_a_pair_brings_its_sources_to_another_process(
    task: ProxyTask, none: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set need not declare anything where its source is registered."""
    monkeypatch.setitem(registry._registered, "x", replace(NOTHING, module=OWN))
    pickled = pickle.dumps(replace(task.pair, shared={"global": task.pair.shared["global"]}))
    registry._registered.clear()
    assert "tower" not in output_names()
    monkeypatch.delitem(sys.modules, OWN)
    pickle.loads(pickled)
    assert "tower" in output_names()


def test_other_heads_say_that_they_do_not_have_it(own: None, built: Any) -> None:
    pair = check_pair(built("student"), built("fcos"), (128, 96))
    assert pair.refused["tower"] == "the teacher's FCOSHead has no classification tower"
    assert "class_logits" in pair.shared


def test_the_example_of_the_documents_is_shared(
    none: None, built: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "knowledge.md").read_text(encoding="utf-8")
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "register_source" in code]
    (tmp_path / "my_source.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("my_source")
    del sys.modules["my_source"]
    pair = check_pair(built("student"), built("teacher"), (128, 96), names=["tower_energy"])
    assert pair.shared["tower_energy"].student[:2] == ((16 * 12, 1), (8 * 6, 1))


def source(name: str, output: str, module: str = "json", **knowledge: Any) -> Source:
    reader = Reader((output,), lambda detector: [], lambda detector, calls: {output: []})
    return Source(name, (reader,), knowledge, module=module)


def test_a_name_belongs_to_one_source(none: None) -> None:
    register_source(source("queries", "queries"))
    renewed = register_source(source("queries", "decoded"))
    assert registry.sources()[-1] is renewed
    assert "queries" not in output_names()
    for other, message in [
        (source("neck", "own"), "the source 'neck' has the name 'neck' already"),
        (source("own", "class_map"), "the source 'dense head' has the output 'class_map' already"),
        (source("own", "own", module=""), "wanted module=__name__"),
        (source("queries", "own", module="sys"), "the source 'queries' has the name 'queries' already"),
    ]:
        with pytest.raises(DeclarationError, match=message):
            register_source(other)


def side(who: str, *outputs: str) -> Side:
    return Side(who, {name: [torch.zeros(1)] for name in outputs}, {}, {}, {}, None, None)


def test_of_several_sources_the_first_that_both_have_decides(none: None) -> None:
    for name in ("first", "second"):
        register_source(source(name, name, x=lambda student, teacher, name=name: name))
    assert share("x", side("the student", "first", "second"), side("the teacher", "second")) == "second"
    assert share("x", side("the student", "first", "second"), side("the teacher", "second", "first")) == "first"
    assert share("x", side("the student"), side("the teacher", "first")) == "first"
    with pytest.raises(AbsentError, match="the student has first, the teacher second"):
        share("x", side("the student", "first"), side("the teacher", "second"))


def test_the_regions_of_some_images_are_those_that_name_them() -> None:
    """A loop over rows is the oracle."""
    rois = torch.tensor([[0, 1], [2, 2], [1, 3], [2, 4], [0, 5]]).float()
    rois = torch.cat([rois, torch.zeros(5, 3)], dim=1)
    logits = torch.arange(10.0).reshape(5, 2)
    outputs = {"rois": [rois], "roi_logits": [logits], "roi_boxes": [logits[:, :, None].expand(-1, -1, 4)]}
    cut = cut_outputs(outputs, (2, 0, 2), 3)
    rows = [(place, row) for place, image in enumerate((2, 0, 2)) for row in range(5) if rois[row, 0] == image]
    assert cut["rois"][0][:, 0].tolist() == [place for place, _ in rows]
    assert torch.equal(cut["rois"][0][:, 1:], rois[[row for _, row in rows], 1:])
    assert torch.equal(cut["roi_logits"][0], logits[[row for _, row in rows]])


def test_every_output_is_read_once(built: Any) -> None:
    names = output_names()
    assert len(names) == len(set(names))
    assert set(outputs_of(built("mask_rcnn"), torch.zeros(1, 3, 128, 96))) <= set(names)
