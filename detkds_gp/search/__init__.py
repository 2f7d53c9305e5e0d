"""Genetic programming on DEAP: strategies behind ask and tell, variation, selection, the loop that runs them."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.search.belief_search import BeliefSearch
    from detkds_gp.search.divide import random_formulas
    from detkds_gp.search.divide_and_conquer import DivideAndConquer, RandomSearch, RegularizedEvolution
    from detkds_gp.search.individual import Candidate, Fitness, Formula, Gene, Individual, Mix
    from detkds_gp.search.loop import Observer, run_search
    from detkds_gp.search.settings import STRATEGIES, SearchSettings, StageSettings
    from detkds_gp.search.strategy import Generation, Strategy, make_strategy, strategy_class
    from detkds_gp.search.toolbox import SeededToolbox, select_divide_and_conquer
    from detkds_gp.search.weights import CELLS, WeightRange, cell, rounded

__all__ = [
    "CELLS", "STRATEGIES", "BeliefSearch", "Candidate", "DivideAndConquer", "Fitness", "Formula", "Gene", "Generation",
    "Individual", "Mix", "Observer", "RandomSearch", "RegularizedEvolution", "SearchSettings", "SeededToolbox",
    "StageSettings", "Strategy", "WeightRange", "cell", "make_strategy", "random_formulas", "rounded", "run_search",
    "select_divide_and_conquer", "strategy_class",
]  # fmt: skip

import_lazily(__name__)
