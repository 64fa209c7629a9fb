"""The `[space]` table of a study file -> Parameters, with every error named by its key."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, get_args

from hgcnet.architecture import (
    MAX_VALUE,
    Check,
    Operator,
    SEPlacement,
    Task,
    integer_of,
    one_of,
    positive_integer,
    size_error,
)
from hgcnet.errors import shown, shown_key
from hgcnet.structure import STEM_STRIDES
from space.decode import cost_order, decode
from space.parameters import (
    DEFAULT_STAGES,
    NUM_STAGES,
    SCHEDULES,
    Axis,
    Choice,
    Growth,
    Parameters,
    Range,
    Value,
    build_axes,
    values_of,
)

MAX_VALUES = 256  # of one parameter
MAX_COMBINATIONS = 200_000  # of groups and growth, which a space has to try one by one


def read_parameters(table: Mapping[str, Any], errors: list[str]) -> Parameters | None:
    """Reads the table; appends `key: what is wrong` to `errors` and then returns None."""
    found = len(errors)
    errors += [f"{key}: is missing" for key in ("depth", "groups", "growth") if key not in table]
    values: dict[str, Any] = {}
    num_stages = _read_num_stages(table)
    for key, declared in table.items():
        if key not in _CHECKS:
            _check_keys("", [key], _CHECKS, errors)
        elif key == "growth" and isinstance(declared, dict) and declared.keys() & _GROWTH_KEYS:
            values[key] = _read_growth(declared, errors)
        else:
            values[key] = _read(key, declared, _CHECKS[key], errors)
            if num_stages and key in _PER_STAGE and isinstance(declared, list):
                _check_length(key, len(declared), num_stages, errors)
    if len(errors) > found:
        return None
    parameters = Parameters(**values)
    _check_sizes(build_axes(parameters), errors)
    return parameters if len(errors) == found else None


def parameters_schema() -> dict[str, Any]:
    """What `read_parameters` takes, as a JSON Schema; checks across keys are not in it."""
    properties = {key: _schema_of(key, check) for key, check in _CHECKS.items()}
    base = _schema_of("growth.base", positive_integer)
    schedule = _schema_of("growth.schedule", one_of(tuple(SCHEDULES)), tuple(SCHEDULES))
    scheduled = _table_schema({"base": base, "schedule": schedule}, required=["base"])
    properties["growth"]["anyOf"].append(scheduled)
    return _table_schema(properties, required=["depth", "groups", "growth"])


def to_table(parameters: Parameters) -> dict[str, Any]:
    """The table with every default filled in; `read_parameters` reads it back."""
    return asdict(parameters)


def _share(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        return f"{shown(value)} is not a number in (0, 1]"
    return None


_CHECKS: Mapping[str, Check] = {
    "operator": one_of(get_args(Operator)),
    "stem_channels": positive_integer,
    "stem_stride": integer_of(STEM_STRIDES),
    "bottleneck": positive_integer,
    "compression": _share,
    "stages": integer_of(NUM_STAGES),
    "depth": positive_integer,
    "groups": positive_integer,
    "growth": positive_integer,
    "se": one_of(get_args(SEPlacement)),
    "se_reduction": positive_integer,
}
_VALUES: Mapping[str, tuple[Value, ...]] = {  # of the parameters that have only a few
    "operator": get_args(Operator),
    "stem_stride": STEM_STRIDES,
    "stages": NUM_STAGES,
    "se": get_args(SEPlacement),
}
_RANGED = (positive_integer, _CHECKS["stages"])  # checks of values that may have low and high
_GROWTH_KEYS = ("base", "schedule")
_PER_STAGE = ("depth", "groups", "growth", "se")  # the others hold for the whole network


def _read_growth(declared: dict[str, Any], errors: list[str]) -> Growth:
    _check_keys("growth.", declared, _GROWTH_KEYS, errors)
    if "base" not in declared:
        errors.append("growth.base: is missing")
    schedule = declared.get("schedule", "exponential")
    return Growth(
        base=_read("growth.base", declared.get("base", 1), positive_integer, errors),
        schedule=_read("growth.schedule", schedule, one_of(tuple(SCHEDULES)), errors),
    )


def _read_num_stages(table: Mapping[str, Any]) -> tuple[int, ...]:
    """The possible numbers of stages; empty if the table is wrong."""
    errors: list[str] = []
    declared = table.get("stages", DEFAULT_STAGES)
    declared = _read("stages", declared, _CHECKS["stages"], errors)
    return () if errors else values_of(declared)


def _check_length(path: str, values: int, num_stages: tuple[int, ...], errors: list[str]) -> None:
    """A list has a value for each stage that a network may have."""
    if values != max(num_stages):
        up_to = "up to " if len(num_stages) > 1 else ""
        errors.append(
            f"{path}: {values} values given; {up_to}{max(num_stages)} stages need one each"
        )


# The readers below return a meaningless value when they append an error.


def _read(path: str, declared: Any, check: Check, errors: list[str]) -> Any:
    """A bare value, a list with one value a stage, a choice or a range."""
    for_network = path not in _PER_STAGE
    if isinstance(declared, list):
        if for_network:
            errors.append(
                f"{path}: {shown(declared)} is a list, but the whole network has one value"
            )
        _check_each(path, declared, check, errors)
        return tuple(declared)
    if not isinstance(declared, dict):
        if (error := check(declared)) is not None:
            errors.append(f"{path}: {error}")
        return declared
    per_stage = declared.get("per_stage", False)
    if not isinstance(per_stage, bool):
        errors.append(f"{path}.per_stage: {shown(per_stage)} is not true or false")
    elif per_stage and for_network:
        errors.append(f"{path}.per_stage: true given, but the whole network has one value")
    is_range = "low" in declared or "high" in declared
    if is_range and "choice" in declared:
        errors.append(f"{path}: both choice and low or high given; give one of the two")
        return None
    known = ("low", "high", "step", "per_stage") if is_range else ("choice", "per_stage")
    _check_keys(f"{path}.", declared, known, errors)
    return (_read_range if is_range else _read_choice)(path, declared, check, errors)


def _read_choice(
    path: str, declared: dict[str, Any], check: Check, errors: list[str]
) -> Choice[Any] | None:
    values = declared.get("choice")
    if "choice" not in declared:
        or_range = ", or low and high" if check in _RANGED else ""
        errors.append(f"{path}: needs choice = [...]{or_range}")
    elif not isinstance(values, list) or not values:
        errors.append(f"{path}.choice: {shown(values)} is not a list of at least one value")
    elif len(values) > MAX_VALUES:
        errors.append(f"{path}.choice: {len(values)} values are more than {MAX_VALUES}")
    else:
        _check_each(f"{path}.choice", values, check, errors)
        for index, value in enumerate(values):
            if value in values[:index]:
                errors.append(f"{path}.choice[{index}]: {shown(value)} is given twice")
        return Choice(choice=tuple(values), per_stage=declared.get("per_stage", False))
    return None


def _read_range(
    path: str, declared: dict[str, Any], check: Check, errors: list[str]
) -> Range | None:
    found = len(errors)
    if check not in _RANGED:
        why = "1, 2, 4 is not a range" if path == "stem_stride" else "low and high are for integers"
        errors.append(f"{path}: {why}; give choice = [...]")
        return None
    errors += [f"{path}.{key}: is missing" for key in ("low", "high") if key not in declared]
    checks = {"low": check, "high": check, "step": positive_integer}
    for key, is_right in checks.items():
        if key in declared and (error := is_right(declared[key])) is not None:
            errors.append(f"{path}.{key}: {error}")
    if len(errors) > found:
        return None
    per_stage = declared.get("per_stage", False)
    low, high, step = declared["low"], declared["high"], declared.get("step", 1)
    result = Range(low=low, high=high, step=step, per_stage=per_stage)
    if result.low > result.high:
        errors.append(f"{path}: low = {result.low} is above high = {result.high}")
    elif len(result.values) > MAX_VALUES:
        errors.append(f"{path}: {len(result.values)} values are more than {MAX_VALUES}")
    return result


def _check_keys(
    prefix: str, keys: Iterable[str], known: Collection[str], errors: list[str]
) -> None:
    for key in keys:
        if key not in known:
            errors.append(f"{prefix}{shown_key(key)}: unknown key; known are {', '.join(known)}")


def _check_each(path: str, values: list[Any], check: Check, errors: list[str]) -> None:
    for index, value in enumerate(values):
        if (error := check(value)) is not None:
            errors.append(f"{path}[{index}]: {error}")


def _check_sizes(axes: tuple[Axis, ...], errors: list[str]) -> None:
    """Checks across keys: the largest network, and the combinations that the space has to try."""
    dearest = {axis.name: max(axis.values, key=partial(cost_order, axis)) for axis in axes}
    largest = decode(axes, dearest)
    if (growth := max(stage.growth for stage in largest.stages)) > MAX_VALUE:
        errors.append(f"growth: the last stage's {growth} is more than {MAX_VALUE}")
    elif (error := size_error(largest, Task())) is not None:
        errors.append(f"depth, growth: the largest network {error}")
    tried = (len(axis.values) for axis in axes if axis.may_cost_less)
    if (combinations := math.prod(tried)) > MAX_COMBINATIONS:
        errors.append(
            f"groups: {combinations:,} combinations of groups and growth are more than "
            f"{MAX_COMBINATIONS:,}"
        )


def _schema_of(path: str, check: Check, known: tuple[Value, ...] = ()) -> dict[str, Any]:
    """The schema of a bare value, a list with one value a stage, a choice or a range."""
    if known := known or _VALUES.get(path, ()):
        value: dict[str, Any] = {"enum": list(known)}
    elif check is positive_integer:
        value = {"type": "integer", "minimum": 1, "maximum": MAX_VALUE}
    else:
        value = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    values = {"type": "array", "items": value, "minItems": 1, "maxItems": MAX_VALUES}
    ways = [value, _table_schema({"choice": values | {"uniqueItems": True}}, required=["choice"])]
    if check in _RANGED:
        step = {"type": "integer", "minimum": 1, "maximum": MAX_VALUE}
        bounds = {"low": value, "high": value, "step": step}
        ways.append(_table_schema(bounds, required=["low", "high"]))
    for way in ways[1:]:
        way["properties"]["per_stage"] = (
            {"type": "boolean"} if path in _PER_STAGE else {"const": False}
        )
    if path in _PER_STAGE:
        ways.append(values | {"minItems": min(NUM_STAGES), "maxItems": max(NUM_STAGES)})
    return {"anyOf": ways}


def _table_schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
