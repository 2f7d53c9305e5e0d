"""How a run stands, read from outside while it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.experiment.answers import screening_counts
from detkds_gp.experiment.config import VerdictSettings
from detkds_gp.experiment.results import Verdict, tuning_trainings
from detkds_gp.experiment.rungs import climbers
from detkds_gp.experiment.steering.budget import Budget, Meter, Outlook
from detkds_gp.experiment.steering.inbox import Inbox
from detkds_gp.fitness import ProxySettings
from detkds_gp.noise import noise_of, scores_of
from detkds_gp.score import Score, Trial
from detkds_gp.search import SearchSettings
from detkds_gp.store import Birth, Store, session_seconds, writer_of
from detkds_gp.store.events import FINISHED, STARTED, WORKED, explaining


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
        return _status(store, store.bound_to()["config"], writer_of(work_dir), Inbox(work_dir))


def _status(store: Store, config: Mapping[str, Any], writer: str | None, inbox: Inbox) -> dict[str, Any]:
    births, scores = store.births(), {record.trial: record.score for record in store.scores()}
    trials = {b.text: Trial(b.text, config["proxy"]["iterations"], config["baseline_seeds"][0]) for b in births}
    last = (births[-1].stage, births[-1].generation) if births else None
    current = [b.text for b in births if (b.stage, b.generation) == last]
    proxy, verdict = ProxySettings.recorded(config["proxy"]), Verdict(store)
    climbed = [Trial(t, n, config["baseline_seeds"][0]) for t in current for n in (*proxy.rungs, proxy.iterations)]
    done = sum(trial in scores for trial in climbed)
    judged = sum(trial in scores for finalist in verdict.finalists for trial in verdict.trials(finalist.text))
    best: dict[str, float] = {}
    for birth in births:
        score = scores.get(trials[birth.text])
        if score is not None and score.ap is not None:
            best[birth.niche] = max(best.get(birth.niche, 0.0), score.ap)
    meter = _meter(store, config, len({b.niche for b in births if b.stage == "divide"}))
    planned = sum(climbers(len(current), proxy))
    finished = bool(store.events(FINISHED))
    running = writer is not None and not explaining(store.events())
    state = "running" if running else "finished" if finished else "stopped"
    worked = [event.detail for event in store.events(WORKED)]
    held = sum(detail["held"] for detail in worked)
    known = _last_answers(births, scores, [*proxy.rungs, proxy.iterations], config["baseline_seeds"][0])
    return {
        "state": state,
        "process": writer,
        "phase": _phase(verdict, last),
        "done": judged if verdict.finalists else done,
        "total": meter.outlook.verdict if verdict.finalists else planned or None,
        "trained": sum(score.ok for score in known),
        "failed": sum(not score.ok for score in known),
        "screening": screening_counts(store),
        "best": best,
        "elapsed_seconds": _elapsed(store, running),
        "eta_seconds": _eta(meter, last, planned - done, judged if verdict.finalists else None, finished),
        "idle_share": 1 - sum(detail["busy"] for detail in worked) / held if held else None,
        "budget": meter.budget.text if meter.budget else None,
        "spent": meter.budget.said(meter.spent()) if meter.budget else None,
        "waiting": [wish.formula for wish in inbox.wishes()],
        "noise": None if (noise := noise_of(scores_of(scores.items(), proxy.iterations))) is None else str(noise),
    }


def _last_answers(
    births: Sequence[Birth], scores: Mapping[Trial, Score], rungs: Sequence[int], seed: int
) -> list[Score]:
    """Return what is known of every formula on the highest rung that it reached."""
    told = [[scores.get(Trial(birth.text, rung, seed)) for rung in rungs] for birth in births]
    known = [[score for score in reached if score is not None] for reached in told]
    return [reached[-1] for reached in known if reached]


def _phase(verdict: Verdict, last: tuple[str, int] | None) -> str:
    if verdict.finalists:
        return "final round"
    return f"{last[0]} {last[1]}" if last else "teacher and students alone"


def _meter(store: Store, config: Mapping[str, Any], niches: int) -> Meter:
    started = store.events(STARTED)
    session = started[-1].detail if started else {}
    budget = Budget.parse(session["budget"]) if session.get("budget") else None
    verdict = Verdict(store)
    search = SearchSettings.model_validate(config["search"])
    outlook = Outlook(
        search,
        ProxySettings.recorded(config["proxy"]),
        niches,
        verdict.places * len(verdict.seeds),
        config["verdict"]["share"],
        tuning_trainings(search, VerdictSettings.model_validate(config["verdict"])),
    )
    return Meter(budget, outlook, store, session.get("workers", 1), session.get("gpus_per_worker") or 1.0)


def _elapsed(store: Store, running: bool) -> float:
    moment = time.time() if running else store.last_activity(time.time() + 1.0) or 0.0
    return session_seconds(store, lambda: moment)


def _eta(meter: Meter, last: tuple[str, int] | None, waiting: int, judged: int | None, finished: bool) -> float | None:
    """Estimate the seconds to the end of all that is planned; None before the first formula is asked."""
    if finished or last is None:
        return 0.0 if finished else None
    if judged is not None:
        return meter.seconds(meter.outlook.verdict - judged, verdict=True)
    return meter.seconds(waiting) + meter.remaining_seconds(*last)
