"""What a search of each of the paper's eight pairs is planned to take, by the counts that `full_step.py` saved.

Trainings are counted in lengths of the proxy's, as the config plans them: the students alone, divide and conquer, and
the final round, which trains longer. Hours are operations under PKD at the proxy's image size, in proportion to the
area, at 10 TFLOP/s sustained, an assumption; evaluations and calibrations come on top.

    python benchmarks/search_hours.py

prints a Markdown table. Nothing is trained.
"""

from __future__ import annotations

import json

from full_step import CLASSES, FULL, PAIRS, RESULTS, ROOT, SMALL

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.detectors import build_detector, check_pair
from detkds_gp.evaluation.halving import planned_iterations
from detkds_gp.final_round import plan_final_round
from detkds_gp.language import load_primitive_set
from detkds_gp.listener import Listener
from detkds_gp.screening import pass_all
from detkds_gp.search import Generation, make_strategy
from detkds_gp.setup.prepare import narrowed

SUSTAINED = 1e13


def searched(pair: str) -> tuple[ExperimentConfig, list[Generation]]:
    """Return a pair's config, and what its search plans."""
    config = load_config(ROOT / "configs" / "coco" / f"{pair}.py")
    bare = {"checkpoint": None, "overrides": {"model.backbone.init_cfg": None}}
    student, teacher = (
        build_detector(side.model_copy(update=bare).spec(), CLASSES, initialise=False)
        for side in (config.student, config.teacher)
    )
    shared = check_pair(student, teacher, SMALL[0], (CLASSES, CLASSES))
    grammar = load_primitive_set(config.primitive_set)
    kept = narrowed(grammar, config, shared, Listener())
    return config, make_strategy(kept, config.search, config.seed, pass_all).plan()


def trainings(config: ExperimentConfig, search: list[Generation]) -> tuple[float, float]:
    """Return the trainings before the final round and in it, in lengths of the proxy's."""
    length, final = config.proxy.iterations, plan_final_round(config, search)
    before = planned_iterations(search, config.proxy) / length + len(config.baseline_seeds)
    return before, (final.places + 1) * len(final.seeds) * final.iterations / length


def hours(config: ExperimentConfig, count: float, tflop_an_image: float) -> float:
    """Return how long some trainings take; ``tflop_an_image`` is a step's at the full size."""
    height, width = config.proxy.image_size
    images = count * config.proxy.iterations * config.proxy.batch_size
    return images * tflop_an_image * 1e12 * height * width / (FULL[0] * FULL[1]) / SUSTAINED / 3600


def main() -> None:
    counted = json.loads(RESULTS.read_text())["pairs"]
    print("| PAIR | knowledges | trainings before the final round | in it | hours, 1 GPU | hours, 8 GPUs |")
    print("|---|---|---|---|---|---|")
    for pair in PAIRS:
        config, search = searched(pair)
        before, final = trainings(config, search)
        step = counted.get(pair, {}).get("distilled_tflop_an_image")
        taken = hours(config, before + final, step) if step else None
        told = " | " if taken is None else f"{taken:.0f} | {taken / 8:.0f}"
        print(f"| `{pair}` | {len(search[0].niches)} | {before:.0f} | {final:.0f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
