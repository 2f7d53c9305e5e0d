from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from mmdet.apis import init_detector
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner

from detkds_gp.detectors import (
    build_detector,
    checkpoint_classes,
    detector_config,
    load_weights,
    make_batch,
    predict,
    rewrite_weights,
    save_weights,
)
from detkds_gp.errors import DetectorError

CLASSES = ("red", "white", "plate")


def _same(ours, theirs) -> bool:
    a, b = ours.state_dict(), theirs.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_saved_student_comes_back(student, spec, tmp_path: Path):
    path = tmp_path / "new" / "student.pth"
    save_weights(student.state_dict(), path, CLASSES)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = build_detector(replace(spec("student"), checkpoint=str(path)), CLASSES)
    assert _same(again, student)
    again.init_weights()
    assert _same(again, student)
    assert [file.name for file in path.parent.iterdir()] == ["student.pth"]
    assert not torch.equal(before, torch.get_rng_state())


def test_equal_weights_give_equal_files(student, tmp_path: Path):
    for name in ("a.pth", "b.pth"):
        save_weights(student.state_dict(), tmp_path / name, CLASSES)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_a_saved_student_needs_nothing_but_torch(student, tmp_path: Path):
    save_weights(student.state_dict(), tmp_path / "student.pth", CLASSES)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(tmp_path / "student.pth") == []


def test_plain_mmdet_loads_a_saved_student_and_predicts_the_same(student, spec, items, tmp_path: Path):
    save_weights(student.state_dict(), tmp_path / "student.pth", CLASSES)
    overrides = {"model.test_cfg.score_thr": 0.0}
    full = replace(spec("student"), overrides={**spec("student").overrides, **overrides})
    detector_config(full, CLASSES).dump(tmp_path / "student.py")
    plain = init_detector(str(tmp_path / "student.py"), str(tmp_path / "student.pth"), device="cpu")
    assert _same(plain, student)
    assert tuple(plain.dataset_meta["classes"]) == CLASSES
    ours = build_detector(replace(full, checkpoint=str(tmp_path / "student.pth")), CLASSES)
    batch = make_batch(items)
    for a, b in zip(predict(ours, batch), predict(plain, batch), strict=True):
        assert len(a.boxes) > 0
        assert all((getattr(a, part) == getattr(b, part)).all() for part in ("boxes", "scores", "labels"))


@pytest.fixture(scope="module")
def training_checkpoint(student, items, tmp_path_factory) -> Path:
    """What mmengine's own runner leaves after two iterations."""
    folder = tmp_path_factory.mktemp("runner")
    samples = make_batch(items)
    data = [{key: samples[key][i] for key in samples} for i in range(2)]
    loader = torch.utils.data.DataLoader(data, batch_size=1, collate_fn=pseudo_collate)
    runner = Runner(
        model=copy.deepcopy(student),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 1e-3, "momentum": 0.9}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
        log_level="ERROR",
        experiment_name="detkds_gp_test",
    )
    runner.train()
    return folder / "epoch_1.pth"


def test_a_training_checkpoint_of_mmengine_loads_with_weights_only(training_checkpoint: Path, spec, student):
    held = torch.serialization.get_unsafe_globals_in_checkpoint(training_checkpoint)
    assert any("HistoryBuffer" in name for name in held)  # else this checks nothing
    loaded = build_detector(replace(spec("student"), checkpoint=str(training_checkpoint)), CLASSES)
    state = torch.load(training_checkpoint, weights_only=False)["state_dict"]
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())
    assert not _same(loaded, student)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_bare_state_dict_loads(student, spec, tmp_path: Path, prefix: str):
    path = tmp_path / "bare.pth"
    torch.save({prefix + key: value for key, value in student.state_dict().items()}, path)
    loaded = build_detector(replace(spec("student"), checkpoint=str(path)), CLASSES)
    assert _same(loaded, student)


def _load(student, path: Path, content: object, classes=CLASSES) -> None:
    torch.save(content, path)
    load_weights(copy.deepcopy(student), path, classes)


def test_keys_and_shapes_that_do_not_fit_are_listed(student, teacher, tmp_path: Path):
    path = tmp_path / "a.pth"
    state = student.state_dict()
    first = next(iter(state))
    fewer = {key: value for key, value in state.items() if key != first}
    with pytest.raises(DetectorError, match=f"no weights for {first}; give the config"):
        _load(student, path, {"state_dict": fewer})
    with pytest.raises(DetectorError, match="unexpected ghost"):
        _load(student, path, {"state_dict": {**state, "ghost": torch.ones(1)}})
    with pytest.raises(DetectorError, match=r"size mismatch for backbone\.conv1.* more"):
        _load(student, path, teacher.state_dict())


