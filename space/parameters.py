"""The kinds of parameter that a study file declares, and the axes of values they stand for.

A parameter is fixed (a bare value, or a list with one value for each stage), a choice, or a range;
the last two hold for the whole network or, `per_stage`, for each stage on its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

NUM_STAGES = 3

# These belong to the whole network: they have no value for each stage.
NETWORK_WIDE = ("operator", "stem_channels", "bottleneck", "compression", "se_reduction")

Value = int | float | str
T = TypeVar("T", bound=Value)

# Growth of stage s = multiplier[s] * base.
SCHEDULES: Mapping[str, tuple[int, ...]] = {
    "constant": tuple(1 for _ in range(NUM_STAGES)),
    "linear": tuple(s + 1 for s in range(NUM_STAGES)),
    "exponential": tuple(2**s for s in range(NUM_STAGES)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[T]):
    """One of the listed values."""

    choice: tuple[T, ...]
    per_stage: bool = False

    @property
    def values(self) -> tuple[T, ...]:
        """The values as listed; numbers in increasing order."""
        if all(isinstance(value, str) for value in self.choice):
            return self.choice
        return tuple(sorted(self.choice))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The integers low, low + step, ... up to high."""

    low: int
    high: int
    step: int = 1
    per_stage: bool = False

    @property
    def values(self) -> tuple[int, ...]:
        """All of them, in increasing order."""
        return tuple(range(self.low, self.high + 1, self.step))


# A tuple is one fixed value for each stage.
Text = str | tuple[str, ...] | Choice[str]
Integer = int | tuple[int, ...] | Choice[int] | Range
Real = float | Choice[float]
Declaration = Text | Integer | Real


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Growth rates by a base and a schedule over the stages."""

    base: int | Choice[int] | Range
    schedule: str | Choice[str] = "exponential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The `[space]` table of a study file."""

    depth: Integer
    groups: Integer
    growth: Integer | Growth
    operator: Text = "hgc"
    stem_channels: Integer = 24
    bottleneck: Integer = 4
    compression: Real = 0.5
    se: Text = "none"
    se_reduction: Integer = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One coordinate of the space: `depth_0`, or `bottleneck` for the whole network."""

    name: str
    values: tuple[Value, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.values) == 1


def build_axes(parameters: Parameters) -> tuple[Axis, ...]:
    """The axes of a space, fixed ones included, in a stable order."""
    declared = {name: getattr(parameters, name) for name in (*NETWORK_WIDE, "depth", "groups")}
    growth = parameters.growth
    if isinstance(growth, Growth):
        declared |= {"growth_base": growth.base, "growth_schedule": growth.schedule}
    else:
        declared["growth"] = growth
    declared["se"] = parameters.se
    return tuple(axis for name, value in declared.items() for axis in _axes(name, value))


def _axes(name: str, declared: Declaration) -> list[Axis]:
    if isinstance(declared, tuple):
        fixed: tuple[Value, ...] = declared
        return [Axis(name=f"{name}_{s}", values=(value,)) for s, value in enumerate(fixed)]
    if isinstance(declared, Choice | Range):
        if declared.per_stage:
            return [Axis(name=f"{name}_{s}", values=declared.values) for s in range(NUM_STAGES)]
        return [Axis(name=name, values=declared.values)]
    return [Axis(name=name, values=(declared,))]
