"""The final round as it is held: rivals are tuned, many finalists race, and those who are left are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detkds_gp.evaluation import Allowance, EvaluationService, Question
from detkds_gp.final_round import FinalRound, Race, Rival, finalists, kept, plan_race
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.results import MIX, Finalist, Ranked, Summary
from detkds_gp.results.finalist import LEAST_JUDGED, LEFT
from detkds_gp.score import Trial
from detkds_gp.setup.context import RunContext
from detkds_gp.steering import Controller
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_CUT, FINAL_HELD, FINAL_RACED


@dataclass(frozen=True)
class Judging:
    """Holds the final round of a search that is over; what is answered or decided before is not asked again.

    Attributes:
        ranking: of the search, best first.
        rivals: of the final round, the best first.
    """

    context: RunContext
    summary: Summary
    store: Store
    evaluations: EvaluationService
    controller: Controller
    ranking: Sequence[Ranked]
    rivals: Sequence[Rival]

    def hold(self, final: FinalRound) -> None:
        """Invite, race where it saves trainings, and judge on the seeds of the planned final round."""
        if not self.store.events(FINAL_HELD):
            self._race(self._invited(final), final)
        self._judge()

    def _invited(self, final: FinalRound) -> list[Finalist]:
        """Return who takes part; recorded at once where that is who is judged, or who races."""
        if raced := self.store.events(FINAL_RACED):
            return [Finalist(**values) for values in raced[0].detail["finalists"]]
        rivals = list(self.rivals)
        if (mix := self.summary.mix(self.ranking)) is not None:
            rivals.append(Rival(Finalist(mix.text, MIX)))
        champions = {niche: ranked.text for niche, ranked in self.summary.champions(self.ranking).items()}
        wished = finalists([ranked.text for ranked in self.ranking], champions, rivals, final.places)
        places = self.controller.planner.judged()
        chosen, left_out = wished[:places], wished[places:]
        if (race := self._planned(chosen, final)) is not None:
            told = {"race": race.seeds, "sizes": race.sizes, "judging": race.judging}
            self.store.record_event(FINAL_RACED, **final.to_json(chosen, left_out), **told)
            self._say(f"{len(chosen)} finalists race: {race}")
        else:
            self.store.record_event(FINAL_HELD, **final.to_json(chosen, left_out))
        return chosen

    def _planned(self, chosen: Sequence[Finalist], final: FinalRound) -> Race | None:
        config = self.context.config
        return plan_race(len(chosen), final.seeds, [*config.baseline_seeds, *config.verdict.seeds])

    def _race(self, invited: Sequence[Finalist], final: FinalRound) -> None:
        """Train fewer and fewer seed by seed, while the budget leaves time to judge; record who is left."""
        race = self._planned(invited, final)
        if race is None:
            return
        left, aps = list(invited), {finalist.text: list[float | None]() for finalist in invited}
        held: list[int] = []
        for seed, size, stay in race.rounds:
            trials = [Trial(finalist.text, final.iterations, seed, test=True) for finalist in left]
            self._ask(trials, self.controller.watch.racing(size))
            scores = [self.store.score(trial) for trial in trials]
            if None in scores:
                self._say(f"the budget ended the race after {len(held)} of {len(race.seeds)} seeds")
                break
            held.append(seed)
            for finalist, score in zip(left, scores, strict=True):
                aps[finalist.text].append(score.ap if score is not None else None)
            left = kept(left, aps, stay)
        left = kept(left, aps, LEFT)
        dropped = [
            {**vars(one), "seeds": held[: len(aps[one.text])]}
            for one in sorted(invited, key=lambda one: -len(aps[one.text]))
            if one not in left
        ]
        (invitation,) = self.store.events(FINAL_RACED)
        told = {**final.to_json(left), "left_out": invitation.detail["left_out"], "seeds": list(race.judging)}
        self.store.record_event(FINAL_HELD, **told, race=held, dropped=dropped)

    def _judge(self) -> None:
        """Train everyone who is judged; what a budget leaves no time for is recorded once.

        Where the machine became so slow that not even two seeds are complete, the leader and the best rivals go on.
        """
        verdict, fewest = self.summary.verdict, self.controller.planner.final_stages.least_places
        chosen = verdict.finalists
        complete = self._judged_on(chosen)
        if len(complete) < min(LEAST_JUDGED, len(verdict.seeds)) and len(chosen) > fewest:
            chosen = chosen[:fewest]
            complete = self._judged_on(chosen)
        if len(complete) < len(verdict.seeds):
            self.store.record_event(FINAL_CUT, seeds=complete, finalists=[dict(vars(one)) for one in chosen])
            self._say(f"the budget ended after {len(complete)} of {len(verdict.seeds)} seeds of the final round")
        if self.summary.verdict.winner() is None:
            self._say("nobody was judged on every seed: there is no winner, only the leader of the search")

    def _judged_on(self, finalists: Sequence[Finalist]) -> list[int]:
        """Train finalists and the student alone seed by seed while the budget lasts; return the seeds they all have."""
        verdict = self.summary.verdict
        texts = [*(finalist.text for finalist in finalists), NONE]
        trials = [trial for seed in zip(*map(verdict.trials, texts), strict=True) for trial in seed]
        asked = [trial for trial in trials if trial.distiller != NONE or self.store.score(trial) is None]
        places = len(finalists) + bool(verdict.raced)  # a race wins seeds that the student alone has not seen
        self._ask(asked, self.controller.watch.judging(places, len(verdict.complete_seeds(finalists))))
        return verdict.complete_seeds(finalists)

    def _ask(self, trials: Sequence[Trial], allowance: Allowance) -> None:
        known = {ranked.text: ranked.distiller for ranked in self.ranking}
        for text in {trial.distiller for trial in trials} - known.keys():
            known[text] = parse_distiller(text, self.summary.primitive_set)
        questions = [Question(trial, known[trial.distiller], "final") for trial in trials]
        self.evaluations.scores("final round", questions, allowance)

    def _say(self, line: str) -> None:
        self.context.listener.say(line)
