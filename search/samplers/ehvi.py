"""Expected hypervolume improvement where the cost is known and the accuracy is normally distributed.

With one known objective the improvement of a network is a sum over the steps of the front to the right
of its cost: the step's width times how far its accuracy rises over the step. The expectation of each
term is that of expected improvement (Jones, Schonlau, Welch 1998), so the whole is in closed form.
"""

import numpy as np
from scipy.stats import norm

from hgcnet.arrays import Floats
from search.pareto import HypervolumeBounds


def normalised_cost(flops: Floats, bounds: HypervolumeBounds) -> Floats:
    """FLOPs (N,) on the hypervolume's axis: 0 for the fewest, 1 at the reference."""
    width = np.log(bounds.flops_high) - np.log(bounds.flops_low)
    cost: Floats = (np.log(flops) - np.log(bounds.flops_low)) / (width if width > 0 else 1.0)
    return np.maximum(cost, 0.0)


def expected_improvement(
    mean: Floats,
    std: Floats,
    cost: Floats,
    front_cost: Floats,
    front_accuracy: Floats,
    floor: float,
) -> Floats:
    """By how much each of N networks is expected to enlarge the hypervolume, (N,).

    Args:
        mean: of the accuracy, (N,).
        std: of the accuracy, (N,), above 0.
        cost: normalised, (N,); at 1 and above nothing is gained.
        front_cost: of the networks that are known, (M,), in any order, dominated ones too.
        front_accuracy: theirs.
        floor: the reference accuracy.
    """
    order = np.argsort(front_cost, kind="stable")
    # From each step's left end on, the accuracy that is reached already.
    left = np.concatenate([[-np.inf], front_cost[order]])
    level = np.maximum.accumulate(np.concatenate([[floor], front_accuracy[order]]))
    rises = np.concatenate([[True], np.diff(level) > 0])
    left, level = left[rises], level[rises]
    right = np.minimum(np.append(left[1:], 1.0), 1.0)
    width = np.maximum(right - np.maximum(left, cost[:, None]), 0.0)  # (N, steps)
    z = (mean[:, None] - level) / std[:, None]
    gain = (mean[:, None] - level) * norm.cdf(z) + std[:, None] * norm.pdf(z)
    total: Floats = (width * gain).sum(axis=1)
    return total
