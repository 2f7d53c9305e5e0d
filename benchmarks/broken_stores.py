"""A store that is cut, emptied, overwritten, locked away or on a full disk is told in one line and left as it is.

    python benchmarks/broken_stores.py

The full disk is a small tmpfs (needs the right to mount; skipped without). The last line printed is one JSON
object.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from analytic import Analytic, history, make_experiment
from faults import MILLISECONDS, answers, ended, start

from detkds_gp.errors import StoreError
from detkds_gp.listener import Listener
from detkds_gp.score import Score
from detkds_gp.store import check_store

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "read-only": lambda data: data,
    "truncated": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "corrupt": lambda data: data[:8192] + bytes(8192) + data[16384:],
    "foreign": lambda data: b"holiday photo" * 1000,
}


def damaged() -> list[dict[str, Any]]:
    """Damage the store of a run after some answers, try to go on, restore the file, and go on."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        worker = Analytic(MILLISECONDS / 1000)
        execution = {"executor": "serial"}
        make_experiment(Path(folder) / "plain", worker, execution=execution).run()
        wanted = history(Path(folder) / "plain")
        work_dir = Path(folder) / "run"
        with suppress(KeyboardInterrupt):
            make_experiment(work_dir, worker, execution=execution).run(_Stopping(15))
        before, file = answers(work_dir), work_dir / "store.sqlite"
        whole = file.read_bytes()
        for name, damage in DAMAGES.items():
            file.write_bytes(damage(whole))
            with read_only(work_dir) if name == "read-only" else nullcontext():
                said = refusal(lambda: make_experiment(work_dir, worker, execution=execution).run())
            as_it_was = file.read_bytes() == damage(whole)
            file.write_bytes(whole)
            lost = len(before - answers(work_dir))
            rows.append({"store": name, "said": said, "left_as_it_was": as_it_was, "lost": lost})
            print(rows[-1], flush=True)
        make_experiment(work_dir, worker, execution=execution).run()
        rows.append({"answers_before": len(before), "same_history": history(work_dir) == wanted})
        print(rows[-1], flush=True)
    return rows


class _Stopping(Listener):
    """Interrupts a run after some answers."""

    def __init__(self, after: int) -> None:
        self.left = after

    def answered(self, niche: str, score: Score) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def refusal(run: Callable[[], object]) -> str:
    try:
        run()
    except StoreError as error:
        return str(error)
    raise RuntimeError("went on with a damaged store")


@contextmanager
def read_only(work_dir: Path) -> Iterator[None]:
    """Take away the right to write, from root too."""
    user = os.geteuid()
    work_dir.parent.chmod(0o755)
    work_dir.chmod(0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        work_dir.chmod(0o755)


def full() -> dict[str, Any]:
    """Fill a small tmpfs under the work directory, make room, and go on."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = ended(Path(folder) / "plain", "--executor", "serial")
        small = Path(folder) / "small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(small)], capture_output=True)
        if mounted.returncode != 0:
            return {"skipped": mounted.stderr.decode().strip()}
        try:
            (small / "ballast").write_bytes(bytes(16 * 2**20 - 500_000))
            process = start(small / "run", "--executor", "serial")
            _, complaint = process.communicate(timeout=300)
            before = answers(small / "run")
            sound = not check_store(small / "run").problems
            (small / "ballast").unlink()
            found = ended(small / "run", "--executor", "serial")
            lost = len(before - answers(small / "run"))
        finally:
            subprocess.run(["umount", str(small)], check=False)
        row = {
            "said": complaint.strip().splitlines()[-1][-200:],
            "answers_before": len(before),
            "lost": lost,
            "sound_while_full": sound,
            "same_history": found == wanted,
        }
        print(row, flush=True)
        return row


def main() -> None:
    figures = {"damaged": damaged(), "full": full()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
