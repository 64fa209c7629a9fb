"""Dominance and hypervolume against brute force, known values, and the rules that choose a point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from hgcnet.errors import RunError
from search.pareto import (
    CostRange,
    HypervolumeBounds,
    choose,
    hypervolume_2d,
    hypervolume_3d,
    knee,
    non_dominated,
    non_dominated_rank,
    normalised_costs,
    normalised_hypervolume,
    running_hypervolume,
)

FLOPS = CostRange(metric="flops", low=1e6, high=1e8)
PARAMS = CostRange(metric="num_params", low=1e3, high=1e5)
BOUNDS = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=0.2)
BOTH = HypervolumeBounds(costs=(FLOPS, PARAMS), reference_accuracy=0.2)


def brute_force_front(losses):
    """All pairs, straight from the definition."""
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)
    better = (losses[:, None, :] < losses[None, :, :]).any(axis=2)
    return ~(no_worse & better).any(axis=0) & ~np.isnan(losses).any(axis=1)


def brute_force_ranks(losses):
    ranks = np.full(len(losses), -1)
    rank = 0
    while (left := np.flatnonzero(ranks < 0)).size:
        front = brute_force_front(losses[left])
        ranks[left[front] if front.any() else left] = rank  # only NaN rows have an empty front
        rank += 1
    return ranks


def random_losses(rng, n, m):
    """Few distinct values, so that ties and duplicates are common; one row in ten has a NaN."""
    losses = rng.integers(0, 12, size=(n, m)).astype(float)
    losses[rng.random(n) < 0.1, rng.integers(m)] = np.nan
    return losses


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 7, 60, 300])
def test_dominance_agrees_with_all_pairs(n, m):
    rng = np.random.default_rng([n, m])
    for _ in range(5):
        losses = random_losses(rng, n, m)
        np.testing.assert_array_equal(non_dominated(losses), brute_force_front(losses))
        np.testing.assert_array_equal(non_dominated_rank(losses), brute_force_ranks(losses))


@given(arrays(float, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=st.floats()))
def test_dominance_agrees_with_all_pairs_for_any_floats(losses):
    np.testing.assert_array_equal(non_dominated(losses), brute_force_front(losses))
    np.testing.assert_array_equal(non_dominated_rank(losses), brute_force_ranks(losses))


def test_equal_points_are_both_kept():
    assert non_dominated([[1, 2], [1, 2], [2, 1], [2, 2]]).tolist() == [True, True, True, False]


def test_rows_with_nan_form_the_last_front():
    losses = [[np.nan, 0], [1, 1], [2, 2], [0, np.nan]]
    assert non_dominated_rank(losses).tolist() == [2, 0, 1, 2]
    assert non_dominated_rank([[np.nan, 0]]).tolist() == [0]
    assert not non_dominated([[np.nan, 0]]).any()


def test_the_front_of_ten_thousand_points_is_their_staircase():
    losses = np.random.default_rng(0).random((10_000, 2))
    second = losses[np.argsort(losses[:, 0]), 1]
    is_step = second == np.minimum.accumulate(second)
    front = non_dominated(losses)
    assert sorted(losses[front, 1]) == sorted(second[is_step])
    assert np.array_equal(front, non_dominated_rank(losses) == 0)


def test_ten_thousand_points_on_one_front_are_found():
    first = np.random.default_rng(0).permutation(10_000).astype(float)
    assert non_dominated(np.column_stack([first, -first])).all()


def test_hypervolume_of_known_fronts():
    assert hypervolume_2d([[0, 0]], [1, 1]) == 1
    assert hypervolume_2d([[0.5, 0.25]], [1, 1]) == 0.375
    assert hypervolume_2d([[0, 0.5], [0.5, 0]], [1, 1]) == 0.75
    assert hypervolume_2d([[0, 0.5], [0.5, 0], [0.5, 0.5], [0, 0.5]], [1, 1]) == 0.75
    assert hypervolume_2d(np.empty((0, 2)), [1, 1]) == 0


def test_points_beyond_the_reference_contribute_nothing():
    beyond = [[1, 0], [0, 1], [2, -5], [-5, 1.5], [np.nan, 0]]
    assert hypervolume_2d(beyond, [1, 1]) == 0
    assert hypervolume_2d([*beyond, [0.5, 0.5]], [1, 1]) == 0.25


@pytest.mark.parametrize("seed", range(20))
def test_hypervolume_agrees_with_counting_cells(seed):
    rng = np.random.default_rng(seed)
    side = 20
    losses = random_losses(rng, int(rng.integers(1, 40)), 2) * 2  # partly beyond the reference
    corners = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1)  # (side, side, 2)
    covered = (losses[:, None, None, :] <= corners).all(axis=3).any(axis=0)
    assert hypervolume_2d(losses, [side, side]) == covered.sum()


@pytest.mark.parametrize("seed", range(20))
def test_hypervolume_of_three_losses_agrees_with_counting_cells(seed):
    rng = np.random.default_rng(seed)
    side = 16
    losses = random_losses(rng, int(rng.integers(1, 40)), 3) * 2  # partly beyond the reference
    corners = np.stack(np.meshgrid(*3 * [np.arange(side)]), axis=-1)  # (side, side, side, 3)
    covered = (losses[:, None, None, None, :] <= corners).all(axis=4).any(axis=0)
    assert hypervolume_3d(losses, 3 * [side]) == covered.sum()


def test_hypervolume_of_three_losses_of_known_fronts():
    assert hypervolume_3d(np.empty((0, 3)), [1, 1, 1]) == 0
    assert hypervolume_3d([[0, 0, 0]], [1, 1, 1]) == 1
    assert hypervolume_3d([[0.5, 0.5, 0.5], [0, 0, 1], [0, 2, 0]], [1, 1, 1]) == 0.125
    assert hypervolume_3d([[0, 0, 0.5], [0.5, 0.5, 0]], [1, 1, 1]) == 0.625


def test_normalised_hypervolume_is_measured_on_log_flops():
    # Halfway between 1e6 and 1e8 on the log axis, halfway between 0.2 and 1.
    assert normalised_hypervolume([0.6], [[1e7]], BOUNDS) == pytest.approx(0.25)
    assert normalised_hypervolume([1.0], [[1e6]], BOUNDS) == pytest.approx(1)


def test_normalised_hypervolume_counts_nothing_at_the_reference_or_beyond_the_ideal():
    flops = np.array([[1e6], [1e7], [1e8], [1e7]])
    assert normalised_hypervolume([0.2, 0.1, 0.9, np.nan], flops, BOUNDS) == 0
    assert normalised_hypervolume([1.0], [[1e5]], BOUNDS) == pytest.approx(1)
    assert normalised_hypervolume([], np.empty((0, 1)), BOUNDS) == 0


def test_normalised_hypervolume_needs_a_reference_accuracy():
    unknown = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=None)
    assert np.isnan(normalised_hypervolume([0.6], [[1e7]], unknown))
    assert np.isnan(running_hypervolume([0.6, 0.7], [[1e7], [1e6]], unknown)).all()


@pytest.mark.parametrize(("flops_high", "reference"), [(1e6, 0.2), (1e8, 1.0)])
def test_normalised_hypervolume_is_zero_where_the_bounds_enclose_nothing(flops_high, reference):
    costs = (CostRange(metric="flops", low=1e6, high=flops_high),)
    bounds = HypervolumeBounds(costs=costs, reference_accuracy=reference)
    assert normalised_hypervolume([0.6], [[1e6]], bounds) == 0


def test_costs_run_from_the_lowest_to_the_reference_in_logs():
    costs = np.array([[1e6, 1e3], [1e7, 1e4], [1e8, 1e5], [1e5, 1e6], [np.nan, 1e3]])
    expected = [[0, 0], [0.5, 0.5], [1, 1], [0, 1.5], [np.nan, 0]]
    np.testing.assert_allclose(normalised_costs(costs, BOTH), expected)
    swapped = HypervolumeBounds(costs=(PARAMS, FLOPS), reference_accuracy=0.2)
    np.testing.assert_allclose(
        normalised_costs(costs[:, ::-1], swapped), np.array(expected)[:, ::-1]
    )


def test_normalised_hypervolume_of_two_costs_is_a_volume():
    assert normalised_hypervolume([0.6], [[1e7, 1e4]], BOTH) == pytest.approx(0.125)
    assert normalised_hypervolume([1.0], [[1e6, 1e3]], BOTH) == pytest.approx(1)
    assert normalised_hypervolume([1.0, 0.2], [[1e6, 1e5], [1e6, 1e3]], BOTH) == 0
    assert normalised_hypervolume([], np.empty((0, 2)), BOTH) == 0
    # Where one cost is as low as can be, the rest is the hypervolume of the other.
    accuracy, flops = [0.5, 0.7, 0.8], np.array([2e6, 1e7, 5e7])
    both = np.column_stack([flops, np.full(3, 1e3)])
    assert normalised_hypervolume(accuracy, both, BOTH) == pytest.approx(
        normalised_hypervolume(accuracy, flops[:, None], BOUNDS)
    )


@pytest.mark.parametrize("bounds", [BOUNDS, BOTH])
def test_the_hypervolume_after_each_point_is_that_of_all_points_so_far(bounds):
    rng = np.random.default_rng(0)
    accuracy = rng.uniform(0, 1, 60)
    accuracy[rng.random(60) < 0.2] = np.nan
    costs = np.column_stack([10 ** rng.uniform(5.5, 8.5, 60), 10 ** rng.uniform(2.5, 5.5, 60)])
    costs = costs[:, : len(bounds.costs)]
    volumes = running_hypervolume(accuracy, costs, bounds)
    expected = [normalised_hypervolume(accuracy[:n], costs[:n], bounds) for n in range(1, 61)]
    assert volumes == pytest.approx(expected)
    assert volumes[-1] == expected[-1]
    assert len(running_hypervolume([], costs[:0], bounds)) == 0


def test_the_knee_is_the_point_farthest_above_the_chord():
    flops = np.array([[1e6], [1e7], [1e8], [1e7]])
    assert knee([0.1, 0.8, 0.9, 0.3], flops) == 1
    assert knee([0.1, 0.2, 0.9, 0.1], flops) == 2  # nothing above the chord: the most accurate
    assert knee([0.1, 0.2, np.nan, 0.1], flops) == 1


def choose_by_flops(accuracy, flops, rule):
    return choose(accuracy, {"flops": flops}, ["flops"], rule)


@pytest.mark.parametrize("rule", ["knee", "best", "max-flops=1e9"])
def test_small_fronts_have_a_choice(rule):
    assert choose_by_flops([0.5], [1e6], rule) == 0
    assert choose_by_flops([0.5, 0.7], [1e6, 2e6], rule) == 1
    assert choose_by_flops([np.nan, 0.7, 0.7, 0.6], [1e5, 3e6, 2e6, 2e6], rule) == 2


def test_the_knee_of_two_costs_weighs_their_mean():
    # Scaled: accuracy 0, 0.9, 1; FLOPs 0, 0.5, 1; params 0, 1, 0.5.
    costs = np.array([[1e6, 1e3], [1e7, 1e5], [1e8, 1e4]])
    assert knee([0.1, 0.82, 0.9], costs) == 2  # 0.25 against 0.15
    assert knee([0.1, 0.82, 0.9], costs[:, :1]) == 1
    assert knee([0.1, 0.82, 0.9], costs[:, 1:]) == 2  # the second is dominated


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20),
)
def test_the_knee_of_one_cost_is_the_highest_above_the_chord(rows):
    accuracy, flops = np.array(rows, dtype=float).T
    front = np.flatnonzero(non_dominated(np.column_stack([-accuracy, flops])))
    (low, worst), (high, best) = (
        (np.log(flops[at]), accuracy[at])
        for at in (front[np.argmin(flops[front])], front[np.argmax(flops[front])])
    )
    chosen = knee(accuracy, flops[:, None])
    if high == low:
        assert chosen in front
        return
    chord = worst + (best - worst) * (np.log(flops[front]) - low) / (high - low)
    above = accuracy[front] - chord
    at = above[front.tolist().index(chosen)]
    assert at == pytest.approx(above.max())


def test_best_is_the_cheapest_of_the_most_accurate():
    assert choose_by_flops([0.9, 0.9, 0.8], [3e6, 2e6, 1e6], "best") == 1


def test_max_flops_takes_the_most_accurate_within_the_budget():
    accuracy, flops = [0.6, 0.8, 0.7, 0.9], [10e6, 60e6, 20e6, 61e6]
    assert choose_by_flops(accuracy, flops, "max-flops=60e6") == 1
    assert choose_by_flops(accuracy, flops, "max-flops=59999999") == 2


def test_of_equally_accurate_points_the_first_objective_decides():
    costs = {"flops": [3e6, 2e6, 2e6], "num_params": [1e3, 2e3, 2e3]}
    assert choose([0.9, 0.9, 0.9], costs, ["flops", "num_params"], "best") == 1
    assert choose([0.9, 0.9, 0.9], costs, ["num_params", "flops"], "best") == 0


def test_a_budget_may_be_of_a_cost_that_is_no_objective():
    accuracy = [0.6, 0.8, 0.7]
    costs = {"flops": [10e6, 60e6, 20e6], "num_params": [5e3, 9e3, 7e3]}
    assert choose(accuracy, costs, ["flops"], "max-params=8e3") == 2
    assert choose(accuracy, costs, ["num_params"], "max-flops=59e6") == 2
    assert choose(accuracy, costs, ["flops", "num_params"], "max-params=9000") == 1
    with pytest.raises(
        RunError, match=r"^max-params=1: no network of the front has so few params; .* has 5000$"
    ):
        choose(accuracy, costs, ["flops"], "max-params=1")


@given(
    st.lists(st.tuples(*3 * [st.integers(1, 6)]), min_size=1, max_size=30),
    st.sampled_from(
        [("flops",), ("num_params",), ("flops", "num_params"), ("num_params", "flops")]
    ),
    st.sampled_from(["best", "knee", "max-flops=4", "max-params=3"]),
)
def test_what_is_chosen_lies_on_the_front_of_the_objectives(rows, objectives, rule):
    accuracy, flops, num_params = np.array(rows, dtype=float).T
    costs = {"flops": flops, "num_params": num_params}
    front = non_dominated(np.column_stack([-accuracy, *(costs[name] for name in objectives)]))
    within = {"max-flops=4": flops <= 4, "max-params=3": num_params <= 3}.get(rule, front)
    if not (front & within).any():
        with pytest.raises(RunError, match=f"{rule}: no network of the front has so few"):
            choose(accuracy, costs, objectives, rule)
        return
    chosen = choose(accuracy, costs, objectives, rule)
    assert front[chosen]
    assert within[chosen]
    if rule != "knee":
        assert accuracy[chosen] == accuracy[front & within].max()


def test_a_budget_that_nothing_meets_names_the_smallest_flops():
    with pytest.raises(RunError, match=r"max-flops=1e6: .* smallest has 1\.23e\+07"):
        choose_by_flops([0.6, 0.8], [12.3e6, 60e6], "max-flops=1e6")


@pytest.mark.parametrize(
    "rule",
    [
        "max-flops=",
        "max-flops=many",
        "max-flops=-1",
        "max-flops=nan",
        "max-params=0",
        "max-params=x=1",
    ],
)
def test_a_budget_must_be_a_positive_number(rule):
    with pytest.raises(RunError) as caught:
        choose_by_flops([0.6], [1e6], rule)
    name, _, given = rule.partition("=")
    example = {"max-flops": "max-flops=60e6", "max-params": "max-params=1e6"}[name]
    assert str(caught.value) == (
        f"{name}: expected a positive number, got {given!r} (example: {example})"
    )


def test_an_unknown_rule_names_the_known_ones():
    with pytest.raises(
        RunError, match="'fastest' is not a rule to select a network: give best, knee"
    ):
        choose_by_flops([0.6], [1e6], "fastest")


@pytest.mark.parametrize("accuracy", [[], [np.nan]])
def test_nothing_finished_is_said(accuracy):
    with pytest.raises(RunError, match="no trial has finished"):
        choose_by_flops(accuracy, [1e6] * len(accuracy), "knee")


@given(st.lists(st.tuples(*3 * [st.integers(0, 5)]), min_size=1, max_size=30), st.integers(2, 3))
def test_fronts_are_those_of_pymoo(rows: list[tuple[int, ...]], columns: int) -> None:
    """With ties and duplicates; rows with NaN, which pymoo does not know, come last of all."""
    losses = np.array(rows, dtype=np.float64)[:, :columns]
    fronts = NonDominatedSorting().do(losses)
    ranks = np.empty(len(losses), dtype=np.int64)
    for rank, front in enumerate(fronts):
        ranks[front] = rank
    with_nan = np.vstack([losses, np.full(columns, np.nan)])
    assert non_dominated_rank(with_nan).tolist() == [*ranks.tolist(), len(fronts)]
    assert non_dominated(with_nan).tolist() == [*(ranks == 0).tolist(), False]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_the_hypervolume_is_that_of_pymoo(rows: list[tuple[int, int]]) -> None:
    losses = np.array(rows, dtype=np.float64) / 5  # some at the reference, some beyond
    with_nan = np.vstack([losses, [[np.nan, 0.0], [0.0, np.nan]]])
    expected = float(HV(ref_point=np.array([1.0, 1.0]))(losses))
    assert hypervolume_2d(with_nan, (1.0, 1.0)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(*3 * [st.integers(0, 6)]), min_size=1, max_size=30))
def test_the_hypervolume_of_three_losses_is_that_of_pymoo(rows: list[tuple[int, int, int]]) -> None:
    losses = np.array(rows, dtype=np.float64) / 5  # some at the reference, some beyond
    with_nan = np.vstack([losses, [[np.nan, 0.0, 0.0], [0.0, 0.0, np.nan]]])
    expected = float(HV(ref_point=np.ones(3))(losses))
    assert hypervolume_3d(with_nan, (1.0, 1.0, 1.0)) == pytest.approx(expected, abs=1e-12)
