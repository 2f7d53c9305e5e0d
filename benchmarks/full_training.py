"""What full training gains: student, every published distiller, the searched one and the teacher, on the test split.

For each family a search first finds a distiller on the selection split; then the student is trained in full by
mmdet's own pipeline alone, under every published distiller that applies to the pair, and under the found one, on the
same seeds. Gains over the student alone are paired, with 95% intervals.

    python benchmarks/full_training.py --data DIR [--quick] [--families retinanet gfl] [--iterations 300] [--seeds 3]
        [--distillers pkd cwd ...] [--workers 2] [--work-dir work_dirs/full_training] [--save]
    python benchmarks/full_training.py --table

DIR holds BCCD in COCO format: train.json, val.json, test.json, images. ``--workers`` trainings run at a time, each in
a process of one thread. What is finished in the work directory is not trained again, so a stopped benchmark goes on,
with more seeds or distillers too; other settings than those it was begun with are refused. A SIGTERM lets trainings at
work finish.
With ``--save`` each family is written to ``benchmarks/results/full_training.json`` when it is done; ``--table`` trains
nothing and prints that file as Markdown. Else the last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from narrow_bccd import FAMILIES, search_config

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.full_training import first_difference, share_of_gap
from detkds_gp.gain import Interval, complete_gain
from detkds_gp.language import NONE, load_primitive_set, load_zoo
from detkds_gp.listener import Listener
from detkds_gp.naming import reason_against
from detkds_gp.operators import active_operators
from detkds_gp.run import Experiment
from detkds_gp.setup.prepare import gather, prepare

RESULTS = Path(__file__).parent / "results" / "full_training.json"
FOUND = "searched"
INTERRUPTED = 130
ELSEWHERE = ("execution", "cache_dir")
"""The keys of a config that change no result: how many train at a time, and where the teacher is kept."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TRAIN = [sys.executable, "-c", "from detkds_gp.cli.app import main; main()", "train"]


@dataclass(frozen=True)
class Job:
    """One full training.

    Attributes:
        name: of the row of the table it belongs to.
        source: the distiller, as ``gp_search train`` takes it.
        seed: of the student, the batches and the augmentation.
        config: the search's config file.
    """

    name: str
    source: str
    seed: int
    config: Path

    def result(self) -> dict[str, Any]:
        """Train in a process of its own, and return what it tells, or the last line of its log as ``failed``."""
        work_dir = self.config.parent / f"{self.name}-{self.seed}"
        if not (work_dir / "result.json").is_file():
            command = [*TRAIN, str(self.config), "--distiller", self.source]
            command += ["--work-dir", str(work_dir), "--seed", str(self.seed)]
            log = work_dir.with_name(f"{work_dir.name}.log")
            with log.open("w") as out:
                environment = {**os.environ, **ONE_THREAD}
                ended = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=environment, check=False)
            if ended.returncode:
                lines = log.read_text().strip().splitlines() or [f"exit status {ended.returncode}"]
                return {"failed": lines[-1][:300]}
        return dict(json.loads((work_dir / "result.json").read_text()))


