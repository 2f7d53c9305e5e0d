"""How a run stands, read from outside while it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detkds_gp.evaluation.halving import climbers
from detkds_gp.fitness import ProxySettings
from detkds_gp.results import Clock, Verdict, screening_counts, state_of
from detkds_gp.score import Trial
from detkds_gp.steering.budget import Budget, spent
from detkds_gp.steering.inbox import Inbox
from detkds_gp.store import Store, writer_of
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
    proxy, seed, clock = ProxySettings.recorded(config["proxy"]), config["baseline_seeds"][0], Clock(store)
    trials = {birth.text: [Trial(birth.text, n, seed) for n in (*proxy.rungs, proxy.iterations)] for birth in births}
    answers = {text: [scores[trial] for trial in asked if trial in scores] for text, asked in trials.items()}
    highest = [known[-1] for known in answers.values() if known]
    best: dict[str, float] = {}
    for birth in births:
        score = scores.get(trials[birth.text][-1])
        if score is not None and score.ap is not None:
            best[birth.niche] = max(best.get(birth.niche, 0.0), score.ap)
    current = [one for one in births if (one.stage, one.generation) == (births[-1].stage, births[-1].generation)]
    planned = sum(sum(climbers(count, proxy)) for count in Counter(birth.niche for birth in current).values())
    phase = f"{current[0].stage} {current[0].generation}" if current else "teacher and students alone"
    started = store.events(STARTED)
    session = started[-1].detail if started else {}
    budget = Budget.parse(session["budget"]) if session.get("budget") else None
    share = session.get("gpus_per_worker") or 1.0
    state = state_of(store, work_dir)
    elapsed = clock.seconds() if state == "running" else clock.total
    plans = [event.detail for event in store.events(PLANNED)]
    left = max(0.0, plans[-1]["at_work"] + plans[-1]["seconds"] - elapsed) if plans else None
    worked = [event.detail for event in store.events(WORKED)]
    held = sum(detail["held"] for detail in worked)
    return {
        "state": state,
        "process": writer_of(work_dir),
        **_progress(store, config, phase, sum(len(answers[birth.text]) for birth in current), planned),
        "trained": sum(score.ok for score in highest),
        "failed": sum(not score.ok for score in highest),
        "screening": screening_counts(store),
        "best": best,
        "elapsed_seconds": elapsed,
        "eta_seconds": 0.0 if state == "finished" else left,
        "idle_share": 1 - sum(detail["busy"] for detail in worked) / held if held else None,
        "budget": budget.text if budget else None,
        "spent": budget.said(spent(store, budget.kind, share)) if budget else None,
        "waiting": list(Inbox(work_dir).injections().values()),
        "noise": next((event.detail["words"] for event in reversed(store.events(NOISE))), None),
    }


def _progress(store: Store, config: Mapping[str, Any], phase: str, done: int, planned: int) -> dict[str, Any]:
    """Return the phase, how many of its trainings are done and planned: those of the search unless another goes on."""
    total: int | None = planned or None
    if (judging := Verdict(store).progress) is not None:
        phase, (done, total) = "final round", judging
    elif (tuning := store.events(TUNING_PLANNED)) and not store.events(RIVALS_TUNED):
        done = sum(not record.extra and record.finished_at >= tuning[0].time for record in store.scores())
        total = tuning[0].detail["each"] * len(config["verdict"]["rivals"]) or None
        phase = "tuning the weights of rivals"
    return {"phase": phase, "done": done, "total": total}
