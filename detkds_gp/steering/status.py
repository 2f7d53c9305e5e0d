"""How a run stands, read from outside while it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.evaluation.halving import climbers
from detkds_gp.fitness import ProxySettings
from detkds_gp.results import Clock, Verdict, screening_counts, state_of
from detkds_gp.score import Score, Trial
from detkds_gp.steering.budget import Budget, spent
from detkds_gp.steering.inbox import Inbox
from detkds_gp.store import Birth, Store, writer_of
from detkds_gp.store.events import NOISE, PLANNED, RIVALS_TUNED, STARTED, TUNING_PLANNED, WORKED


def read_status(work_dir: Path) -> dict[str, Any]:
    """Return how a run stands, as JSON values; what is not known yet is null.

    Returns:
        ``state`` (running, finished, stopped), ``process``, ``phase``, ``done`` and ``total`` of its trainings,
        ``trained``, ``failed``, ``screening``, ``best`` AP by niche, ``elapsed_seconds``, ``eta_seconds``,
        ``idle_share``, ``budget``, ``spent``, ``waiting`` injections, ``noise`` of scores in words.

    Raises:
        StoreError: there is no readable store, or nothing was started there.
    """
    with Store.open(work_dir, readonly=True) as store:
        return _status(store, store.bound_to()["config"], work_dir)


def _status(store: Store, config: Mapping[str, Any], work_dir: Path) -> dict[str, Any]:
    births, scores = store.births(), {record.trial: record.score for record in store.scores()}
    trials = {b.text: Trial(b.text, config["proxy"]["iterations"], config["baseline_seeds"][0]) for b in births}
    last = (births[-1].stage, births[-1].generation) if births else None
    current = [b.text for b in births if (b.stage, b.generation) == last]
    proxy, verdict = ProxySettings.recorded(config["proxy"]), Verdict(store)
    climbed = [Trial(t, n, config["baseline_seeds"][0]) for t in current for n in (*proxy.rungs, proxy.iterations)]
    done = sum(trial in scores for trial in climbed)
    best: dict[str, float] = {}
    for birth in births:
        score = scores.get(trials[birth.text])
        if score is not None and score.ap is not None:
            best[birth.niche] = max(best.get(birth.niche, 0.0), score.ap)
    started = store.events(STARTED)
    session = started[-1].detail if started else {}
    budget = Budget.parse(session["budget"]) if session.get("budget") else None
    niches = Counter(birth.niche for birth in births if (birth.stage, birth.generation) == last)
    planned = sum(sum(climbers(count, proxy)) for count in niches.values())
    state, clock = state_of(store, work_dir), Clock(store)
    elapsed = clock.seconds() if state == "running" else clock.total
    worked = [event.detail for event in store.events(WORKED)]
    held = sum(detail["held"] for detail in worked)
    known = _last_answers(births, scores, [*proxy.rungs, proxy.iterations], config["baseline_seeds"][0])
    return {
        "state": state,
        "process": writer_of(work_dir),
        **_progress(store, config, verdict, last, (done, planned)),
        "trained": sum(score.ok for score in known),
        "failed": sum(not score.ok for score in known),
        "screening": screening_counts(store),
        "best": best,
        "elapsed_seconds": elapsed,
        "eta_seconds": 0.0 if state == "finished" else _eta(store, elapsed),
        "idle_share": 1 - sum(detail["busy"] for detail in worked) / held if held else None,
        "budget": budget.text if budget else None,
        "spent": budget.said(spent(store, budget, session.get("gpus_per_worker") or 1.0)) if budget else None,
        "waiting": [injection.formula for injection in Inbox(work_dir).injections()],
        "noise": next((event.detail["words"] for event in reversed(store.events(NOISE))), None),
    }


def _last_answers(
    births: Sequence[Birth], scores: Mapping[Trial, Score], rungs: Sequence[int], seed: int
) -> list[Score]:
    """Return what is known of every formula on the highest rung that it reached."""
    told = [[scores.get(Trial(birth.text, rung, seed)) for rung in rungs] for birth in births]
    known = [[score for score in reached if score is not None] for reached in told]
    return [reached[-1] for reached in known if reached]


def _progress(
    store: Store,
    config: Mapping[str, Any],
    verdict: Verdict,
    last: tuple[str, int] | None,
    generation: tuple[int, int],
) -> dict[str, Any]:
    """Return the phase, how many of its trainings are done, and how many there are.

    Args:
        store: of the run.
        config: of the run.
        verdict: of the run.
        last: stage and number of the last generation that was born.
        generation: trainings of it that are done, and that there are.
    """
    if verdict.progress is not None:
        done, total = verdict.progress
        return {"phase": "final round", "done": done, "total": total}
    if (tuning := store.events(TUNING_PLANNED)) and not store.events(RIVALS_TUNED):
        tuned = sum(not r.extra and r.finished_at >= tuning[0].time for r in store.scores())
        total = tuning[0].detail["each"] * len(config["verdict"]["rivals"])
        return {"phase": "tuning the weights of rivals", "done": tuned, "total": total or None}
    phase = f"{last[0]} {last[1]}" if last else "teacher and students alone"
    return {"phase": phase, "done": generation[0], "total": generation[1] or None}


def _eta(store: Store, elapsed: float) -> float | None:
    """Return the seconds at work to the end by the last plan; None before the first."""
    planned = store.events(PLANNED)
    if not planned:
        return None
    return max(0.0, planned[-1].detail["at_work"] + planned[-1].detail["seconds"] - elapsed)
