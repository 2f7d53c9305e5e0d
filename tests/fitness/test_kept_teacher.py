from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from detkds_gp.detectors import ImageInput, build_detector, make_batch, outputs_of
from detkds_gp.errors import StoreError
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.kept_teacher import TeacherOutputs, keep_teacher
from detkds_gp.language import parse_distiller

INDICES, FLIPS = [7, 0, 7, 11], [True, False, False, True]
NAMES = ["class_map", "global"]


def kept_in(path: Path, task: ProxyTask) -> Callable[..., dict[str, list[Tensor]]]:
    """Return what looks up the outputs in a file by indices, flips and names; the teacher never runs."""
    outputs = TeacherOutputs(replace(task, teacher_outputs=path), lambda: pytest.fail("the teacher ran"))
    return lambda indices, flips, names: outputs(indices, flips, {}, names)


@pytest.fixture(scope="module")
def live(task: ProxyTask) -> dict[str, list[Tensor]]:
    """The teacher's outputs on the batch itself."""
    teacher = build_detector(task.teacher, task.splits["train"].classes)
    images = ProxyTraining(task).images["train"]
    batch = make_batch([images[index] for index in INDICES], FLIPS)
    return outputs_of(teacher, teacher.data_preprocessor(batch, False)["inputs"], NAMES)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("float16", 1e-2), ("bfloat16", 1e-1)])
def test_what_is_kept_is_what_the_teacher_gives(
    precision: str, tolerance: float, task: ProxyTask, live: dict[str, list[Tensor]], tmp_path: Path
) -> None:
    teacher = build_detector(task.teacher, task.splits["train"].classes).train()
    images = ProxyTraining(task).images["train"]
    keep_teacher(teacher, images, NAMES, precision, tmp_path / "kept.pt")
    kept = kept_in(tmp_path / "kept.pt", task)(INDICES, FLIPS, NAMES)
    assert sorted(kept) == sorted(live) == NAMES
    for name in NAMES:
        for level, wanted in zip(kept[name], live[name], strict=True):
            assert level.dtype == torch.float32
            assert torch.allclose(level, wanted, rtol=tolerance, atol=tolerance), name
    assert all(part.training for part in teacher.neck.modules())
    assert [path.name for path in tmp_path.iterdir()] == ["kept.pt"]


def test_mirror_images_are_kept_apart(task: ProxyTask) -> None:
    kept = kept_in(task.teacher_outputs, task)
    plain, mirrored = kept([3], [False], ["global"])["global"][0], kept([3], [True], ["global"])["global"][0]
    assert not torch.allclose(plain, mirrored, atol=1e-3)


def test_kept_outputs_give_the_losses_of_the_live_teacher(
    proxy: ProxyTraining, task: ProxyTask, live: dict[str, list[Tensor]]
) -> None:
    distiller = parse_distiller("l2(global) + kl(softmax_row(class_logits, 2))", task.primitive_set)
    images = proxy.images["train"]
    batch = make_batch([images[index] for index in INDICES], FLIPS)
    model = proxy.model(distiller, seed=0).train()
    kept = model.losses(batch, kept_in(task.teacher_outputs, task)(INDICES, FLIPS, NAMES))
    for name, value in model.losses(batch, live).items():
        pairs = zip([*kept[name]], [*value], strict=True)
        assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in pairs), name


def test_what_a_precision_does_not_hold_is_refused(task: ProxyTask, tmp_path: Path) -> None:
    teacher = build_detector(task.teacher, task.splits["train"].classes)
    with torch.no_grad():
        teacher.neck.fpn_convs[0].conv.weight *= 1e9
    images = ProxyTraining(task).images["train"]
    with pytest.raises(StoreError, match=r"'class_map' reaches .*, more than float16 holds; set proxy"):
        keep_teacher(teacher, images, NAMES, "float16", tmp_path / "kept.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_broken_file_is_named(content: bytes | None, elsewhere: ProxyTask) -> None:
    path = elsewhere.teacher_outputs
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(StoreError, match=r"outputs\.pt.*delete the file") as caught:
        kept_in(path, elsewhere)(INDICES, FLIPS, NAMES)
    assert "\n" not in str(caught.value)


WITH_LIMIT = """
import pickle, resource, sys
from pathlib import Path
from detkds_gp.detectors import build_detector
from detkds_gp.errors import UserError
from detkds_gp.fitness import ProxyTraining
from detkds_gp.fitness.kept_teacher import keep_teacher

task = pickle.loads(Path(sys.argv[1]).read_bytes())
teacher = build_detector(task.teacher, task.splits["train"].classes)
images = ProxyTraining(task).images["train"]
limit = int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    keep_teacher(teacher, images, ["class_map", "global"], "float32", Path(sys.argv[2]))
except UserError as error:
    print(f"told: {error}")
"""


def _kept_elsewhere(task: ProxyTask, folder: Path, target: Path, limit: int = 0) -> str:
    """Keep the teacher's outputs in a process of its own, and return what it prints."""
    pickled = folder / "task.pickle"
    pickled.write_bytes(pickle.dumps(task))
    command = [sys.executable, "-c", WITH_LIMIT, str(pickled), str(target), str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("limit", [10_000, 100_000])
def test_a_file_that_cannot_grow_is_one_line_and_leaves_nothing_behind(
    limit: int, task: ProxyTask, tmp_path: Path
) -> None:
    target = tmp_path / "kept" / "teacher-outputs.pt"
    target.parent.mkdir()
    said = _kept_elsewhere(task, tmp_path, target, limit)
    assert said.startswith(f"told: cannot write the teacher's outputs {target}: ")
    assert "free space" in said
    assert "proxy.teacher_limit_mb = 0" in said
    assert said.count("\n") == 1
    assert list(target.parent.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_room_is_told_before_the_teacher_runs_on_all_images(task: ProxyTask, small_disk: Path) -> None:
    teacher = build_detector(task.teacher, task.splits["train"].classes)
    images = ProxyTraining(task).images["train"]
    asked: list[int] = []

    class Counted:
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> ImageInput:
            asked.append(index)
            return images[index]

    with pytest.raises(StoreError, match=r"cannot write the teacher's outputs .*MiB are free; free space"):
        keep_teacher(teacher, Counted(), NAMES, "float32", small_disk / "kept.pt")
    assert asked == [0]
    assert list(small_disk.iterdir()) == []
