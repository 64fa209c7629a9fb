"""Pareto dominance, hypervolume, and choosing one point of a front. Everything here minimises.

A point dominates another if it is nowhere larger and somewhere smaller. Two equal points do not
dominate each other, so both stay. A row with NaN is dominated by every other row and dominates none.
"""

from bisect import bisect_right
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from hgcnet.arrays import Bools, Floats, Ints
from hgcnet.errors import RunError

_MAX_FLOPS = "max-flops="


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervolumeBounds:
    """What the hypervolume of a study is measured against. Stored once known, never moved."""

    flops_low: float  # the space's smallest feasible FLOPs
    flops_high: float  # the limit, or the space's maximum: the reference FLOPs
    reference_accuracy: float | None  # None until the cheapest architecture has been trained


def non_dominated(losses: npt.ArrayLike) -> Bools:
    """Which of the rows (n, m) no other row dominates: (n,).

    Two columns take one sort, O(n log n). More take one pass over the rows for each member of the
    front. Neither compares all pairs at once, so the memory is a few copies of `losses`.
    """
    rows = np.asarray(losses, dtype=np.float64)
    valid, unique, inverse = _distinct(rows)
    kept = np.zeros(len(rows), dtype=np.bool_)
    kept[valid] = _unique_front(unique)[inverse]
    return kept


def non_dominated_rank(losses: npt.ArrayLike) -> Ints:
    """The front that each row (n, m) belongs to: 0 for the non-dominated, 1 once those are gone, ...

    Rows with NaN share a last front of their own. Two columns take O(n log n); more peel off front
    after front.
    """
    rows = np.asarray(losses, dtype=np.float64)
    valid, unique, inverse = _distinct(rows)
    unique_ranks = _ranks_2d(unique) if rows.shape[1] == 2 else _ranks_by_peeling(unique)
    ranks = np.full(len(rows), unique_ranks.max(initial=-1) + 1, dtype=np.int64)
    ranks[valid] = unique_ranks[inverse]
    return ranks


