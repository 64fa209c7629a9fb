import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from search.retraining.statistics import (
    bootstrap_tau,
    kendall_tau_within,
    mean_interval,
    paired_difference,
)

RNG = np.random.default_rng(0)


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.5, 0.52, 0.48, 0.55]
    interval = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert np.isnan(mean_interval([0.5]).low)


def test_intervals_hold_the_true_mean_19_times_in_20() -> None:
    hits = [
        interval.low <= 0.3 <= interval.high
        for _ in range(2000)
        for interval in [mean_interval(RNG.normal(0.3, 0.1, 5))]
    ]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)


def test_pairs_remove_what_a_seed_does_to_both() -> None:
    seeds = RNG.normal(0, 0.1, 8)
    found = paired_difference(0.6 + seeds, 0.5 + seeds + RNG.normal(0, 0.001, 8))
    assert found.pairs == 8
    assert found.difference.low <= 0.1 <= found.difference.high
    assert found.difference.high - found.difference.low < 0.01


def test_the_smallest_visible_difference_is_seen_in_4_of_5_comparisons() -> None:
    """(A little off: the t distribution of a shifted mean is not the shifted one.)"""
    seen = []
    for _ in range(1000):
        noise = RNG.normal(0, 0.01, (2, 10))
        visible = paired_difference(*noise).smallest_visible
        interval = paired_difference(noise[0] + visible, noise[1]).difference
        seen.append(interval.low > 0)
    assert np.mean(seen) == pytest.approx(0.8, abs=0.05)


values = st.lists(st.integers(0, 5), min_size=2, max_size=12)


@given(st.data())
def test_tau_over_all_pairs_is_scipys(data: st.DataObject) -> None:
    first = data.draw(values)
    second = data.draw(st.lists(st.integers(0, 5), min_size=len(first), max_size=len(first)))
    ours = kendall_tau_within(first, second, np.ones(len(first)), 1.5)
    assert ours == pytest.approx(stats.kendalltau(first, second).statistic, nan_ok=True)


@given(st.data())
def test_tau_within_a_band_is_that_of_its_pairs(data: st.DataObject) -> None:
    first = data.draw(values)
    column = st.lists(st.integers(1, 6), min_size=len(first), max_size=len(first))
    second, sizes = data.draw(column), data.draw(column)
    balance = untied_first = untied_second = 0
    for i, j in itertools.combinations(range(len(first)), 2):
        if max(sizes[i], sizes[j]) <= 1.5 * min(sizes[i], sizes[j]):
            one, other = np.sign(first[i] - first[j]), np.sign(second[i] - second[j])
            balance += one * other
            untied_first += abs(one)
            untied_second += abs(other)
    norm = (untied_first * untied_second) ** 0.5
    expected = balance / norm if norm else np.nan
    assert kendall_tau_within(first, second, sizes, 1.5) == pytest.approx(expected, nan_ok=True)


def test_the_bootstrap_interval_narrows_with_more_networks() -> None:
    widths = []
    for number in (10, 60):
        truth = RNG.normal(size=number)
        interval = bootstrap_tau(truth + RNG.normal(size=number), truth, np.ones(number))
        assert interval.low < interval.mean < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("number", [0, 1])
def test_no_pair_of_networks_says_nothing(number: int) -> None:
    interval = bootstrap_tau(np.ones(number), np.ones(number), np.ones(number))
    assert np.isnan([interval.mean, interval.low, interval.high]).all()
