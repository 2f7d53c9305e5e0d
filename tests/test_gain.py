from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detkds_gp.gain import Interval, complete_gain, paired_gain

APS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8)


@settings(max_examples=50, deadline=None)
@given(APS)
def test_agrees_with_scipys_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    treated, baseline = map(np.array, zip(*pairs, strict=True))
    differences = treated - baseline
    if np.ptp(differences) < 1e-6:
        return
    wanted = stats.ttest_rel(treated, baseline).confidence_interval(0.95)
    gain = paired_gain(treated.tolist(), baseline.tolist())
    assert [gain.mean, gain.low, gain.high] == pytest.approx([differences.mean(), wanted.low, wanted.high], abs=1e-9)


def test_equal_differences_leave_no_doubt() -> None:
    gain = paired_gain([0.5, 0.75], [0.25, 0.5])
    assert gain == Interval(0.25, 0.25, 0.25)


def test_signs_and_brackets_are_printed() -> None:
    assert str(Interval(0.02, -0.01, 0.05)) == "+0.020 [-0.010, +0.050]"


@pytest.mark.parametrize(("treated", "baseline"), [([0.1], [0.2]), ([0.1, 0.2], [0.1]), ([], [])])
def test_too_few_or_unpaired_values_are_refused(treated: list[float], baseline: list[float]) -> None:
    with pytest.raises(ValueError, match="wanted as many, 2 or more"):
        paired_gain(treated, baseline)


def test_a_gain_is_complete_or_none() -> None:
    assert complete_gain([0.5, 0.75], [0.25, 0.5]) == paired_gain([0.5, 0.75], [0.25, 0.5])
    for treated, baseline in (([0.5, None], [0.25, 0.5]), ([0.5, 0.75], [0.25, None]), ([0.5], [0.25]), ([], [])):
        assert complete_gain(treated, baseline) is None
    assert complete_gain([0.5, 0.75], [0.25, 0.5, 0.5]) is None
