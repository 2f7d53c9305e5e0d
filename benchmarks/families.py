"""Which knowledge which of mmdet's detector families offers, and whether it trains: the tables of docs/detectors.md.

For every family the same detector is student and teacher, for every unlike pair two. They are mmdet's own configs, a
quarter as wide where nothing speaks against it, with random weights; images are digit scenes of 128 pixels. Each is
checked as ``gp_search check`` checks it, then trains for 5 steps of the proxy with the simplest formula of every
knowledge that it offers, at a tenth of its scale. What is recorded of each:

- by knowledge the inputs that it offers, or the reason why it offers none;
- whether the student's own loss on a batch is bitwise that of plain mmdet;
- the error that ended it, if one did; one that is not told to users in one line begins with ``fault:``.

    python benchmarks/families.py [--quick] [--only retinanet dino ...] [--again] [--save] [--page]

Each runs in a process of its own, for 300 s of the CPU at most. With ``--save`` each is written to
``benchmarks/results/families.json`` when it is done, and those that stand there are not run again, unless ``--again``
asks for it. ``--page`` writes docs/detectors.md of what stands there, and measures nothing. The last line printed is
one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import resource
import signal
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from family_list import FAMILIES, OVERRIDES, OWN_WIDTHS, PAIRS, limited, narrowed
from family_page import page

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.detectors import DetectorSpec, detector_config, from_scratch
from detkds_gp.errors import UserError, named_line
from detkds_gp.fitness import ProxyTraining
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.operators import active_operators
from detkds_gp.preflight import Offer, PairReport, check_experiment, knowledge_not_shared
from detkds_gp.primitives import OMNI
from detkds_gp.score import Trial
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.training import seed_all

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "families.json"
PAGE = ROOT / "docs" / "detectors.md"
STEPS, SECONDS, SIZE, WEIGHT = 5, 300, 128, 0.1
QUICK = ("retinanet", "gfl_to_retinanet")

Row = dict[str, Any]


def names_of(name: str) -> tuple[str, str]:
    """Return the families of student and teacher."""
    return PAIRS.get(name, (name, name))


def experiment(name: str, folder: Path) -> ExperimentConfig:
    """Return the config of a family or a pair; data and caches are kept in the folder."""
    options: dict[str, Any] = {
        "primitive_set": "detkds_gp.primitives:OMNI",
        "data.digits": {"root": str(folder / "digits"), "train": 4, "selection": 2, "test": 2, "size": SIZE},
        "cache_dir": str(folder / "cache"),
        "proxy.image_size": (SIZE, SIZE),
        "proxy.batch_size": 2,
        "proxy.optimizer": {"type": "AdamW", "lr": 1e-4},
        "teacher.train.iterations": 1,
        "teacher.train.checks": 0,
        "teacher.train.batch_size": 2,
        "teacher.train.optimizer": {"type": "AdamW", "lr": 1e-4},
    }
    for role, family in zip(("student", "teacher"), names_of(name), strict=True):
        options |= {f"{role}.config": f"mmdet::{FAMILIES[family]}", f"{role}.overrides": overrides_of(family)}
    return load_config(ROOT / "configs" / "tiny" / "_base_" / "digits.py", options)


def overrides_of(family: str) -> dict[str, Any]:
    """Return what lets a family start from scratch on small images."""
    model = detector_config(DetectorSpec(f"mmdet::{FAMILIES[family]}"), ("thing",)).model
    widths = {} if family in OWN_WIDTHS else narrowed(model)
    batches = {"model.data_preprocessor.batch_augments": None} if "batch_augments" in model.data_preprocessor else {}
    return {**from_scratch(model.backbone), **limited(model), **widths, **batches, **OVERRIDES.get(family, {})}


def measured(name: str, folder: Path) -> Row:
    """Check a family or a pair and train it for some steps; never raises."""
    row: Row = {"knowledge": {}, "own_loss": None, "error": ""}
    try:
        config = experiment(name, folder)
        report = check_experiment(config)
        row["knowledge"] = offered(config, report)
        trained(config, report, folder / name, row)
    except UserError as error:
        row["error"] = str(error)
    except Exception as error:
        row["error"] = f"fault: {named_line(error)}"
    return row


def offered(config: ExperimentConfig, report: PairReport) -> dict[str, list[str] | str]:
    """Return by knowledge the inputs that a pair shares, or why it shares none."""
    reasons = knowledge_not_shared(config.model_copy(update={"knowledge": OMNI.niches}), report)
    return {niche: reasons.get(niche) or [offer.name for offer in shared(report, niche)] for niche in OMNI.niches}


def shared(report: PairReport, niche: str) -> list[Offer]:
    """Return the inputs of a knowledge that a pair shares; fields aside."""
    return [offer for offer in report.offers if offer.knowledge == niche and offer.formula and not offer.reason]


def trained(config: ExperimentConfig, report: PairReport, folder: Path, row: Row) -> None:
    """Take real steps under the simplest formula of every shared knowledge; note how they end."""
    folder.mkdir()
    proxy = ProxyTraining(prepare(config, gather(config), folder, Listener()))
    first = [offers[0] for niche in OMNI.niches if (offers := shared(report, niche))]
    text = " + ".join(f"{WEIGHT} * {offer.scale or 1} * {offer.formula}" for offer in first)
    teacher = proxy.prepare_teacher()
    row["own_loss"] = own_loss_is_plain(proxy, text)
    score = proxy(Trial(text, STEPS, 0)) if teacher.ok else teacher
    row["error"] = f"{score.failure}: {score.detail}" if score.failure else ""


def own_loss_is_plain(proxy: ProxyTraining, text: str) -> bool:
    """Whether the student's own losses on a batch are bitwise those of mmdet alone, whatever is distilled."""
    model = proxy.model(parse_distiller(text, proxy.task.primitive_set), seed=0).train()
    batch, outputs = next(proxy.batches(0, model))
    plain = copy.deepcopy(proxy.student(0))
    plain.train()
    seed_all(0)
    data = plain.data_preprocessor(copy.deepcopy(batch), True)
    wanted = plain.loss(data["inputs"], data["data_samples"])
    seed_all(0)
    found = {name: loss for name, loss in model.losses(batch, outputs).items() if not name.startswith("loss_distill_")}
    return set(found) == set(wanted) and all(same(found[name], loss) for name, loss in wanted.items())


