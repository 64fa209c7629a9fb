"""What a training that was stopped early would have ended at, told from those that went on."""

from collections.abc import Sequence

import numpy as np

from search.pareto import Floats

LEAST_WHOLE = 3  # whole trainings without which nothing is foretold
_ENOUGH_WHOLE = 8  # before that many, three numbers cannot be fitted to them


def foretell_ends(
    whole: Sequence[Floats], whole_cost: Floats, cut: Sequence[Floats], cut_cost: Floats
) -> tuple[Floats, Floats]:
    """Mean and standard deviation (m,) of the last accuracy of m curves that were cut short.

    For each length of a cut curve least squares are fitted to the whole ones: how far they rose after
    that length, at first the mean, later a plane over what they had reached and their cost, as dear
    networks go on rising. The deviation is that of the residuals. NaN where there are fewer than
    LEAST_WHOLE whole curves.

    Args:
        whole: n curves, each of the accuracies of all epochs.
        whole_cost: log FLOPs (n,).
        cut: m shorter curves, not empty.
        cut_cost: log FLOPs (m,).
    """
    mean, std = np.full((2, len(cut)), np.nan)
    if len(whole) < LEAST_WHOLE:
        return mean, std
    terms = 3 if len(whole) >= _ENOUGH_WHOLE else 1
    ends = np.array([curve[-1] for curve in whole])
    lengths = np.array([len(curve) for curve in cut])
    for length in np.unique(lengths):
        rows = lengths == length
        early = np.array([curve[length - 1] for curve in whole])
        known = _terms(early, whole_cost)[:, :terms]
        slopes, *_ = np.linalg.lstsq(known, ends - early)
        reached = np.array([curve[-1] for curve in cut])[rows]
        mean[rows] = reached + _terms(reached, cut_cost[rows])[:, :terms] @ slopes
        residuals = ends - early - known @ slopes
        std[rows] = np.sqrt(residuals @ residuals / (len(whole) - terms))
    return mean, std


def _terms(accuracy: Floats, cost: Floats) -> Floats:
    return np.column_stack([np.ones_like(accuracy), accuracy, cost])
