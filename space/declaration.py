"""The `[space]` table of a study file -> Parameters, with every error named by its key."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, get_args

from hgcnet.architecture import MAX_VALUE, Operator, SEPlacement, Task, size_error
from hgcnet.errors import shown, shown_key
from space.decode import decode
from space.parameters import (
    NUM_STAGES,
    SCHEDULES,
    Axis,
    Choice,
    Growth,
    Parameters,
    Range,
    Value,
    build_axes,
)

MAX_VALUES = 256  # of one parameter
MAX_COMBINATIONS = 200_000  # of groups and growth, which a space has to try out one by one

Check = Callable[[Any], str | None]  # what is wrong with one value, or None


def read_parameters(table: Mapping[str, Any], errors: list[str]) -> Parameters | None:
    """Reads the table; appends `key: what is wrong` to `errors` and then returns None."""
    found = len(errors)
    values: dict[str, Any] = {}
    for key in ("depth", "groups", "growth"):
        if key not in table:
            errors.append(f"{key}: is missing")
    for key, declared in table.items():
        if key not in _CHECKS:
            errors.append(f"{shown_key(key)}: unknown key; known are {', '.join(_CHECKS)}")
        elif key == "growth" and isinstance(declared, dict) and declared.keys() & _GROWTH_KEYS:
            values[key] = _read_growth(declared, errors)
        else:
            values[key] = _read(
                key, declared, _CHECKS[key], errors, for_network=key == "compression"
            )
    if len(errors) > found:
        return None
    parameters = Parameters(**values)
    _check_sizes(build_axes(parameters), errors)
    return parameters if len(errors) == found else None


def to_table(parameters: Parameters) -> dict[str, Any]:
    """The table with every default filled in; `read_parameters` reads it back."""
    return asdict(parameters)


def _positive_integer(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return f"{shown(value)} is not a positive integer"
    return f"{shown(value)} is more than {MAX_VALUE}" if value > MAX_VALUE else None


def _share(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        return f"{shown(value)} is not a number in (0, 1]"
    return None


def _one_of(known: tuple[str, ...]) -> Check:
    def check(value: Any) -> str | None:
        return None if value in known else f"{shown(value)} is not one of {', '.join(known)}"

    return check


_CHECKS: Mapping[str, Check] = {
    "operator": _one_of(get_args(Operator)),
    "stem_channels": _positive_integer,
    "bottleneck": _positive_integer,
    "compression": _share,
    "depth": _positive_integer,
    "groups": _positive_integer,
    "growth": _positive_integer,
    "se": _one_of(get_args(SEPlacement)),
    "se_reduction": _positive_integer,
}
_GROWTH_KEYS = {"base", "schedule"}
# These belong to the whole network: they have no value for each stage.
_NETWORK_WIDE = ("operator", "stem_channels", "bottleneck", "compression", "se_reduction")


def _read_growth(declared: dict[str, Any], errors: list[str]) -> Growth | None:
    found = len(errors)
    for key in declared:
        if key not in _GROWTH_KEYS:
            errors.append(f"growth.{shown_key(key)}: unknown key; known are base, schedule")
    base: Any = None
    if "base" in declared:
        check = _CHECKS["growth"]
        base = _read("growth.base", declared["base"], check, errors, for_network=True)
    else:
        errors.append("growth.base: is missing")
    schedule = declared.get("schedule", "exponential")
    check = _one_of(tuple(SCHEDULES))
    schedule = _read("growth.schedule", schedule, check, errors, for_network=True)
    return Growth(base=base, schedule=schedule) if len(errors) == found else None


def _read(path: str, declared: Any, check: Check, errors: list[str], *, for_network: bool) -> Any:
    """A bare value, a list with one value a stage, a choice or a range; None after a error."""
    for_network = for_network or path in _NETWORK_WIDE
    found = len(errors)
    result: Any = None
    if isinstance(declared, list):
        if for_network:
            errors.append(f"{path}: {shown(declared)} is a list, but holds for the whole network")
        elif len(declared) != NUM_STAGES:
            errors.append(
                f"{path}: {len(declared)} values given; {NUM_STAGES} stages need one each"
            )
        _check_each(path, declared, check, errors)
        result = tuple(declared)
    elif not isinstance(declared, dict):
        _append(errors, path, check(declared))
        result = declared
    else:
        per_stage = declared.get("per_stage", False)
        if not isinstance(per_stage, bool):
            errors.append(f"{path}.per_stage: {shown(per_stage)} is not true or false")
        elif per_stage and for_network:
            errors.append(f"{path}.per_stage: true given, but it holds for the whole network")
        is_range = "low" in declared or "high" in declared
        if is_range and "choice" in declared:
            errors.append(f"{path}: choice is given, and low or high; one of the two is needed")
            return None
        known = ("low", "high", "step", "per_stage") if is_range else ("choice", "per_stage")
        for key in declared:
            if key not in known:
                names = ", ".join(known)
                errors.append(f"{path}.{shown_key(key)}: unknown key; known are {names}")
        read = _read_range if is_range else _read_choice
        result = read(path, declared, check, errors)
    return result if len(errors) == found else None


def _read_choice(
    path: str, declared: dict[str, Any], check: Check, errors: list[str]
) -> Choice[Any] | None:
    if "choice" not in declared:
        or_range = ", or low and high" if check is _positive_integer else ""
        errors.append(f"{path}: needs choice = [...]{or_range}")
        return None
    values = declared["choice"]
    if not isinstance(values, list) or not values:
        errors.append(f"{path}.choice: {shown(values)} is not a list of at least one value")
        return None
    if len(values) > MAX_VALUES:
        errors.append(f"{path}.choice: {len(values)} values are more than {MAX_VALUES}")
        return None
    _check_each(f"{path}.choice", values, check, errors)
    for index, value in enumerate(values):
        if value in values[:index]:
            errors.append(f"{path}.choice[{index}]: {shown(value)} is there twice")
    return Choice(choice=tuple(values), per_stage=declared.get("per_stage", False))


def _read_range(
    path: str, declared: dict[str, Any], check: Check, errors: list[str]
) -> Range | None:
    found = len(errors)
    if check is not _positive_integer:
        errors.append(f"{path}: low and high are for integers; give choice = [...]")
        return None
    for key in ("low", "high"):
        if key not in declared:
            errors.append(f"{path}.{key}: is missing")
    for key in ("low", "high", "step"):
        if key in declared:
            _append(errors, f"{path}.{key}", check(declared[key]))
    if len(errors) > found:
        return None
    result = Range(
        low=declared["low"],
        high=declared["high"],
        step=declared.get("step", 1),
        per_stage=declared.get("per_stage", False),
    )
    if result.low > result.high:
        errors.append(f"{path}: low = {result.low} is above high = {result.high}")
    elif len(result.values) > MAX_VALUES:
        errors.append(f"{path}: {len(result.values)} values are more than {MAX_VALUES}")
    return result


def _check_sizes(axes: tuple[Axis, ...], errors: list[str]) -> None:
    """What no key shows alone: how large the space's networks are, and what looking at it takes."""
    largest = decode(axes, {axis.name: _dearest(axis) for axis in axes})
    if (growth := max(stage.growth for stage in largest.stages)) > MAX_VALUE:
        errors.append(f"growth: the last stage's {growth} is more than {MAX_VALUE}")
    elif (error := size_error(largest, Task())) is not None:
        errors.append(f"depth, growth: the largest network {error}")
    # The growth of later stages alone cannot make a network cheaper: see SearchSpace.
    combined = [axis for axis in axes if axis.name.startswith(("groups", "growth"))]
    tried = (axis for axis in combined if axis.name not in ("growth_1", "growth_2"))
    if (combinations := math.prod(len(axis.values) for axis in tried)) > MAX_COMBINATIONS:
        errors.append(
            f"groups: {combinations:,} combinations of groups and growth are more than "
            f"{MAX_COMBINATIONS:,}"
        )


def _dearest(axis: Axis) -> Value:
    """The value of the largest networks."""
    if axis.name == "se_reduction":
        return min(axis.values)
    order = ("sgc", "hgc", "none", "last", "all", *SCHEDULES)
    return max(axis.values, key=lambda value: order.index(value) if value in order else value)


def _check_each(path: str, values: list[Any], check: Check, errors: list[str]) -> None:
    for index, value in enumerate(values):
        _append(errors, f"{path}[{index}]", check(value))


def _append(errors: list[str], path: str, error: str | None) -> None:
    if error is not None:
        errors.append(f"{path}: {error}")
