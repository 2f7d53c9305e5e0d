"""Optuna's samplers on the grammar of the search, as a conditional space in which every draw is a distiller.

A trial names the knowledges that take part, at least one; of each a depth limit, then node after node from the root:
whether it is a leaf, which one, and what stands below; and a weight on a logarithmic scale. What it can choose at a
node depends on kind and depth left alone, so each choice is a parameter of its own place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import optuna
from deap import gp

from detkds_gp.language import Distiller, Loss, PrimitiveSet, make_distiller, make_term
from detkds_gp.language.declarations import KindType
from detkds_gp.language.tree import Node
from detkds_gp.search import SearchSettings, rounded

POPULATION = 20
"""Of NSGA-II, whose default of 50 would leave no generations."""

SAMPLERS: Mapping[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "Optuna, TPE": lambda seed: optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed),
    "Optuna, NSGA-II": lambda seed: optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed),
}


def optimised(
    name: str, primitive_set: PrimitiveSet, score: Callable[[Distiller], float], trainings: int, seed: int
) -> list[Distiller]:
    """Let a sampler ask for so many trainings.

    Args:
        name: of `SAMPLERS`.
        primitive_set: the grammar.
        score: gives the AP of a training.
        trainings: how many.
        seed: of the sampler.

    Returns:
        all distillers, each once, the best score first.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[str, tuple[Distiller, float]] = {}

    def objective(trial: optuna.Trial) -> float:
        distiller = suggested(trial, primitive_set)
        return found.setdefault(distiller.text, (distiller, score(distiller)))[1]

    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[name](seed))
    study.optimize(objective, n_trials=trainings)
    return [distiller for distiller, _ in sorted(found.values(), key=lambda one: -one[1])]


def suggested(trial: optuna.Trial, primitive_set: PrimitiveSet) -> Distiller:
    """Return the distiller that a trial suggests."""
    niches, (low, high) = list(primitive_set.niches), SearchSettings().weight_range
    first = trial.suggest_categorical("first", niches)
    terms = []
    for niche in niches:
        if niche == first or trial.suggest_categorical(f"{niche}?", [False, True]):
            tree = _tree(trial, primitive_set.niche(niche), niche)
            weight = rounded(trial.suggest_float(f"{niche}/weight", low, high, log=True))
            terms.append(make_term(tree, primitive_set, weight))
    return make_distiller(terms, primitive_set)


def _tree(trial: optuna.Trial, grammar: PrimitiveSet, niche: str) -> gp.PrimitiveTree:
    settings = SearchSettings()
    lowest = max(settings.min_depth, grammar.min_height(Loss))
    limit = trial.suggest_int(f"{niche}/depth", lowest, settings.max_depth)
    nodes: list[Node] = []
    pending: list[tuple[KindType, int, str]] = [(Loss, limit, niche)]
    while pending:
        kind, height, path = pending.pop()
        node = _node(trial, grammar, kind, height, f"{path}/{kind.__name__}{height}")
        nodes.append(node)
        if isinstance(node, gp.Primitive):
            below = [(argument, height - 1, f"{path}.{place}") for place, argument in enumerate(node.args)]
            pending.extend(reversed(below))
    return gp.PrimitiveTree(nodes)


def _node(trial: optuna.Trial, grammar: PrimitiveSet, kind: KindType, height: int, place: str) -> Node:
    leaves = grammar.terminals[kind]
    functions = [function for function in grammar.primitives[kind] if grammar.reach(function) <= height]
    leaf = trial.suggest_categorical(f"{place}?", [False, True]) if leaves and functions else bool(leaves)
    choices, name = (leaves, f"{place} leaf") if leaf else (functions, place)
    return choices[trial.suggest_categorical(name, list(range(len(choices))))]
