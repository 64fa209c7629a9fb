"""What a training that was stopped early would have ended at, told from those that went on."""

from collections.abc import Sequence

import numpy as np

from search.pareto import Floats

# Fewer whole trainings, and three numbers fitted to them would say nothing of the rest.
MIN_WHOLE = 8


def foretell_ends(
    whole: Sequence[Floats], whole_cost: Floats, cut: Sequence[Floats], cut_cost: Floats
) -> tuple[Floats, Floats]:
    """Mean and standard deviation (m,) of the last accuracy of m curves that were cut short.

    For each length of a cut curve a plane is fitted to the whole ones (least squares): their last
    accuracy over what they had reached at that length and their cost, as dear networks go on rising.
    The deviation is that of its residuals. NaN where there are fewer than MIN_WHOLE whole curves.

    Args:
        whole: n curves, each of the accuracies of all epochs.
        whole_cost: log FLOPs (n,).
        cut: m shorter curves, not empty.
        cut_cost: log FLOPs (m,).
    """
    mean, std = np.full((2, len(cut)), np.nan)
    if len(whole) < MIN_WHOLE:
        return mean, std
    ends = np.array([curve[-1] for curve in whole])
    lengths = np.array([len(curve) for curve in cut])
    for length in np.unique(lengths):
        rows = lengths == length
        known = _plane(np.array([curve[length - 1] for curve in whole]), whole_cost)
        slopes, *_ = np.linalg.lstsq(known, ends)
        reached = np.array([curve[-1] for curve in cut])[rows]
        mean[rows] = _plane(reached, cut_cost[rows]) @ slopes
        residuals = ends - known @ slopes
        std[rows] = np.sqrt(residuals @ residuals / (len(whole) - known.shape[1]))
    return mean, std


def _plane(accuracy: Floats, cost: Floats) -> Floats:
    return np.column_stack([np.ones_like(accuracy), accuracy, cost])
