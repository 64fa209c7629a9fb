"""What the accuracy depends on, where it is known because it is made up."""

import numpy as np
import pandas as pd
import pytest

from search.report.importance import LEAST_TRIALS, importance_figure, parameter_importance


def made_up(rng, rows, accuracy):
    """Finished trials of two stages; `accuracy` is a function of the columns and log FLOPs."""
    depth, groups = rng.integers(1, 9, (rows, 2)), rng.choice([1, 2, 4], (rows, 2))
    log_flops = np.log(1e6 * depth.sum(axis=1))
    return pd.DataFrame(
        {
            "state": "finished",
            "quality": accuracy(depth, groups, log_flops),
            "flops": np.exp(log_flops),
            "operator": "hgc",
            "stem_channels": 24,
            "bottleneck": 4,
            "compression": 0.5,
            "se_reduction": 8,
            "depth": [f"{a}-{b}" for a, b in depth],
            "growth": "8-8",
            "groups": [f"{a}-{b}" for a, b in groups],
            "se": "none-none",
        }
    )


def test_only_what_varies_is_listed_and_what_matters_comes_out():
    rng = np.random.default_rng(0)
    frame = made_up(rng, 300, lambda depth, groups, _: 0.5 + 0.02 * groups[:, 1])
    shares = parameter_importance(frame)
    assert set(shares.index) == {f"{p}, stage {s}" for p in ("depth", "groups") for s in (1, 2)}
    assert shares["accuracy"].idxmax() == "groups, stage 2"
    assert shares.loc["groups, stage 2", "accuracy"] > 0.9
    assert shares["accuracy"].sum() <= 1


def test_the_number_of_stages_and_the_stride_are_parameters_and_absent_stages_say_nothing():
    rng = np.random.default_rng(6)
    frame = made_up(rng, 300, lambda depth, groups, _: np.zeros(len(depth)))
    stages = rng.choice([2, 3], 300)
    frame["stem_stride"] = rng.choice([1, 2, 4], 300)
    for name, value in (("depth", "4"), ("growth", "8"), ("groups", "2"), ("se", "all")):
        third = np.where(stages == 3, f"-{value}", "")
        frame[name] = frame[name].str.cat(third.astype(str))
    frame["quality"] = 0.5 + 0.1 * (stages == 3) - 0.02 * frame["stem_stride"]
    shares = parameter_importance(frame)
    assert set(shares.index) == {
        *("stem stride", "stages"),
        *(f"{p}, stage {s}" for p in ("depth", "groups") for s in (1, 2)),
    }
    assert shares["accuracy"].idxmax() == "stages"
    assert shares["accuracy"].nlargest(2).index.tolist() == ["stages", "stem stride"]


def test_at_equal_flops_the_size_of_a_network_does_not_count():
    rng = np.random.default_rng(1)

    def accuracy(depth, groups, log_flops):
        return 0.2 * log_flops + 0.01 * groups[:, 0]

    shares = parameter_importance(made_up(rng, 300, accuracy))
    assert shares.loc["depth, stage 1", "accuracy"] > 0.2
    assert shares.loc["depth, stage 1", "at_equal_flops"] < 0.05
    assert shares["at_equal_flops"].idxmax() == "groups, stage 1"


def test_noise_is_given_to_no_parameter():
    rng = np.random.default_rng(2)
    frame = made_up(rng, 100, lambda depth, groups, _: rng.normal(0.5, 0.01, len(depth)))
    assert parameter_importance(frame).to_numpy().sum() < 0.1


def test_the_figure_says_how_much_is_explained():
    rng = np.random.default_rng(3)
    figure = importance_figure(made_up(rng, 50, lambda depth, groups, _: 0.01 * depth[:, 0]))
    shares = parameter_importance(
        made_up(np.random.default_rng(3), 50, lambda d, g, _: 0.01 * d[:, 0])
    )
    assert figure.data[1].name == f"accuracy: {shares['accuracy'].sum():.0%} explained"
    assert list(figure.data[1].x) == sorted(round(share, 4) for share in shares["accuracy"])


@pytest.mark.parametrize("rows", [1, LEAST_TRIALS - 1])
def test_too_few_trials_say_how_many_are_needed(rows):
    frame = made_up(np.random.default_rng(4), rows, lambda depth, groups, _: 0.01 * depth[:, 0])
    figure = importance_figure(frame)
    assert not figure.data
    assert figure.layout.annotations[0].text == (
        f"Shown once {LEAST_TRIALS} trials have finished; so far {rows} have"
    )


def test_a_study_of_one_network_has_nothing_to_compare():
    frame = made_up(np.random.default_rng(5), 30, lambda depth, groups, _: 0.01 * depth[:, 0])
    frame["depth"], frame["groups"] = "2-2", "1-1"
    assert not importance_figure(frame).data


def test_where_all_networks_cost_the_same_nothing_is_taken_off():
    rng = np.random.default_rng(6)
    frame = made_up(rng, 100, lambda depth, groups, _: 0.02 * groups[:, 1])
    frame["flops"] = 1e6
    shares = parameter_importance(frame)
    assert shares["at_equal_flops"].equals(shares["accuracy"].rename("at_equal_flops"))