@pytest.mark.parametrize("meta", [{"dataset_meta": {"CLASSES": ("cat", "dog")}}, {"CLASSES": "cat"}])
def test_other_classes_are_refused(student, tmp_path: Path, meta):
    content = {"state_dict": student.state_dict(), "meta": meta}
    with pytest.raises(DetectorError, match=r"\[cat.*wanted \[red, white, plate\] in this order"):
        _load(student, tmp_path / "a.pth", content)


def test_the_order_of_the_classes_matters(student, tmp_path: Path):
    save_weights(student.state_dict(), tmp_path / "a.pth", CLASSES)
    with pytest.raises(DetectorError, match="in this order"):
        load_weights(copy.deepcopy(student), tmp_path / "a.pth", CLASSES[::-1])


class _Trap:
    """Writes a file when it is unpickled by a careless reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_cannot_run_code(student, tmp_path: Path):
    content = {"state_dict": student.state_dict(), "extra": _Trap(tmp_path / "sprung")}
    with pytest.raises(DetectorError, match=r"holds more than weights.*gp_search weights .*a.pth --trust"):
        _load(student, tmp_path / "a.pth", content)
    assert not (tmp_path / "sprung").exists()


def test_what_a_trusted_author_packed_with_the_weights_can_be_left_behind(student, tmp_path: Path):
    old, new = tmp_path / "old.pth", tmp_path / "new.pth"
    extra = {"extra": _Trap(tmp_path / "sprung"), "meta": {"CLASSES": CLASSES}}
    torch.save({"state_dict": student.state_dict(), **extra}, old)
    with pytest.raises(DetectorError, match="wanted weights alone"):
        rewrite_weights(old, new)
    assert not new.exists()
    assert not (tmp_path / "sprung").exists()
    rewrite_weights(old, new, trusted=True)
    assert (tmp_path / "sprung").exists()
    assert torch.serialization.get_unsafe_globals_in_checkpoint(new) == []
    assert checkpoint_classes(new) == CLASSES
    other = copy.deepcopy(student)
    torch.nn.init.zeros_(next(other.parameters()))
    load_weights(other, new, CLASSES)
    assert _same(other, student)
    with pytest.raises(DetectorError, match="nothing is overwritten"):
        rewrite_weights(old, new, trusted=True)


@pytest.fixture
def served(tmp_path: Path, monkeypatch):
    """The address of tmp_path on a web server of this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("sprung", [True, False])
def test_a_downloaded_backbone_cannot_run_code(student, spec, tmp_path: Path, served: str, sprung: bool):
    backbone = student.backbone.state_dict()
    torch.save({"state_dict": backbone} | ({"extra": _Trap(tmp_path / "sprung")} if sprung else {}), tmp_path / "b.pth")
    pretrained = {"type": "Pretrained", "checkpoint": f"{served}/b.pth"}
    own = replace(spec("student"), overrides={**spec("student").overrides, "model.backbone.init_cfg": pretrained})
    if sprung:
        with pytest.raises(DetectorError, match="cannot initialise .* UnpicklingError"):
            build_detector(own, CLASSES)
        assert not (tmp_path / "sprung").exists()
    else:
        built = build_detector(own, CLASSES).backbone.state_dict()
        assert all(torch.equal(built[key], value) for key, value in backbone.items())


def test_files_without_weights_are_named(student, tmp_path: Path):
    with pytest.raises(DetectorError, match="no such file"):
        load_weights(student, tmp_path / "absent.pth", CLASSES)
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(DetectorError, match="cannot be read"):
        load_weights(student, tmp_path / "text.pth", CLASSES)
    for content in ({"state_dict": {}}, {"model": {"a": 1}}, [1, 2]):
        with pytest.raises(DetectorError, match="holds no weights"):
            _load(student, tmp_path / "a.pth", content)


