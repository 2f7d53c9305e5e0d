"""What a budget cut of a run: sizes, generations, candidates, finalists and seeds, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detkds_gp.score import NOT_BEGUN
from detkds_gp.store import FIRST, Store
from detkds_gp.store.events import FINAL_CUT, FINAL_HELD, FINAL_PLANNED, FINAL_RACED, SEARCH_PLANNED, TUNING_PLANNED


def cuts(store: Store) -> list[str]:
    """Return what was left out of all that the settings plan, each in one line; empty where nothing was."""
    planned = store.events(SEARCH_PLANNED)
    search: Sequence[Mapping[str, Any]] = planned[0].detail["generations"] if planned else ()
    return [*_sizes(store, search), *_generations(store, search), *_candidates(store), *_final_round(store)]


def _sizes(store: Store, search: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say by stage how much smaller generations were than planned."""
    planned = {(one["stage"], one["number"]): one for one in search}
    most: int | None = (store.steering(search[0]["stage"], FIRST) or {}).get("most") if search else None
    smaller: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for place in [(generation.stage, generation.number) for generation in store.generations()]:
        one = planned.get(place, {"size": 0})  # no plan is recorded before the first session is prepared
        if most is not None and most < one["size"]:
            smaller[one["stage"], one["what"]].append((most, one["size"]))
        told = store.steering(*place) or {}
        most = told["most"] if told.get("most") is not None else most
    for (stage, what), cut in smaller.items():
        got, wanted = (_spread([pair[side] for pair in cut]) for side in (0, 1))
        yield f"{stage}: {got} new {what} instead of {wanted} in {_counted(len(cut), 'generation')}"


def _generations(store: Store, search: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which stages ended before their last generation, once the run has gone on."""
    held = [generation.stage for generation in store.generations()]
    stages = list(dict.fromkeys(one["stage"] for one in search))
    begun = [place for place, stage in enumerate(stages) if stage in held]
    over = stages if store.events(FINAL_HELD) else stages[: begun[-1]] if begun else []
    for stage in over:
        count, planned = held.count(stage), sum(one["stage"] == stage for one in search)
        if count < planned:
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
        names = [name if count == 1 else f"{name} ({count})" for name, count in Counter(left).items()]
        yield f"final round: {_counted(judged, 'formula')} judged; left out: {', '.join(names)}"
    for racing in (event.detail for event in store.events(FINAL_RACED)):
        if len(held["race"]) < len(racing["race"]):
            yield f"final round: the race ended after {len(held['race'])} of {_counted(len(racing['race']), 'seed')}"
    if cut := store.events(FINAL_CUT):
        told = cut[0].detail
        if len(told["finalists"]) < len(held["finalists"]):
            yield f"final round: {len(told['finalists'])} of {_counted(len(held['finalists']), 'formula')} in time"
        yield f"final round: {len(told['seeds'])} of {_counted(len(held['seeds']), 'seed')}"


def _spread(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
