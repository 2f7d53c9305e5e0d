from __future__ import annotations

import pytest
from pydantic import ValidationError

from detkds_gp.search import SearchSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": ()}, "rising order"),
        ({"weights": (1.0, 0.5)}, "rising order"),
        ({"weights": (1.0, 1.0)}, "rising order"),
        ({"weights": (0.0, 1.0)}, "positive"),
        ({"weights": (0.5, 2.0)}, "divide_weight is 1.0, wanted one of weights"),
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
    assert settings.divide_weight in settings.weights
    assert settings.divide.population == 8
