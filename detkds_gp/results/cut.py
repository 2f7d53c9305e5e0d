"""What a budget cut of a run: sizes, generations, candidates, finalists and seeds, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detkds_gp.score import NOT_BEGUN
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_CUT, FINAL_HELD, FINAL_PLANNED, FINAL_RACED, TUNING_PLANNED

_FIRST = -1
"""The number of the decision before the first generation."""


def cuts(store: Store) -> list[str]:
    """Return what was left out of all that the settings plan, each in one line; empty where nothing was.

    Args:
        store: of a started experiment.
    """
    search: Mapping[str, Any] = store.bound_to()["config"]["search"]
    return [*_sizes(store, search), *_generations(store, search), *_candidates(store), *_final_round(store)]


def _sizes(store: Store, search: Mapping[str, Any]) -> Iterator[str]:
    """Say by stage how much smaller generations were than planned."""
    most: int | None = (store.steering("divide", _FIRST) or {}).get("most")
    smaller: dict[str, list[tuple[int, int]]] = {"divide": [], "conquer": []}
    for generation in store.generations():
        sizes = search[generation.stage]
        planned = sizes["offspring" if generation.number else "population"]
        if most is not None and most < planned:
            smaller[generation.stage].append((most, planned))
        told = store.steering(generation.stage, generation.number) or {}
        most = told["most"] if told.get("most") is not None else most
    for stage, cut in smaller.items():
        if cut:
            what = "new formulas of each knowledge" if stage == "divide" else "new mixes"
            got, wanted = (_spread([pair[side] for pair in cut]) for side in (0, 1))
            yield f"{stage}: {got} {what} instead of {wanted} in {_counted(len(cut), 'generation')}"


def _generations(store: Store, search: Mapping[str, Any]) -> Iterator[str]:
    """Say which stages ended before their last generation, once the run has gone on."""
    held = [(generation.stage, generation.number) for generation in store.generations()]
    over = {"divide": any(stage == "conquer" for stage, _ in held), "conquer": False}
    if store.events(FINAL_HELD):
        over = dict.fromkeys(over, True)
    for stage, ended in over.items():
        count, planned = sum(name == stage for name, _ in held), search[stage]["generations"] + 1
        if ended and count < planned:
            yield f"{stage}: {count} of {_counted(planned, 'generation')}"


def _candidates(store: Store) -> Iterator[str]:
    missing = sum(record.score.failure == NOT_BEGUN for record in store.scores())
    if missing:
        yield f"{_counted(missing, 'candidate')} not trained: what had to follow needed the rest of the budget"


def _final_round(store: Store) -> Iterator[str]:
    rounds = [event.detail for kind in (FINAL_PLANNED, FINAL_HELD) for event in store.events(kind)]
    if rounds and rounds[-1]["reduced"]:  # as it was held, once it is
        yield rounds[-1]["reduced"]
    for tuned in (event.detail for event in store.events(TUNING_PLANNED)):
        if tuned["each"] < tuned["planned"]:
            yield f"rivals: {tuned['each']} trainings tune the weight of each instead of {tuned['planned']}"
    held = next((event.detail for event in store.events(FINAL_HELD)), None)
    if held is None:
        return
    if left := held.get("left_out"):
        judged = len(held["finalists"]) + len(held.get("dropped", ()))
        yield f"final round: {_counted(judged, 'formula')} judged; left out: {', '.join(_gathered(left))}"
    for racing in (event.detail for event in store.events(FINAL_RACED)):
        if len(held["race"]) < len(racing["race"]):
            yield f"final round: the race ended after {len(held['race'])} of {_counted(len(racing['race']), 'seed')}"
    if cut := store.events(FINAL_CUT):
        yield f"final round: {len(cut[0].detail['seeds'])} of {_counted(len(held['seeds']), 'seed')}"


def _spread(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _gathered(names: Sequence[str]) -> list[str]:
    """Return each name once, with how often it stands there."""
    return [name if count == 1 else f"{name} ({count})" for name, count in Counter(names).items()]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
