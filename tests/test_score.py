import math

import pytest

from detkds_gp.score import Score


@pytest.mark.parametrize("ap", [math.nan, math.inf, -0.01, 1.01])
def test_an_ap_lies_between_0_and_1(ap):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        Score(ap)
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        Score(0.5, test_ap=ap)


def test_a_score_has_an_ap_or_a_known_failure():
    assert Score.failed("timeout").ok is False
    assert Score.failed("rejected:gradient").ap is None
    for wrong in ({"ap": None}, {"ap": 0.1, "failure": "timeout"}, {"ap": None, "failure": "bad luck"}):
        with pytest.raises(ValueError, match="failure"):
            Score(**wrong)
