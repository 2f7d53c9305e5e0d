"""The guard that a script needs, since every worker process imports the script that started it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import FrameType, ModuleType

from detkds_gp.execution._base import WorkerStartError


def check_main_guard() -> None:
    """Refuse to start workers from a script that each of them would run again from its top.

    Raises:
        WorkerStartError: this is called, through whatever functions, by a line of the running script that no
            ``if __name__ == "__main__":`` stands before, or the script comes from standard input.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if main is None or path is None or _name(main).endswith("__main__"):
        return  # a session or -c; a package's __main__, which workers do not import
    if not Path(path).is_file():
        raise WorkerStartError(
            f"the script is no file ({path}), but worker processes import it; write it to a file, with what starts the "
            'search under if __name__ == "__main__":, or set execution.executor = "serial"'
        )
    line = _line_of(main)
    if line is not None and not _guarded(Path(path), line):
        raise WorkerStartError(
            f"{path}, line {line}, starts worker processes, and each of them would run the script again; put what "
            'starts the search under if __name__ == "__main__":'
        )


def _name(main: ModuleType) -> str:
    """Return the name that the main module was started by with ``-m``; empty for a script."""
    return getattr(main.__spec__, "name", "")


def _line_of(main: ModuleType) -> int | None:
    """Return the line of the main module's top level that is being run; None if it has ended or is in no caller."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>":
            return frame.f_lineno
        frame = frame.f_back
    return None


def _guarded(path: Path, line: int) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return True  # no source, no verdict
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and _asks_for_name(node.test))
    return any(node.lineno <= line <= (node.end_lineno or line) for node in guards)


def _asks_for_name(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))