def measure(name: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Search, train everything on every seed, and return the table of a family."""
    values = search_config(name, arguments.data, arguments.iterations, arguments.workers, quick=arguments.quick)
    path = folder / f"{name}.json"
    begin({**values, "cache_dir": str(folder / "cache")}, path)
    config = load_config(path)
    against = applicable(config, folder / "check")
    outcome = Experiment(config, folder / "search").run()
    sources = {NONE: NONE, **{entry: entry for entry, reason in against.items() if not reason}}
    sources[FOUND] = str(folder / "search" / "distiller.json")
    if arguments.distillers is not None:
        sources = {key: value for key, value in sources.items() if key in (NONE, FOUND, *arguments.distillers)}
    results = train_all(sources, path, arguments.seeds, arguments.workers)
    alone, teacher = aps_of(results[NONE]), teacher_of(results)
    return {
        "iterations": arguments.iterations,
        "seeds": arguments.seeds,
        "teacher": teacher,
        "student": alone,
        "distillers": {key: row(found, alone, teacher) for key, found in results.items() if key != NONE},
        "not_applicable": {key: reason for key, reason in against.items() if reason},
        "search_hours": round(outcome.summary["wall_seconds"]["at_work"] / 3600, 3),
        "training_hours": round(sum(r.get("hours", 0.0) for found in results.values() for r in found), 3),
        "device": f"{config.proxy.device}, {arguments.workers} trainings at a time of 1 thread each",
        "machine": f"{platform.machine()} {platform.processor()}, {os.cpu_count()} cores",
        "versions": {one: version(one) for one in ("torch", "mmdet", "mmengine", "detkds_gp")}
        | {"operators": active_operators()},
        "command": shlex.join(["python", *sys.argv]),
    }


def begin(values: dict[str, Any], path: Path) -> None:
    """Write a family's config, with which everything in its folder is trained.

    Raises:
        SystemExit: if the folder was begun with another one, whose trainings would pass for those of this one.
    """
    wanted = json.loads(json.dumps(values))
    if path.is_file():
        found = json.loads(path.read_text())
        changed = first_difference(*({key: one[key] for key in one if key not in ELSEWHERE} for one in (found, wanted)))
        if changed is not None:
            sys.exit(f"{path.parent} was begun with other settings ({changed}); give another --work-dir")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as unfinished:
        unfinished.write_text(json.dumps(wanted, indent=2) + "\n")


def applicable(config: ExperimentConfig, folder: Path) -> dict[str, str]:
    """Return the names of the zoo, each with the reason why it does not apply; empty where it does."""
    everything = load_primitive_set("detkds_gp.primitives:OMNI")
    asked = config.model_copy(update={"primitive_set": "detkds_gp.primitives:OMNI", "knowledge": None})
    task = prepare(asked, gather(asked), folder, Listener())
    return {name: reason_against(entry, everything, task.pair) for name, entry in load_zoo(config.zoo).items()}


def train_all(sources: dict[str, str], config: Path, seeds: int, workers: int) -> dict[str, list[dict[str, Any]]]:
    """Train seed by seed, so that a stopped benchmark has whole comparisons; return the results of every row."""
    jobs = [Job(name, source, seed, config) for seed in range(seeds) for name, source in sources.items()]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in sources}
    with ThreadPoolExecutor(workers) as pool:
        try:
            for job, told in zip(jobs, pool.map(Job.result, jobs), strict=True):
                results[job.name].append(told)
                print(config.stem, job.name, job.seed, told.get("ap", told.get("failed")), flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what is at work ends, nothing new begins
            raise
    return results


def aps_of(results: list[dict[str, Any]]) -> list[float | None]:
    return [result.get("ap") for result in results]


def teacher_of(results: dict[str, list[dict[str, Any]]]) -> float | None:
    found = [r["teacher_ap"] for one in results.values() for r in one if r.get("teacher_ap") is not None]
    return round(fmean(found), 4) if found else None


def row(results: list[dict[str, Any]], alone: list[float | None], teacher: float | None) -> dict[str, Any]:
    """Return a distiller's APs and, where all its trainings and the student's own succeeded, its gain."""
    aps = aps_of(results)
    told: dict[str, Any] = {"ap": aps, "formula": next((r["formula"] for r in results if "formula" in r), None)}
    failed = [result["failed"] for result in results if "failed" in result]
    if failed:
        told["failed"] = failed[0]
    gain = complete_gain(aps, alone)
    if gain is not None and teacher is not None:
        share = share_of_gap(fmean(aps), fmean(alone), teacher)
        told |= {"gain": gain.to_json(), "share_of_gap": None if share is None else round(share, 3)}
    return told


def table(name: str, figures: dict[str, Any]) -> str:
    """Return a family as a Markdown table: student, published distillers by mean AP, the searched one, teacher."""
    alone = figures["student"]
    lines = [
        f"**{name}**: AP on the test split, mean of {figures['seeds']} seeds, {figures['iterations']} iterations",
        "",
        "| distiller | AP | gain over the student alone, 95% interval | share of the gap |",
        "|---|---|---|---|",
        f"| none: the student alone | {mean_of(alone)} | | |",
    ]
    rows = figures["distillers"]
    published = sorted((key for key in rows if key != FOUND), key=lambda key: mean_of(rows[key]["ap"]), reverse=True)
    lines += [table_row(f"`{key}`", rows[key]) for key in published]
    lines += [table_row("**searched**", rows[FOUND])] if FOUND in rows else []
    teacher = figures["teacher"]
    lines.append(f"| the teacher | {'' if teacher is None else f'{teacher:.3f}'} | | |")
    over = complete_gain(rows[FOUND]["ap"], rows[published[0]]["ap"]) if FOUND in rows and published else None
    if over is not None:
        lines += ["", f"The searched one over `{published[0]}`, on the same seeds: {over}."]
    return "\n".join(lines)


def table_row(name: str, told: dict[str, Any]) -> str:
    if told.get("gain") is None:
        return f"| {name} | {mean_of(told['ap'])} | {told.get('failed', '')} | |"
    gain, share = Interval(**told["gain"]), told["share_of_gap"]
    text = f"**{gain}**" if gain.low > 0 or gain.high < 0 else f"{gain}"
    return f"| {name} | {mean_of(told['ap'])} | {text} | {'' if share is None else f'{share:.0%}'} |"


def mean_of(aps: list[float | None]) -> str:
    found = [ap for ap in aps if ap is not None]
    return f"{fmean(found):.3f}" if found else ""


def save(name: str, figures: dict[str, Any]) -> None:
    """Write a family's figures beside those of the others."""
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**known, name: figures}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/bccd"), help="BCCD in COCO format")
    parser.add_argument("--families", nargs="*", default=["retinanet", "gfl"], choices=FAMILIES)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--distillers", nargs="*", help="of the zoo; default: all that apply")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/full_training"))
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    parser.add_argument("--table", action="store_true", help="print what benchmarks/results holds, as Markdown")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments.table:
        print("\n\n".join(table(name, figures) for name, figures in json.loads(RESULTS.read_text()).items()))
        return
    if arguments.quick and arguments.save:
        parser.error("--quick measures nothing; leave out --save")
    if arguments.quick:
        arguments.iterations, arguments.seeds = 2, 2
        arguments.distillers = arguments.distillers or ["pkd"]
        arguments.families = arguments.families[:1]
    try:
        measure_all(arguments)
    except KeyboardInterrupt:
        print("stopped; trainings at work finish, and the same command goes on", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)


def measure_all(arguments: argparse.Namespace) -> None:
    """Measure family by family, and print their tables."""
    measured: dict[str, Any] = {}
    for name in arguments.families:
        measured[name] = measure(name, arguments, arguments.work_dir / name)
        print(table(name, measured[name]), flush=True)
        if arguments.save:
            save(name, measured[name])
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
