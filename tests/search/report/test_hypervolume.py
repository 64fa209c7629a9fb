"""The hypervolume of a small study, over trials and over worked time."""

import pytest
from optuna.trial import TrialState

from search.pareto import CostRange, HypervolumeBounds, normalised_hypervolume
from search.report.hypervolume import hypervolume_history, hypervolume_steps

FLOPS = CostRange(metric="flops", low=1e6, high=1e7)
PARAMS = CostRange(metric="num_params", low=1e3, high=1e4)
BOUNDS = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=0.3)
UNKNOWN = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=None)


def test_the_hypervolume_grows_with_the_finished_trials(frame):
    steps = hypervolume_steps(frame, BOUNDS)
    finished = frame[frame["state"] == "finished"]
    # Trial 2 was stopped, and trial 4 is dominated: only the last of what changed nothing is kept.
    assert steps["number"].tolist() == [0, 1, 3, 4]
    assert steps["trained"].tolist() == [1, 2, 4, 5]
    assert steps["hypervolume"].iloc[0] == 0
    assert steps["hypervolume"].is_monotonic_increasing
    assert steps["hypervolume"].iloc[-1] == normalised_hypervolume(
        finished["val_accuracy"], finished[["flops"]], BOUNDS
    )


@pytest.mark.parametrize("costs", [(PARAMS,), (PARAMS, FLOPS)])
def test_the_hypervolume_is_by_the_costs_of_its_bounds(frame, costs):
    bounds = HypervolumeBounds(costs=costs, reference_accuracy=0.3)
    finished = frame[frame["state"] == "finished"]
    volume = hypervolume_steps(frame, bounds)["hypervolume"].iloc[-1]
    assert 0 < volume < 1
    assert volume == normalised_hypervolume(
        finished["val_accuracy"], finished[list(bounds.metrics)].astype(float), bounds
    )


def test_time_is_that_in_which_something_ran(made_up):
    made_up.add(TrialState.COMPLETE, 2, [0.4], span=(0, 100))
    made_up.add(TrialState.COMPLETE, 3, [0.5], span=(50, 160))
    made_up.add(TrialState.COMPLETE, 4, [0.6], span=(100_000, 100_040))  # the next day
    assert hypervolume_steps(made_up.frame, BOUNDS)["seconds"].tolist() == [100, 160, 200]
    trials, time = hypervolume_history(made_up.frame, BOUNDS).data
    assert list(trials.x) == [1, 2, 3]
    assert list(time.x) == [round(seconds / 60, 4) for seconds in (100, 160, 200)]  # minutes
    assert list(trials.y) == list(time.y)
    assert trials.line.shape == time.line.shape == "hv"


def test_without_a_reference_or_results_the_figure_says_so_or_is_empty(empty):
    figure = hypervolume_history(empty, UNKNOWN)
    assert not figure.data
    assert len(figure.layout.annotations) == 1
    assert all(not trace.x for trace in hypervolume_history(empty, BOUNDS).data)