def hypervolume_2d(losses: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The area that the rows (n, 2) dominate within `reference` (2,).

    A row that is not below the reference in both columns contributes nothing.
    """
    rows, corner = np.asarray(losses, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    rows = rows[(rows < corner).all(axis=1)]
    _, unique, _ = _distinct(rows)
    front = unique[_unique_front(unique)]  # first column rising, second column falling
    right_edges = np.append(front[1:, 0], corner[0])
    return float(np.sum((right_edges - front[:, 0]) * (corner[1] - front[:, 1])))


def normalised_hypervolume(
    accuracy: npt.ArrayLike, flops: npt.ArrayLike, bounds: HypervolumeBounds
) -> float:
    """The area of (log FLOPs, accuracy) that the points (n,), (n,) dominate, between 0 and 1.

    FLOPs run from `flops_low` (ideal) to `flops_high` (reference) on a log axis, the accuracy from 1
    (ideal) to `reference_accuracy`. Points at or beyond the reference contribute nothing, and nothing
    counts beyond the ideal. Where the bounds enclose no area the hypervolume is 0.

    Returns:
        nan while the reference accuracy is unknown.
    """
    if bounds.reference_accuracy is None:
        return float("nan")
    width = np.log(bounds.flops_high) - np.log(bounds.flops_low)
    height = 1 - bounds.reference_accuracy
    if width <= 0 or height <= 0:
        return 0.0
    cost = (np.log(np.asarray(flops, dtype=np.float64)) - np.log(bounds.flops_low)) / width
    error = (1 - np.asarray(accuracy, dtype=np.float64)) / height
    # maximum keeps NaN, and the comparison with the reference then drops it.
    return hypervolume_2d(np.maximum(np.column_stack([cost, error]), 0.0), (1.0, 1.0))


def knee(accuracy: npt.ArrayLike, flops: npt.ArrayLike) -> int:
    """The index of the front's point farthest above the chord between the front's ends.

    Measured in (log FLOPs, accuracy), each scaled to the front's own range. Where no point lies above
    the chord, which includes fronts of one and two points, it is the most accurate. Rows with NaN are
    left out; there must be one without.
    """
    accuracy, flops = np.asarray(accuracy, dtype=np.float64), np.asarray(flops, dtype=np.float64)
    front = np.flatnonzero(non_dominated(np.column_stack([-accuracy, flops])))
    front = front[np.argsort(-flops[front], kind="stable")]  # the most accurate comes first
    cost, gain = _to_unit_range(np.log(flops[front])), _to_unit_range(accuracy[front])
    return int(front[np.argmax(gain - cost)])


def choose(accuracy: npt.ArrayLike, flops: npt.ArrayLike, rule: str) -> int:
    """The index of the one point (n,), (n,) that a rule asks for; a NaN accuracy is never chosen.

    Rules: "knee"; "best", the most accurate; "max-flops=60e6", the most accurate within a budget. Of
    equally accurate points it is the cheapest.

    Raises:
        RunError: an unknown rule, no finished point, or none within the budget.
    """
    accuracy, flops = np.asarray(accuracy, dtype=np.float64), np.asarray(flops, dtype=np.float64)
    budget = _flops_budget(rule)
    known = np.flatnonzero(np.isfinite(accuracy) & np.isfinite(flops))
    if not known.size:
        raise RunError(f"{rule}: there is nothing to choose from: no trial has finished yet")
    if rule == "knee":
        return int(known[knee(accuracy[known], flops[known])])
    within = known[flops[known] <= budget]
    if not within.size:
        smallest = flops[known].min()
        raise RunError(
            f"{rule}: no finished trial has so few FLOPs; the smallest has {smallest:.4g}"
        )
    return int(within[np.lexsort((flops[within], -accuracy[within]))[0]])


def _flops_budget(rule: str) -> float:
    """The FLOPs that a rule allows."""
    if rule in ("knee", "best"):
        return float("inf")
    if rule.startswith(_MAX_FLOPS):
        try:
            budget = float(rule.removeprefix(_MAX_FLOPS))
        except ValueError:
            budget = float("nan")
        if isfinite(budget) and budget > 0:
            return budget
        raise RunError(
            f"{rule}: what stands after = is not a positive number, as in max-flops=60e6"
        )
    raise RunError(
        f"{rule!r} does not say which network to select: give best, knee or max-flops=NUMBER, as in "
        "max-flops=60e6"
    )


def _distinct(rows: Floats) -> tuple[Bools, Floats, npt.NDArray[np.intp]]:
    """Which rows have no NaN, their distinct values in lexicographic order, and the way back."""
    valid: Bools = np.logical_not(np.isnan(rows).any(axis=1))
    unique, inverse = np.unique(rows[valid], axis=0, return_inverse=True)
    return valid, unique, inverse.reshape(-1)


def _unique_front(unique: Floats) -> Bools:
    """The non-dominated of distinct rows in lexicographic order: only an earlier row can dominate."""
    if unique.shape[1] == 2:
        kept = np.ones(len(unique), dtype=np.bool_)
        kept[1:] = unique[1:, 1] < np.minimum.accumulate(unique[:, 1])[:-1]
        return kept
    kept = np.zeros(len(unique), dtype=np.bool_)
    left = np.arange(len(unique))
    while left.size:
        kept[left[0]] = True
        left = left[(unique[left] < unique[left[0]]).any(axis=1)]
    return kept


def _ranks_2d(unique: Floats) -> Ints:
    # A front's second column falls from row to row, so its last row tells whether it dominates the
    # next one; the last rows of the fronts rise from front to front, so bisection finds the front.
    tails: list[float] = []
    ranks = np.empty(len(unique), dtype=np.int64)
    for index, second in enumerate(unique[:, 1].tolist()):
        rank = bisect_right(tails, second)
        tails[rank : rank + 1] = [second]
        ranks[index] = rank
    return ranks


def _ranks_by_peeling(unique: Floats) -> Ints:
    ranks = np.zeros(len(unique), dtype=np.int64)
    left, rank = np.arange(len(unique)), 0
    while left.size:
        front = _unique_front(unique[left])
        ranks[left[front]] = rank
        left, rank = left[~front], rank + 1
    return ranks


def _to_unit_range(values: Floats) -> Floats:
    span = np.ptp(values)
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)
