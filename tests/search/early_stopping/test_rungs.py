"""The bookkeeping of the rungs, and their decisions against a plain reading of the rule."""

import math

import numpy as np
import pytest

from search.early_stopping.rungs import Rungs, is_promoted, spread_order
from search.pareto import non_dominated
from search.study_file.schema import rung_epochs


def brute_force_goes_on(losses, mine, reduction_factor):
    """Ranks the whole rung, front after front, one point after another; the first front goes on."""
    finite = [i for i, row in enumerate(losses) if all(math.isfinite(x) for x in row)]
    if mine not in finite or len(losses) < reduction_factor:
        return mine in finite
    ranking, left = [], list(finite)
    while left:
        rows = np.array([losses[i] for i in left])
        front = [i for i, keep in zip(left, non_dominated(rows), strict=True) if keep]
        if not ranking and mine in front:
            return True
        left = [i for i in left if i not in front]
        points = {i: np.array(losses[i]) for i in front}
        low, high = np.min(list(points.values()), axis=0), np.max(list(points.values()), axis=0)
        scaled = {i: (p - low) / np.where(high > low, high - low, 1) for i, p in points.items()}
        chosen = [min(front, key=lambda i: (*losses[i], i))]
        while len(chosen) < len(front):
            rest = [i for i in front if i not in chosen]
            gap = {i: min(np.linalg.norm(scaled[i] - scaled[j]) for j in chosen) for i in rest}
            chosen.append(min(rest, key=lambda i: (-gap[i], *losses[i], i)))
        ranking += chosen
    return mine in ranking[: math.ceil(len(losses) / reduction_factor)]


def test_rungs_lie_below_the_last_epoch():
    assert rung_epochs(1, 27, 3) == (1, 3, 9)
    assert rung_epochs(1, 28, 3) == (1, 3, 9, 27)
    assert rung_epochs(4, 12, 2) == (4, 8)
    assert rung_epochs(12, 12, 2) == ()


@pytest.mark.parametrize(("min_epochs", "reduction_factor"), [(0, 2), (1, 1)])
def test_senseless_settings_are_refused(min_epochs, reduction_factor):
    with pytest.raises(ValueError, match="must be at least"):
        rung_epochs(min_epochs, 10, reduction_factor)


def test_one_loss_is_plain_successive_halving():
    rungs = Rungs(rung_epochs(1, 10, 2), 2)
    assert rungs.on_result(0, 1, [2.0])
    assert rungs.on_result(1, 1, [1.0])
    assert not rungs.on_result(2, 1, [3.0])
    assert not rungs.on_result(3, 1, [2.5])
    assert rungs.on_result(4, 1, [1.5])
    assert rungs.on_result(1, 2, [9.0])  # the first at its rung


def test_between_rungs_everything_goes_on():
    rungs = Rungs(rung_epochs(2, 10, 2), 2)
    for trial in range(4):
        rungs.on_result(trial, 2, [0.0])
    assert all(rungs.on_result(9, epoch, [99.0]) for epoch in (1, 3, 5, 10))
    assert not rungs.on_result(9, 2, [99.0])


def test_all_go_on_until_there_is_something_to_halve():
    rungs = Rungs(rung_epochs(1, 10, 3), 3)
    assert rungs.on_result(0, 1, [0.1, 0.1])
    assert rungs.on_result(1, 1, [0.9, 0.9])
    assert not rungs.on_result(2, 1, [0.8, 0.8])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_never_goes_on(bad):
    rungs = Rungs(rung_epochs(1, 10, 4), 4)
    assert not rungs.on_result(0, 1, [bad, 1.0])
    assert all(rungs.on_result(trial, 1, [0.5, 1.0]) for trial in (1, 2))
    assert not rungs.on_result(3, 1, [0.1, bad])


def test_both_ends_of_the_front_are_ranked_first():
    error = np.linspace(0.1, 0.9, 9)
    front = np.column_stack([error, 20 - np.log(error)])
    assert set(spread_order(front, 2).tolist()) == {0, 8}
    assert spread_order(front, 3).tolist()[2] == 3  # the middle of the bent line


def test_the_first_front_goes_on_whole():
    rungs = Rungs(rung_epochs(1, 10, 2), 2)
    front = [(0.1 * i, 0.9 - 0.1 * i) for i in range(10)]
    assert all(rungs.on_result(trial, 1, losses) for trial, losses in enumerate(front))
    assert not rungs.on_result(10, 1, (0.55, 0.9))


def test_the_order_within_a_front_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    error = np.sort(rng.random(30))
    front = np.column_stack([error, np.sort(rng.random(30))[::-1]])
    np.testing.assert_array_equal(spread_order(front, 30), spread_order(front * [4, 1024], 30))
    assert sorted(spread_order(front, 30).tolist()) == list(range(30))


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("reduction_factor", [2, 3, 4])
def test_decisions_agree_with_ranking_the_whole_rung(m, reduction_factor):
    rng = np.random.default_rng([m, reduction_factor])
    for n in (1, 2, 3, 5, 12, 30):
        losses = rng.integers(0, 8, size=(n, m)).astype(float)
        losses[rng.random(n) < 0.1] = np.nan
        rung = dict(enumerate(losses.tolist()))
        for trial in range(n):
            expected = brute_force_goes_on(losses.tolist(), trial, reduction_factor)
            assert is_promoted(rung, trial, reduction_factor) == expected


@pytest.mark.parametrize("reduction_factor", [2, 3])
def test_one_in_reduction_factor_of_a_full_rung_goes_on(reduction_factor):
    losses = np.random.default_rng(0).random((61, 2)).tolist()
    rung = dict(enumerate(losses))
    going = [trial for trial in rung if is_promoted(rung, trial, reduction_factor)]
    assert len(going) == math.ceil(61 / reduction_factor)


def test_replayed_results_rebuild_the_state_in_any_order_and_count_once():
    rng = np.random.default_rng(0)
    results = [(trial, epoch, rng.random(2)) for trial in range(40) for epoch in (1, 3)]
    first, again = Rungs(rung_epochs(1, 9, 3), 3), Rungs(rung_epochs(1, 9, 3), 3)
    for trial, epoch, losses in results:
        first.on_result(trial, epoch, losses)
    for index in [*rng.permutation(len(results)), *range(len(results))]:
        again.on_result(*results[index])
    for trial, epoch, losses in results:
        assert first.on_result(trial, epoch, losses) == again.on_result(trial, epoch, losses)
    assert first.on_result(99, 3, [0.4, 0.4]) == again.on_result(99, 3, [0.4, 0.4])
