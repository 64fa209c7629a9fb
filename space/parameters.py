"""The kinds of parameter that a study file declares, and the axes of values that they make.

A parameter is fixed (a bare value, or a list with one value for each stage), a choice, or a range;
the last two hold for the whole network or, `per_stage`, for each stage on its own. If the number of
stages varies, there is a value for each of the largest number; a network ignores those of stages
that it does not have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

NUM_STAGES = (3, 4, 5)
DEFAULT_STAGES = 3

# These hold for the whole network, not for each stage.
NETWORK_WIDE = (
    *("operator", "stem_channels", "stem_stride"),
    *("bottleneck", "compression", "se_reduction"),
)

Value = int | float | str
T = TypeVar("T", bound=Value)

# Growth of stage s = multiplier[s] * base.
SCHEDULES: Mapping[str, tuple[int, ...]] = {
    "constant": tuple(1 for _ in range(max(NUM_STAGES))),
    "linear": tuple(s + 1 for s in range(max(NUM_STAGES))),
    "exponential": tuple(2**s for s in range(max(NUM_STAGES))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[T]):
    """One of the listed values."""

    choice: tuple[T, ...]
    """The values."""
    per_stage: bool = False
    """Whether each stage has its own value."""

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
    """The smallest value."""
    high: int
    """The largest value, if the steps reach it."""
    step: int = 1
    """The step between two values."""
    per_stage: bool = False
    """Whether each stage has its own value."""

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
    """Growth of the first stage."""
    schedule: str | Choice[str] = "exponential"
    """`constant` (base in each stage), `linear` (base, 2 base, 3 base, ...) or `exponential` (base,
    2 base, 4 base, ...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What may vary: each key is a fixed value, a choice or a range."""

    depth: Integer
    """Modules of a stage."""
    groups: Integer
    """Groups of the grouped convolutions."""
    growth: Integer | Growth
    """Channels that each module adds, or a growth schedule."""
    operator: Text = "hgc"
    """Hierarchical (`hgc`) or standard (`sgc`) group convolution."""
    stem_channels: Integer = 24
    """Channels after the first convolution."""
    stem_stride: int | Choice[int] = 1
    """Stride of the stem: 1, 2 or 4 (4 is a stride of 2 and a 2x2 average pool). Use 2 or 4 above
    64 pixels."""
    bottleneck: Integer = 4
    """Width inside a module, in multiples of its growth."""
    compression: Real = 0.5
    """Share of the channels that a transition keeps between two stages, in (0, 1]."""
    se: Text = "none"
    """Where squeeze-and-excitation is: in no module, the last one of a stage, or all."""
    se_reduction: Integer = 8
    """Reduction of squeeze-and-excitation."""
    stages: int | Choice[int] | Range = DEFAULT_STAGES
    """Number of stages. Between two of them the maps are halved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One coordinate of the space: `depth_0`, `bottleneck` for the whole network, `stages`."""

    name: str
    values: tuple[Value, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether it has a single value."""
        return len(self.values) == 1

    @property
    def stage(self) -> int | None:
        """Its stage; None if it holds for the whole network."""
        last = self.name.rpartition("_")[2]
        return int(last) if last.isdigit() else None

    @property
    def may_cost_less(self) -> bool:
        """Whether a larger value may cost less: widths are rounded to multiples of groups and of the
        first stage's growth. The growth of later stages alone cannot make a network cheaper."""
        of_later_growth = self.name.startswith("growth") and self.stage
        return self.name.startswith(("groups", "growth")) and not of_later_growth


def build_axes(parameters: Parameters) -> tuple[Axis, ...]:
    """The axes of a space, fixed ones included, in a stable order."""
    names = (*NETWORK_WIDE, "stages", "depth", "groups")
    declared = {name: getattr(parameters, name) for name in names}
    growth = parameters.growth
    if isinstance(growth, Growth):
        declared |= {"growth_base": growth.base, "growth_schedule": growth.schedule}
    else:
        declared["growth"] = growth
    declared["se"] = parameters.se
    stages = max(values_of(parameters.stages))
    return tuple(axis for name, value in declared.items() for axis in _axes(name, value, stages))


def values_of(declared: int | Choice[int] | Range) -> tuple[int, ...]:
    """The possible values of an integer of the network."""
    return declared.values if isinstance(declared, Choice | Range) else (declared,)


def _axes(name: str, declared: Declaration, stages: int) -> list[Axis]:
    if isinstance(declared, tuple):
        fixed: tuple[Value, ...] = declared
        return [Axis(name=f"{name}_{s}", values=(value,)) for s, value in enumerate(fixed)]
    if isinstance(declared, Choice | Range):
        if declared.per_stage:
            return [Axis(name=f"{name}_{s}", values=declared.values) for s in range(stages)]
        return [Axis(name=name, values=declared.values)]
    return [Axis(name=name, values=(declared,))]
