"""Genetic programming on DEAP: variation, divide-and-conquer selection, the ask/tell engine."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.search.divide import random_formulas
    from detkds_gp.search.engine import Search, run_search
    from detkds_gp.search.individual import Candidate, Fitness, Formula, Gene, Individual, Mix
    from detkds_gp.search.screening import Finding
    from detkds_gp.search.settings import SearchSettings, StageSettings
    from detkds_gp.search.toolbox import SeededToolbox, select_divide_and_conquer
    from detkds_gp.search.weights import CELLS, WeightRange, cell, rounded

__all__ = [
    "CELLS",
    "Candidate",
    "Finding",
    "Fitness",
    "Formula",
    "Gene",
    "Individual",
    "Mix",
    "Search",
    "SearchSettings",
    "SeededToolbox",
    "StageSettings",
    "WeightRange",
    "cell",
    "random_formulas",
    "rounded",
    "run_search",
    "select_divide_and_conquer",
]

import_lazily(__name__)
