"""Whether runs end within their budgets: `gp_search run` under budgets, on a quiet and on a loaded machine.

    python benchmarks/budgets.py [CONFIG] [--budget 5m --budget 10m --budget 20m] [--loads quiet loaded]
                                 [--rounds 2] [--burners 4] [--folder DIR]

A load is processes of this program's own that compute without end; they stop with the run that they disturb. Every
run has a work directory and a cache of its own, so that each trains its teacher. Runs that are in
``benchmarks/results/budgets.json`` are not repeated.

The last line printed is one JSON object: ``{"runs": [{"budget_seconds", "loaded", "seconds", "ratio", "stages",
"finalists", "seeds", "refused"}]}``. Wanted: a ratio of at most 1.05, both stages, and a final round with rivals; or a
refusal within 60 seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detkds_gp.steering.budget import Budget
from detkds_gp.store import Store

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "budgets.json"
LONGEST = 3.0
"""Times a budget, after which a run that does not end is killed."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        config: of the experiment.
        budget: as given.
        round: its number among those of the same budget and load.
        budget_seconds: the same in seconds.
        loaded: whether other processes computed beside it.
        seconds: from the start of the process to its end.
        ratio: of the two.
        stages: generations held, by stage.
        finalists: roles of those who were judged.
        seeds: on which they were.
        refused: what the program said where the budget was too small; None where it was not.
    """

    config: str
    budget: str
    round: int
    budget_seconds: float
    loaded: bool
    seconds: float
    ratio: float
    stages: dict[str, int]
    finalists: list[str]
    seeds: int
    refused: str | None

    @property
    def holds(self) -> bool:
        """Whether it ended in time with both stages and rivals, or was refused at once."""
        if self.refused is not None:
            return self.seconds <= 60
        return self.ratio <= 1.05 and set(self.stages) == {"divide", "conquer"} and len(self.finalists) >= 3


def burn() -> None:
    """Compute without end."""
    while True:
        sum(n * n for n in range(10_000))


@contextmanager
def load(burners: int) -> Iterator[None]:
    """Keep processes computing within."""
    processes = [multiprocessing.Process(target=burn, daemon=True) for _ in range(burners)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def measured(config: Path, budget: str, number: int, burners: int, folder: Path) -> Run:
    """Run once and read what came of it."""
    amount = Budget.parse(budget).amount
    name = f"{budget}-{'loaded' if burners else 'quiet'}-{number}"
    work_dir = folder / name
    command = [
        str(Path(sys.executable).with_name("gp_search")), "run", str(config), "--work-dir", str(work_dir),
        "--budget", budget, "--cfg-options", f"cache_dir={folder / name}-cache",
    ]  # fmt: skip
    with load(burners):
        started = time.monotonic()
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=LONGEST * amount + 120)
        seconds = time.monotonic() - started
    (folder / f"{name}.log").write_text(ended.stdout + ended.stderr, encoding="utf-8")
    refused = ended.stderr.strip() if ended.returncode == 2 else None
    if ended.returncode and refused is None:
        raise RuntimeError(f"{name} ended with {ended.returncode}; see {folder / name}.log")
    stages, finalists, seeds = found(work_dir) if refused is None else ({}, [], 0)
    ratio = round(seconds / amount, 4)
    return Run(
        config.name, budget, number, amount, burners > 0, round(seconds, 1), ratio, stages, finalists, seeds, refused
    )


def found(work_dir: Path) -> tuple[dict[str, int], list[str], int]:
    """Return generations by stage, who was judged, and on how many seeds."""
    from detkds_gp.results import Verdict

    stages: dict[str, int] = {}
    with Store.open(work_dir, readonly=True) as store:
        for generation in store.generations():
            stages[generation.stage] = stages.get(generation.stage, 0) + 1
        verdict = Verdict(store)
        return stages, [finalist.role for finalist in verdict.finalists], len(verdict.seeds)


def known_runs() -> list[Run]:
    """Return the runs that are written down."""
    if not RESULTS.exists():
        return []
    return [Run(**values) for values in json.loads(RESULTS.read_text(encoding="utf-8"))["runs"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=ROOT / "configs" / "quickstart.py")
    parser.add_argument("--budget", action="append")
    parser.add_argument("--loads", nargs="+", choices=("quiet", "loaded"), default=("quiet", "loaded"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--burners", type=int, default=4)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="budgets-"))
    folder.mkdir(parents=True, exist_ok=True)
    runs = known_runs()
    done = {(run.config, run.budget, run.loaded, run.round) for run in runs}
    for budget in arguments.budget or ["5m", "10m", "20m"]:
        for kind in arguments.loads:
            for number in range(arguments.rounds):
                loaded = kind == "loaded"
                if (arguments.config.name, budget, loaded, number) in done:
                    continue
                run = measured(arguments.config, budget, number, arguments.burners * loaded, folder)
                runs.append(run)
                told: dict[str, Any] = {"runs": [asdict(one) for one in runs]}
                RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
                print(f"{budget} {kind}: {run.seconds:.0f} s, {run.ratio:.0%}, {'holds' if run.holds else 'FAILS'}")
    print(json.dumps({"runs": [asdict(run) for run in runs], "all_hold": all(run.holds for run in runs)}))


if __name__ == "__main__":
    main()