def _flat_averages(state: dict) -> dict:
    return {f"ema_{key.replace('.', '_')}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "renamed",
    [
        lambda state: {f"ema_{key}": value for key, value in state.items()},
        lambda state: {f"architecture.{key}": value for key, value in state.items()},
        lambda state: {f"model.{key}": value for key, value in state.items()},
        lambda state: {f"module.model.{key}": value for key, value in state.items()},
        lambda state: {f"some.tool.{key}": value for key, value in state.items()},
        lambda state: {**state, **{key: torch.zeros_like(value) for key, value in _flat_averages(state).items()}},
        _flat_averages,
        lambda state: {
            **{f"architecture.{key}": value for key, value in state.items()},
            **{f"teacher.backbone.{n}": torch.zeros(3) for n in range(3)},
            "distiller.connectors.0.weight": torch.zeros(3),
        },
    ],
    ids=["ema_", "architecture.", "model.", "module.model.", "any", "averages beside", "averages alone", "mmrazor"],
)
def test_what_older_tools_write_before_the_names_is_taken_away(student, spec, tmp_path: Path, renamed):
    path = tmp_path / "old.pth"
    torch.save({"state_dict": renamed(student.state_dict()), "meta": {"CLASSES": CLASSES}}, path)
    loaded = build_detector(replace(spec("student"), checkpoint=str(path)), CLASSES)
    assert _same(loaded, student)


def test_two_detectors_in_one_checkpoint_are_named_and_one_can_be_cut_out(student, tmp_path: Path):
    state = student.state_dict()
    both = {
        f"{role}.{key}": value + (role == "teacher") for role in ("student", "teacher") for key, value in state.items()
    }
    path = tmp_path / "semi.pth"
    torch.save({"state_dict": both}, path)
    with pytest.raises(
        DetectorError, match=r"several such detectors \(student., teacher.\).*--prefix student. -o NEW.pth"
    ):
        load_weights(copy.deepcopy(student), path, CLASSES)
    with pytest.raises(DetectorError, match=r"begin with 'master.'; they begin with student., teacher\."):
        rewrite_weights(path, tmp_path / "cut.pth", prefix="master.")
    rewrite_weights(path, tmp_path / "cut.pth", prefix="student.")
    other = copy.deepcopy(student)
    torch.nn.init.zeros_(next(other.parameters()))
    load_weights(other, tmp_path / "cut.pth", CLASSES)
    assert _same(other, student)


def test_faults_beneath_a_prefix_are_told_by_the_detectors_own_names(student, tmp_path: Path):
    state = {f"model.{key}": value for key, value in student.state_dict().items()}
    dropped = max(state)
    del state[dropped]
    with pytest.raises(DetectorError, match=f"no weights for {dropped.removeprefix('model.')};"):
        _load(student, tmp_path / "a.pth", state)


@pytest.mark.parametrize("count", [80, 20, 1])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_of_other_classes_without_names_points_to_teacher_classes(
    spec, student, tmp_path: Path, count: int, prefix: str
):
    torch.manual_seed(0)
    other = build_detector(spec("student"), [f"class {number}" for number in range(count)])
    state = {prefix + key: value for key, value in other.state_dict().items()}
    with pytest.raises(
        DetectorError, match=f"trained on {count} classes.*has 3: for a teacher set teacher.classes"
    ) as error:
        _load(student, tmp_path / "a.pth", {"state_dict": state})
    assert ("mmdet.datasets.CocoDataset" in str(error.value)) == (count == 80)


def test_two_stage_heads_count_their_background(tmp_path: Path):
    from detkds_gp.detectors.weight_names import unnamed_classes

    def head(classes: int) -> dict[str, torch.Tensor]:
        return {"fc_cls.weight": torch.zeros(classes + 1, 4), "fc_reg.weight": torch.zeros(4 * classes, 4)}

    for theirs, ours in ((80, 3), (80, 1), (20, 19), (1, 7)):
        assert f"trained on {theirs} classes" in unnamed_classes(head(theirs), head(ours), ours)
    wider = {name: torch.zeros(value.shape[0], 8) for name, value in head(80).items()}
    assert unnamed_classes(wider, head(3), 3) is None


def test_classes_can_be_renamed(student, tmp_path: Path):
    save_weights(student.state_dict(), tmp_path / "a.pth", CLASSES)
    rewrite_weights(tmp_path / "a.pth", tmp_path / "b.pth", classes=("RBC", "WBC", "Platelets"))
    assert checkpoint_classes(tmp_path / "b.pth") == ("RBC", "WBC", "Platelets")
    with pytest.raises(DetectorError, match=r"got 2 classes, but .* has 3, \[red, white, plate\]"):
        rewrite_weights(tmp_path / "a.pth", tmp_path / "c.pth", classes=("RBC", "WBC"))
