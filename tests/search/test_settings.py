from __future__ import annotations

import pytest
from pydantic import ValidationError

from detkds_gp.search import SearchSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_range": (1.0,)}, "weight_range"),
        ({"weight_range": (1.0, 0.5)}, "the lower one first"),
        ({"weight_range": (0.0, 1.0)}, "wanted two positive numbers"),
        ({"weight_range": (1.0, float("inf"))}, "wanted two positive numbers"),
        ({"weights": (0.5, 2.0)}, "weights"),
        ({"min_depth": 7}, "min_depth 7 is above max_depth 6"),
        ({"divide": {"population": 0}}, "population"),
        ({"mutation": 1.1}, "mutation"),
        ({"mutations": 0.5}, "mutations"),
        ({"strategy": "grid"}, "evolution"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        SearchSettings(**values)


def test_the_defaults_fit_each_other():
    settings = SearchSettings()
    low, high = settings.weight_range
    assert low < 1 < high
    assert high / low >= 1e5
    assert settings.divide.population == 8