def same(found: Any, wanted: Any) -> bool:
    """Whether two losses, tensors or lists of them, are bitwise equal."""
    if isinstance(wanted, torch.Tensor):
        return torch.equal(found, wanted)
    return len(found) == len(wanted) and all(map(same, found, wanted))


def apart(name: str, folder: Path) -> Row:
    """Measure in a process of its own, whose crash or time-out is a row too."""
    context = multiprocessing.get_context("fork")  # what takes longest, the imports, is there already
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=send, args=(theirs, name, folder))
    process.start()
    theirs.close()
    try:
        row = ours.recv()
    except EOFError:
        process.join()
        late = process.exitcode == -signal.SIGXCPU
        row = ended(f"took more than {SECONDS} s" if late else f"the process ended with {process.exitcode}")
    process.kill()
    process.join()
    return row


def send(end: Connection, name: str, folder: Path) -> None:
    """Measure, and send the row to who asked."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    end.send(measured(name, folder))


def ended(how: str) -> Row:
    """Return the row of a process that gave none."""
    return {"knowledge": {}, "own_loss": None, "error": f"fault: {how}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="check that it works: one family, one unlike pair")
    parser.add_argument("--only", nargs="*", default=[*FAMILIES, *PAIRS], choices=[*FAMILIES, *PAIRS], metavar="NAME")
    parser.add_argument("--again", action="store_true", help="measure also what stands in the results")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    parser.add_argument(
        "--page", action="store_true", help="write docs/detectors.md of the results, and measure nothing"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else {}
    if arguments.page:
        PAGE.write_text(page(known, STEPS, SIZE))
        return
    names = QUICK if arguments.quick else arguments.only
    print(json.dumps(rows_of(names, known, again=arguments.again or arguments.quick, keep=arguments.save)))


def rows_of(names: Sequence[str], known: dict[str, Row], *, again: bool, keep: bool) -> dict[str, Row]:
    """Measure what is not known, and return all that was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name in known and not again:
                continue
            started = time.perf_counter()
            known[name] = apart(name, Path(folder))
            print(f"{name}: {time.perf_counter() - started:.0f} s {summary(known[name])}", flush=True)
            if keep:
                save(known)
    return {name: known[name] for name in names}


def summary(row: Row) -> str:
    """Return a row in one line."""
    have = [niche for niche, inputs in row["knowledge"].items() if isinstance(inputs, list)]
    plain = {True: "own loss plain", False: "OWN LOSS CHANGED", None: "no step"}[row["own_loss"]]
    return "; ".join(part for part in (", ".join(have) or "nothing", plain, row["error"]) if part)


def save(rows: dict[str, Row]) -> None:
    """Write the rows, one a line."""
    ordered = [f"    {json.dumps(name)}: {json.dumps(rows[name])}" for name in [*FAMILIES, *PAIRS] if name in rows]
    versions = {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()}
    lines = ["{", '  "rows": {', ",\n".join(ordered), "  },", f'  "versions": {json.dumps(versions)}', "}"]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
