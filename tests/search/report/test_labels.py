"""Names beside points do not cover one another."""

from itertools import combinations

import numpy as np
import pytest

from search.report.labels import place_labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0, 4, 30, 200])
def test_names_of_points_that_lie_close_together_do_not_overlap(seed, spread):
    rng = np.random.default_rng(seed)
    points = rng.normal((600, 200), (spread, spread / 3), (10, 2))
    cloud = rng.uniform((0, 0), (1000, 340), (500, 2))
    lengths = [12] * len(points)
    middles = points + place_labels(points, lengths, cloud)
    for one, other in combinations(middles, 2):
        across, down = np.abs(one - other)
        assert across > 12 * 6 or down > 14


def test_a_lone_name_stands_under_its_point_and_inside_the_plot():
    (below,) = place_labels(np.array([[500.0, 100.0]]), [10], np.array([[500.0, 100.0]]))
    assert abs(below[0]) < 1e-9
    assert below[1] > 0
    (above,) = place_labels(np.array([[500.0, 340.0]]), [10], np.array([[500.0, 340.0]]))
    assert above[1] < 0
