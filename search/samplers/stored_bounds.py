"""The bounds of a hypervolume: of a space, and as a study stores them."""

from collections.abc import Mapping, Sequence

from optuna import Study

from search.pareto import CostRange, HypervolumeBounds
from space.search_space import SearchSpace

# The user attribute: a flat dict, such as {"flops_low": 1e6, "flops_high": ...}.
_KEY = "hypervolume"


def bounds_of(
    space: SearchSpace, costs: Sequence[str], reference_accuracy: float | None
) -> HypervolumeBounds:
    """The bounds of a space, for these costs ("flops", "num_params") in this order."""
    return _bounds({metric: space.cost_range(metric) for metric in costs}, reference_accuracy)


def read_bounds(study: Study, space: SearchSpace, costs: Sequence[str]) -> HypervolumeBounds | None:
    """The bounds that a study has stored; None for one that was only just created.

    Studies of earlier versions stored FLOPs alone, whatever their objectives were: the costs that are
    missing have the bounds of the space.
    """
    stored = study.user_attrs.get(_KEY)
    if stored is None:
        return None
    ranges = {
        metric: (stored[low], stored[f"{metric}_high"])
        if (low := f"{metric}_low") in stored
        else space.cost_range(metric)
        for metric in costs
    }
    return _bounds(ranges, stored["reference_accuracy"])


def write_bounds(study: Study, bounds: HypervolumeBounds) -> None:
    """Stores the bounds, in one write."""
    ranges = {f"{cost.metric}_low": cost.low for cost in bounds.costs}
    ranges |= {f"{cost.metric}_high": cost.high for cost in bounds.costs}
    study.set_user_attr(_KEY, ranges | {"reference_accuracy": bounds.reference_accuracy})


def _bounds(ranges: Mapping[str, tuple[float, float]], accuracy: float | None) -> HypervolumeBounds:
    costs = (CostRange(metric=key, low=low, high=high) for key, (low, high) in ranges.items())
    return HypervolumeBounds(costs=tuple(costs), reference_accuracy=accuracy)
