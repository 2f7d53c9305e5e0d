"""YOLOX, RTMDet and DINO under ``torchrun``, read by plain mmdet at the end; YOLOX is killed on the way.

How the others go on is no matter of the detector: a Runner loads them, and what switches their pipelines on the way is
tested in `test_switching`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from mmdet.apis import inference_detector, init_detector

TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
COMMAND = [*TORCHRUN, str(Path(sys.executable).with_name("gp_search")), "train"]
STEPS = 20
ON_CPU = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
DETECTORS = {
    "yolox": ("weighted_giou(boxes, box_score)", "No mosaic and mixup aug now!"),
    "rtmdet": ("binary_kl(units(class_logits, 1))", "Switch pipeline now!"),
    "dino": ("weighted_giou(query_boxes, query_score)", None),
}
"""What is distilled, and what the log says when the pipeline switches, where it does."""
KILLED = "yolox"


def killed_at_a_checkpoint(command: list[str], folder: Path) -> None:
    """Start a training, and kill all its processes once it has written a checkpoint; each has its own session."""
    with open(folder.with_suffix(".log"), "w") as log:
        running = subprocess.Popen(command, env=ON_CPU, stdout=log, stderr=log)
    deadline = time.monotonic() + 300
    while not (folder / "last_checkpoint").is_file():
        assert running.poll() is None, folder.with_suffix(".log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder) in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)
    running.wait()


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_it_ends_killed_or_not_and_plain_mmdet_reads_the_student(name: str, tmp_path: Path) -> None:
    (formula, switched), folder = DETECTORS[name], tmp_path / "training"
    options = [
        f"full_training.iterations={STEPS}", "full_training.batch_size=2", "full_training.workers=0",
        f"data.digits.root={tmp_path / 'digits'}", f"cache_dir={tmp_path / 'cache'}", "teacher.train.iterations=2",
        "data.digits.train=16", "data.digits.selection=8", "data.digits.test=8",
    ]  # fmt: skip
    given = ["--distiller", formula, "--work-dir", str(folder), "--cfg-options", *options]
    command = [*COMMAND, str(TINY / f"{name}.py"), *given]
    if name == KILLED:
        killed_at_a_checkpoint(command, folder)
        assert not (folder / "result.json").exists()
    ended = subprocess.run(command, env=ON_CPU, capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads((folder / "result.json").read_text())
    assert (told["processes"], 0 <= told["ap"] <= 1) == (2, True)
    *_, scalars = sorted(folder.glob("*/vis_data/scalars.json"))
    steps = [json.loads(line) for line in scalars.read_text().splitlines()]
    trained = [step["step"] for step in steps if "loss" in step]
    assert (trained[0] > STEPS // 10) == (name == KILLED)  # one step in so many is logged
    assert trained[-1] == STEPS
    assert all(step[key] > 0 for step in steps for key in step if "loss_distill" in key)
    if switched is not None:
        assert any(switched in log.read_text() for log in folder.glob("*/*.log"))
    detector = init_detector(str(folder / "student.py"), str(folder / "student.pth"), device="cpu")
    found = inference_detector(detector, np.zeros((64, 64, 3), np.uint8))
    assert found.pred_instances.bboxes.shape[1] == 4
