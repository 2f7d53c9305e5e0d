"""What a command costs before it does anything: CPU seconds of whole processes, as ratios to importing torch.

Every command runs in processes of its own, in turns with ``python -c "import torch"``; a ratio is that of two medians.
Bytecode is compiled by a first run of each, which is not measured, into a folder of the benchmark's own. ``check``,
``run`` and ``train`` end where they would read their data: their ratio is to ``import mmdet.models``, the least that
any program which builds detectors imports.

    python benchmarks/start_up.py WORK_DIR [--repeats 5] [--only status,show] [--quick]

WORK_DIR is that of a finished run, such as the quickstart's. The last line printed is one JSON object:
``{"ratios": {"status": ...}, "wanted": {...}, "missed": [...]}``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CONFIG = str(Path(__file__).resolve().parents[1] / "configs" / "quickstart.py")
COMMANDS = (
    "run", "show", "export", "weights", "init", "train", "zoo", "primitives", "lint", "proxy", "check", "status",
    "stop", "inject", "verify", "report", "dash", "compare", "explain", "data digits", "data voc", "store check",
)  # fmt: skip
PRELUDE = "import sys; from detkds_gp.cli.app import main; sys.argv = ['gp_search', *sys.argv[1:]]; "
UNTIL_DATA = PRELUDE + "import os, detkds_gp.setup.prepare as p; p.gather = lambda *_, **__: os._exit(0); main()"
"""Ends the process where the command would begin to work: what it imports by then is imported."""


@dataclass(frozen=True)
class Asked:
    """A process that is measured.

    Attributes:
        name: what the result calls it.
        code: of the process.
        arguments: of the command.
        base: the name of what it is compared with.
        wanted: the largest ratio.
        codes: exit codes that are right.
    """

    name: str
    code: str
    arguments: tuple[str, ...] = ()
    base: str = "torch"
    wanted: float = 1.0
    codes: tuple[int, ...] = (0,)


BASES = (Asked("torch", "import torch"), Asked("mmdet", "import mmdet.models"))


def asked_of(work_dir: str, page: str) -> list[Asked]:
    """Return every process that is measured, each with what is wanted of it."""

    def command(wanted: float, text: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> Asked:
        return Asked(text, PRELUDE + "main()", (*text.split(), *arguments), wanted=wanted, codes=codes)

    def until_data(text: str, *arguments: str) -> Asked:
        return Asked(text, UNTIL_DATA, (text, CONFIG, *arguments), "mmdet", 1.1)

    exported = [
        Asked(f"export {name} --to {fmt}", PRELUDE + "main()", ("export", source, "--to", fmt), wanted=1.3)
        for name, source in (("WORK_DIR", work_dir), ("FORMULA", "l2(unit_channel(global))"))
        for fmt in ("text", "json", "svg", "dot", "latex", "python")
    ]
    return [
        command(0.3, "--help"),
        *(command(0.3, f"{name} --help") for name in COMMANDS),
        command(0.3, "status", work_dir),
        command(0.3, "stop", work_dir, codes=(2,)),  # nothing is at work there
        command(0.3, "inject", work_dir, "2 * l2(unit_channel(global))"),
        command(0.3, "store check", work_dir),
        command(1.3, "show", work_dir),
        command(1.3, "zoo"),
        command(1.3, "primitives"),
        command(1.3, "lint", "l2(global)"),
        *exported,
        command(2.0, "report", work_dir, "-o", page),
        until_data("check"),
        until_data("run", "--work-dir", f"{page}.run"),
        until_data("train", "--distiller", "l2(global)", "--work-dir", f"{page}.train"),
    ]


def cpu_seconds(asked: Asked, environment: Mapping[str, str]) -> float:
    """Return the CPU seconds, user and system, of a whole process."""
    command = [sys.executable, "-c", asked.code, *asked.arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in asked.codes:
        raise SystemExit(f"{asked.name} ended with {process.returncode}: {said.decode()[-500:]}")
    return used.ru_utime + used.ru_stime


def measured(chosen: Sequence[Asked], repeats: int, told: Callable[[str], None]) -> dict[str, list[float]]:
    """Return the CPU seconds of every process and its bases, in turns."""
    seconds: dict[str, list[float]] = {one.name: [] for one in (*BASES, *chosen)}
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        for name in ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.pop(name, None)
        for turn in range(repeats + 1):
            for one in (*BASES, *chosen):
                spent = cpu_seconds(one, environment)
                if turn:
                    seconds[one.name].append(spent)
            told(f"turn {turn} of {repeats}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="names of the table, joined by commas")
    parser.add_argument("--quick", action="store_true", help="one turn of three commands, to check the script")
    options = parser.parse_args()
    only = "--help,status,show" if options.quick else options.only
    with tempfile.TemporaryDirectory() as folder:
        every = asked_of(options.work_dir, str(Path(folder) / "report.html"))
        chosen = [one for one in every if not only or one.name in only.split(",")]
        repeats = 1 if options.quick else options.repeats
        seconds = measured(chosen, repeats, lambda line: print(line, file=sys.stderr, flush=True))
    medians = {name: median(values) for name, values in seconds.items()}
    ratios = {one.name: round(medians[one.name] / medians[one.base], 3) for one in chosen}
    print("| command | CPU seconds | ratio | to | wanted |\n|---|---|---|---|---|")
    for base in BASES:
        print(f"| `{base.code}` | {medians[base.name]:.2f} | | | |")
    for one in chosen:
        print(f"| `{one.name}` | {medians[one.name]:.2f} | {ratios[one.name]:.2f} | {one.base} | {one.wanted:g} |")
    wanted = {one.name: one.wanted for one in chosen}
    missed = [name for name, ratio in ratios.items() if ratio > wanted[name]]
    print(json.dumps({"ratios": ratios, "wanted": wanted, "missed": missed}))


if __name__ == "__main__":
    main()
