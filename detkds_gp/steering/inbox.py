"""Commands of other processes to a running experiment: small JSON files in its work directory.

Only the coordinating process writes the store, so whoever else wants something leaves a file; it is
recorded in the store before it is obeyed.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from detkds_gp.atomic import atomic_file
from detkds_gp.errors import StoreError

StopCommand = Literal["pause", "final"]


class Inbox:
    """The commands left in a work directory."""

    def __init__(self, work_dir: Path) -> None:
        self.folder = work_dir / "inbox"

    def inject(self, formula: str) -> None:
        """Leave a formula for the next generation.

        Raises:
            StoreError: the work directory cannot be written.
        """
        self._leave(f"{time.time_ns()}-{os.getpid()}.inject.json", {"formula": formula})

    def stop(self, how: StopCommand) -> None:
        """Ask the run to pause, or to end with this generation and go on to the verdict.

        Raises:
            StoreError: the work directory cannot be written.
        """
        self._leave("stop.json", {"how": how})

    def injections(self) -> dict[str, str]:
        """Return the formulas left, oldest first, by the names of their files; files that are none are passed over."""
        found = {path.name: _read(path).get("formula") for path in sorted(self.folder.glob("*.inject.json"))}
        return {name: formula for name, formula in found.items() if isinstance(formula, str)}

    def stop_command(self) -> StopCommand | None:
        """Return what ``stop`` asked for; None if nothing was."""
        how = _read(self.folder / "stop.json").get("how")
        return how if how in ("pause", "final") else None

    def forget(self, *names: str) -> None:
        """Remove commands; those that are gone are no error."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def forget_stop(self) -> None:
        """Remove what ``stop`` asked for."""
        self.forget("stop.json")

    def _leave(self, name: str, values: dict[str, Any]) -> None:
        """Write a file that readers see whole or not at all."""
        try:
            self.folder.mkdir(exist_ok=True)
            with atomic_file(self.folder / name) as draft:
                draft.write_text(json.dumps(values), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"cannot write in {self.folder}: {error.strerror}; make it writable") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
