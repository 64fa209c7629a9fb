"""Features: as many for every network of a space, and for the spaces of before those of before."""

import numpy as np
import pytest

from hgcnet.architecture import Task
from hgcnet.complexity import count
from search.estimation.features import TREND, features_of
from space.limits import Limits
from space.parameters import Choice, Growth, Parameters, Range
from space.search_space import SearchSpace

TASK = Task(resolution=64)
THREE = Parameters(
    stem_channels=Choice(choice=(8, 16)),
    depth=Range(low=1, high=3, per_stage=True),
    groups=Choice(choice=(1, 2), per_stage=True),
    growth=Growth(base=4, schedule=Choice(choice=("constant", "linear"))),
)


def spread(parameters: Parameters) -> np.ndarray:
    space = SearchSpace(parameters, Limits(), TASK)
    return features_of(space, space.draw_points(np.random.default_rng(0), 200))


def test_a_space_of_three_stages_and_no_stride_has_the_features_that_it_always_had() -> None:
    assert spread(THREE).shape[1] == 5 + 4 * 3 + TREND


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"stem_stride": 4}, 5 + 4 * 3 + TREND),
        ({"stages": 5}, 5 + 4 * 5 + TREND),
        ({"stem_stride": Choice(choice=(1, 4))}, 1 + 5 + 4 * 3 + TREND),
        ({"stages": Range(low=3, high=5)}, 1 + 5 + 4 * 5 + TREND),
    ],
    ids=str,
)
def test_what_varies_has_a_column_and_all_are_numbers(
    changes: dict[str, object], number: int
) -> None:
    parameters = Parameters(
        stem_channels=8, depth=THREE.depth, groups=THREE.groups, growth=THREE.growth, **changes
    )
    features = spread(parameters)
    assert features.shape == (200, number)
    assert np.isfinite(features).all()


def test_the_trend_is_what_the_network_costs_and_networks_of_other_stages_differ() -> None:
    parameters = Parameters(
        stages=Choice(choice=(3, 4)), depth=1, groups=1, growth=4, stem_channels=8
    )
    space = SearchSpace(parameters, Limits(), TASK)
    points = space.draw_points(np.random.default_rng(0), 10)
    features = features_of(space, points)
    assert len(points) == 2
    costs = [count(space.architecture_at(point), TASK) for point in points]
    expected = np.log([[cost.flops, cost.num_params] for cost in costs])
    assert np.allclose(features[:, -TREND:], expected)
    assert (features[0] != features[1]).sum() > TREND
