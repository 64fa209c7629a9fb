"""Pareto dominance, hypervolume, and choosing one point of a front. Everything here minimises.

A point dominates another if it is nowhere larger and somewhere smaller. Two equal points do not
dominate each other, so both stay. A row with NaN is dominated by every other row and dominates none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from hgcnet.arrays import Bools, Floats, Ints
from hgcnet.errors import RunError

COST_NAMES = {"flops": "FLOPs", "num_params": "params"}  # what messages call a metric
# Rules that bound a cost: its metric, and an example of a bound.
_BUDGETS = {"max-flops": ("flops", "60e6"), "max-params": ("num_params", "1e6")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRange:
    """The range of one cost that counts for the hypervolume, on a log axis."""

    metric: str  # "flops" or "num_params"
    low: float  # the smallest of a feasible architecture of the space: the ideal
    high: float  # the limit, or the largest of the space: the reference


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervolumeBounds:
    """What the hypervolume of a study is measured against. Stored once known, never changed."""

    costs: tuple[CostRange, ...]  # one or two, in the order of the study's objectives
    reference_accuracy: float | None  # None until the cheapest architecture has been trained

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the costs."""
        return tuple(cost.metric for cost in self.costs)


def non_dominated(losses: npt.ArrayLike) -> Bools:
    """Which of the rows (n, m) no other row dominates: (n,).

    Two columns take one sort, O(n log n). More take one pass over the rows for each member of the
    front. Neither compares all pairs at once, so the memory is a few copies of `losses`.
    """
    valid, unique, inverse = _distinct(np.asarray(losses, dtype=np.float64))
    kept = np.zeros(len(valid), dtype=np.bool_)
    kept[valid] = _unique_front(unique)[inverse]
    return kept


def non_dominated_rank(losses: npt.ArrayLike) -> Ints:
    """The front that each row (n, m) belongs to: 0 for the non-dominated, 1 once those are gone, ...

    Rows with NaN share a last front of their own. It peels off front after front.
    """
    valid, unique, inverse = _distinct(np.asarray(losses, dtype=np.float64))
    unique_ranks = np.zeros(len(unique), dtype=np.int64)
    left, rank = np.arange(len(unique)), 0
    while left.size:
        front = _unique_front(unique[left])
        unique_ranks[left[front]] = rank
        left, rank = left[~front], rank + 1
    ranks = np.full(len(valid), rank, dtype=np.int64)
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


