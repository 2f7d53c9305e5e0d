from __future__ import annotations

import random

import networkx as nx
import pytest
from deap import gp

from detkds_gp.export import to_networkx
from detkds_gp.language import Distiller, Map, grow, make_distiller, make_term, parse_tree
from detkds_gp.primitives import OMNI


def _tree(rng: random.Random) -> gp.PrimitiveTree:
    niche = rng.choice(OMNI.niches)
    while True:
        tree = grow(OMNI.niche(niche), rng, rng.randint(2, 16), full=rng.random() < 0.8)
        if len(tree) <= 60:
            return tree


@pytest.fixture(scope="session")
def random_trees() -> list[gp.PrimitiveTree]:
    """200 trees of 1 to 60 nodes, of every size class."""
    rng = random.Random(7)
    trees = [parse_tree("global", OMNI, Map), *(_tree(rng) for _ in range(199))]
    sizes = [len(tree) for tree in trees]
    assert min(sizes) == 1
    assert max(sizes) > 45
    return trees


@pytest.fixture(scope="session")
def random_distillers() -> list[Distiller]:
    """60 distillers of 0 to all terms, with weights and scales of many magnitudes."""
    rng = random.Random(8)
    made = [Distiller()]
    for _ in range(59):
        niches = rng.sample(OMNI.niches, rng.randint(1, len(OMNI.niches)))
        terms = []
        for niche in niches:
            tree = grow(OMNI.niche(niche), rng, rng.randint(2, 7))
            scale = rng.choice([None, 1.0, float(f"{10 ** rng.uniform(-9, 6):.3g}")])
            terms.append(make_term(tree, OMNI, rng.choice([0.5, 1, 20]), scale))
        made.append(make_distiller(terms, OMNI))
    return made


@pytest.fixture(scope="session")
def hostile_graph() -> nx.DiGraph:
    """A graph of three nodes whose every text is one that a careless writer would break on."""
    graph = to_networkx(parse_tree("l2(relu(global))", OMNI), OMNI)
    names = ("<script>alert('x')</script>", "שלום \"&'` עולם", "long_name_" * 19 + "0123456789")
    for node, name in zip(graph, names, strict=True):
        graph.nodes[node].update(label=name, kind=f"<{name}>", doc=f"]]> --> {name}")
    return graph
