"""Expected hypervolume improvement where the costs are known and the accuracy is normally distributed.

The networks of the front divide the plane of the costs (with one cost: its axis) into rectangles.
In each they reach one accuracy, its level. The improvement of a network is a sum over the
rectangles: the area where it costs no more, times its accuracy above the level. The expectation of
each term is that of expected improvement (Jones, Schonlau, Welch 1998), so the whole is in closed
form.
"""

from bisect import bisect_right

import numpy as np
from scipy.special import ndtr

from hgcnet.arrays import Floats
from search.pareto import non_dominated

_AT_ONCE = 2_000_000  # networks times rectangles: a bound on the memory


def expected_improvement(
    mean: Floats,
    std: Floats,
    costs: Floats,
    front_costs: Floats,
    front_accuracy: Floats,
    floor: float,
) -> Floats:
    """The expected hypervolume improvement of each of N networks, (N,).

    Args:
        mean: of the accuracy, (N,).
        std: of the accuracy, (N,), above 0.
        costs: normalised, (N, k) for one or two costs; with one at 1 or above nothing is gained.
        front_costs: of the networks that are known, (M, k), in any order, dominated ones too.
        front_accuracy: theirs, (M,).
        floor: the reference accuracy.
    """
    low, high, level = rectangles(front_costs, front_accuracy, floor)
    # The rectangles of one level are neighbours.
    levels, starts = np.unique(level, return_index=True)
    total = np.empty(len(mean))
    step = max(1, _AT_ONCE // len(level))
    for rows in (slice(start, start + step) for start in range(0, len(mean), step)):
        areas = np.add.reduceat(_areas(costs[rows], low, high), starts, axis=1)  # (n, levels)
        total[rows] = (areas * _gains(mean[rows], std[rows], levels)).sum(axis=1)
    return total


def rectangles(
    front_costs: Floats, front_accuracy: Floats, floor: float
) -> tuple[Floats, Floats, Floats]:
    """The costs below 1, in rectangles in each of which one accuracy is reached, lowest levels first.

    The networks come in turn, the most accurate first. Each takes the part beyond its costs that is
    not taken yet, in one rectangle for each step that it touches in the staircase of the earlier
    ones; the staircase then loses the steps that it dominates. So m networks make at most 2 m + 1
    rectangles, the last one of the floor.

    Returns:
        the lower corners (R, k), which may be -inf, the upper corners (R, k), and the levels (R,).
    """
    within = (front_accuracy > floor) & (front_costs < 1).all(axis=1)
    costs, accuracy = front_costs[within], front_accuracy[within]
    is_kept = non_dominated(np.column_stack([-accuracy, costs]))
    costs, accuracy = costs[is_kept], accuracy[is_kept]
    order = np.argsort(-accuracy, kind="stable")
    # One cost is treated as two, with a constant second.
    corners = np.full((len(order) + 1, 2), -np.inf)  # the last is the floor's
    corners[:-1, : costs.shape[1]] = costs[order]
    levels = [*accuracy[order].tolist(), floor]
    steps_x, steps_y = [-np.inf, 1.0], [1.0, -np.inf]  # the staircase: rising, falling
    found: list[tuple[float, float, float, float, float]] = []
    for (x, y), level in zip(corners.tolist(), levels, strict=True):
        first = step = bisect_right(steps_x, x)
        left, top = x, steps_y[step - 1]
        while top > y:
            found.append((left, y, steps_x[step], top, level))
            left, top, step = steps_x[step], steps_y[step], step + 1
        if step > first:
            steps_x[first : step - 1], steps_y[first : step - 1] = [x], [y]
    cut = np.array(found[::-1])
    k = costs.shape[1]
    return cut[:, :k], cut[:, 2 : 2 + k], cut[:, 4]


def _areas(costs: Floats, low: Floats, high: Floats) -> Floats:
    """The areas of the parts of rectangles (R, k) that lie beyond costs (n, k), (n, R)."""
    areas: Floats = np.ones(1)
    for column, left, right in zip(costs.T, low.T, high.T, strict=True):
        areas = areas * np.maximum(right - np.maximum(left, column[:, None]), 0.0)
    return areas


def _gains(mean: Floats, std: Floats, levels: Floats) -> Floats:
    """The expected improvement over each level (L,), (n, L)."""
    above = mean[:, None] - levels
    z = above / std[:, None]
    density = np.exp(-(z**2) / 2.0) / np.sqrt(2 * np.pi)
    gains: Floats = above * ndtr(z) + std[:, None] * density
    return gains