def hypervolume_3d(losses: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The volume that the rows (n, 3) dominate within `reference` (3,).

    The first two columns of the front divide the plane into cells; over each cell the volume reaches
    down to the smallest third loss of the rows that are nowhere above the cell's lower corner.
    """
    rows, corner = np.asarray(losses, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    rows = rows[(rows < corner).all(axis=1)]
    rows = rows[non_dominated(rows)]
    first, row = np.unique(rows[:, 0], return_inverse=True)
    second, column = np.unique(rows[:, 1], return_inverse=True)
    lowest = np.full((len(first), len(second)), corner[2])
    np.minimum.at(lowest, (row, column), rows[:, 2])
    lowest = np.minimum.accumulate(np.minimum.accumulate(lowest, axis=0), axis=1)
    widths, heights = np.diff(first, append=corner[0]), np.diff(second, append=corner[1])
    return float(widths @ (corner[2] - lowest) @ heights)


def normalised_costs(costs: npt.ArrayLike, bounds: HypervolumeBounds) -> Floats:
    """Costs (n, k) on the axes of the hypervolume: 0 for the lowest and below, 1 at the reference.

    A cost whose range is empty counts from 0 at its lowest, in logs.
    """
    logs = np.log(np.asarray(costs, dtype=np.float64))
    lows = np.array([np.log(cost.low) for cost in bounds.costs])
    widths = np.array([np.log(cost.high) for cost in bounds.costs]) - lows
    # maximum keeps NaN.
    scaled: Floats = np.maximum((logs - lows) / np.where(widths > 0, widths, 1.0), 0.0)
    return scaled


def normalised_hypervolume(
    accuracy: npt.ArrayLike, costs: npt.ArrayLike, bounds: HypervolumeBounds
) -> float:
    """The volume of (log costs, accuracy) that the points (n,), (n, k) dominate, between 0 and 1.

    Each of the k costs, which is 1 or 2, runs from its `low` (ideal) to its `high` (reference) on a log
    axis, the accuracy from 1 (ideal) to `reference_accuracy`. Points at or beyond the reference contribute
    nothing, and nothing counts beyond the ideal. Where the bounds enclose nothing the hypervolume is 0.

    Returns:
        nan while the reference accuracy is unknown.
    """
    if bounds.reference_accuracy is None:
        return float("nan")
    height = 1 - bounds.reference_accuracy
    if height <= 0 or any(cost.high <= cost.low for cost in bounds.costs):
        return 0.0
    error = np.maximum((1 - np.asarray(accuracy, dtype=np.float64)) / height, 0.0)
    # Rows with NaN are dropped by the comparison with the reference.
    losses = np.column_stack([normalised_costs(costs, bounds), error])
    measure = hypervolume_2d if len(bounds.costs) == 1 else hypervolume_3d
    return measure(losses, np.ones(losses.shape[1]))


def running_hypervolume(
    accuracy: npt.ArrayLike, costs: npt.ArrayLike, bounds: HypervolumeBounds
) -> Floats:
    """The normalised hypervolume of the first 1, 2, ..., n of the points (n,), (n, k): (n,).

    A point with NaN leaves it as it was. It is computed again only where the front changes.
    """
    rows = np.column_stack([-np.asarray(accuracy, dtype=np.float64), costs])
    front = rows[:0]
    volume = normalised_hypervolume(front[:, 0], front[:, 1:], bounds)
    volumes = np.empty(len(rows))
    for index, row in enumerate(rows):
        if not (np.isnan(row).any() or (front <= row).all(axis=1).any()):
            front = np.vstack([front[(front < row).any(axis=1)], row])
            volume = normalised_hypervolume(-front[:, 0], front[:, 1:], bounds)
        volumes[index] = volume
    return volumes


def knee(accuracy: npt.ArrayLike, costs: npt.ArrayLike) -> int:
    """The index of the front's point (n,), (n, k) that gains most accuracy for its costs.

    Accuracy and log costs are each scaled to the front's own range; the gain is the accuracy less the
    mean of the costs: with one cost, the height above the chord between the front's ends. Where no gain
    is above 0, which includes fronts of one and two points, it is the most accurate. Rows with NaN are
    left out; there must be one without.
    """
    accuracy, costs = np.asarray(accuracy, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    front = np.flatnonzero(non_dominated(np.column_stack([-accuracy, costs])))
    front = front[np.argsort(-accuracy[front], kind="stable")]  # the most accurate comes first
    cost = np.mean([_to_unit_range(column) for column in np.log(costs[front]).T], axis=0)
    return int(front[np.argmax(_to_unit_range(accuracy[front]) - cost)])


def choose(
    accuracy: npt.ArrayLike,
    costs: Mapping[str, npt.ArrayLike],
    objectives: Sequence[str],
    rule: str,
) -> int:
    """The index of the one point (n,) of the front that a rule asks for.

    Rules: "knee"; "best", the most accurate; "max-flops=60e6" and "max-params=1e6", the most accurate
    within a budget. Of equally accurate points it is the cheapest, by the first objective before the
    second. A point that has NaN for its accuracy or an objective is never chosen.

    Args:
        costs: all that are known, by metric, (n,) each: budgets may be of any of them.
        objectives: the costs that decide on the front, beside the accuracy.

    Raises:
        RunError: an unknown rule, no finished point, or none of the front within the budget.
    """
    budget = _budget(rule)
    accuracy = np.asarray(accuracy, dtype=np.float64)
    known = {metric: np.asarray(cost, dtype=np.float64) for metric, cost in costs.items()}
    of_objectives = np.column_stack([known[metric] for metric in objectives])
    front = np.flatnonzero(non_dominated(np.column_stack([-accuracy, of_objectives])))
    if not front.size:
        raise RunError(f"{rule}: no trial has finished yet")
    if rule == "knee":
        return int(front[knee(accuracy[front], of_objectives[front])])
    if budget is not None:
        metric, most = budget
        cost = known[metric][front]
        if not (cost <= most).any():
            raise RunError(
                f"{rule}: no network of the front has so few {COST_NAMES[metric]}; the smallest has "
                f"{cost.min():.4g}"
            )
        front = front[cost <= most]
    order = np.lexsort((*of_objectives[front].T[::-1], -accuracy[front]))
    return int(front[order[0]])


def _budget(rule: str) -> tuple[str, float] | None:
    """The cost that a rule bounds, and the most that it allows; None for a rule without a bound."""
    if rule in ("knee", "best"):
        return None
    name, _, number = rule.partition("=")
    if name not in _BUDGETS or "=" not in rule:
        raise RunError(
            f"{rule!r} is not a rule to select a network: give best, knee, max-flops=NUMBER or "
            "max-params=NUMBER (example: max-flops=60e6)"
        )
    try:
        most = float(number)
    except ValueError:
        most = float("nan")
    metric, example = _BUDGETS[name]
    if isfinite(most) and most > 0:
        return metric, most
    raise RunError(
        f"{name}: expected a positive number, got {number!r} (example: {name}={example})"
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


def _to_unit_range(values: Floats) -> Floats:
    span = np.ptp(values)
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)
