"""The space as Optuna sees it: one distribution for each free axis, and values to and from them.

Evenly spaced numbers are integers. Other numbers (1, 2, 4, 8) become the position on their axis,
named `<axis>_index`: it keeps their order, which samplers can use. Texts are categories.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from hgcnet.architecture import Architecture
from space.parameters import Axis
from space.search_space import SearchSpace


class OptunaSpace:
    """A SearchSpace with its points as an Optuna trial's parameters."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.distributions: dict[str, BaseDistribution] = {
            _name(axis): _distribution(axis) for axis in space.free_axes
        }

    def encode(self, architecture: Architecture) -> dict[str, Any]:
        """The parameters of an architecture.

        Raises:
            SpaceError: it lies outside the space or over a limit.
        """
        values = self.space.encode(architecture)
        wanted = [(axis, values[axis.name]) for axis in self.space.free_axes]
        return {
            _name(axis): axis.values.index(value) if _is_index(axis) else value
            for axis, value in wanted
        }

    def decode(self, params: Mapping[str, Any]) -> Architecture:
        """The architecture of a trial's parameters."""
        given = [(axis, params[_name(axis)]) for axis in self.space.free_axes]
        return self.space.decode(
            {axis.name: axis.values[value] if _is_index(axis) else value for axis, value in given}
        )

    def planned_params(self, trial: FrozenTrial) -> dict[str, Any]:
        """The parameters of a trial in any state: its own or, if some are missing, those it was
        enqueued with."""
        if self.is_complete(trial.params):
            return trial.params
        return dict(trial.system_attrs.get("fixed_params", trial.params))

    def planned_architecture(self, trial: FrozenTrial) -> Architecture | None:
        """The architecture of those; None where one of them is missing."""
        params = self.planned_params(trial)
        return self.decode(params) if self.is_complete(params) else None

    def is_complete(self, params: Mapping[str, Any]) -> bool:
        """Whether no parameter is missing, as may be if the trial's writer was killed."""
        return self.distributions.keys() <= params.keys()


def _name(axis: Axis) -> str:
    return f"{axis.name}_index" if _is_index(axis) else axis.name


def _is_index(axis: Axis) -> bool:
    return not isinstance(axis.values[0], str) and _step(axis) is None


def _step(axis: Axis) -> int | None:
    """The distance between the values if it is one and the same, else None."""
    if not all(isinstance(value, int) for value in axis.values):
        return None
    steps = {int(b) - int(a) for a, b in pairwise(axis.values)}
    return steps.pop() if len(steps) == 1 else None


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis.values[0], str):
        return CategoricalDistribution(axis.values)
    step = _step(axis)
    if step is None:
        return IntDistribution(0, len(axis.values) - 1)
    return IntDistribution(int(axis.values[0]), int(axis.values[-1]), step=step)
