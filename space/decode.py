"""Points of the space <-> architectures: one at a time as values, many at once as arrays.

A point is one number for each axis: the position of its value on that axis. Several points can stand
for one built network (hgc and sgc at G = 1, widths that round to the same multiple, values of a stage
that it does not have, ...). The canonical point is the one whose positions are smallest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from hgcnet.architecture import Architecture, Stage
from hgcnet.arrays import Ints
from hgcnet.errors import SpaceError
from hgcnet.structure import ArchitectureArrays, StageShape, build_structure
from space.parameters import NETWORK_WIDE, SCHEDULES, Axis, Value

# The numbers of texts in arrays. A text that costs more has a larger one.
_CODES = {"sgc": 0, "hgc": 1, "none": 0, "last": 1, "all": 2}
_CODES |= {name: code for code, name in enumerate(SCHEDULES)}
_MULTIPLIERS = np.array(list(SCHEDULES.values()))


def decode(axes: Sequence[Axis], params: Mapping[str, Value]) -> Architecture:
    """The architecture of one value for each axis; fixed axes may be left out."""
    values: dict[str, Any] = {axis.name: axis.values[0] for axis in axes if axis.is_fixed}
    values |= params
    stages = tuple(
        Stage(
            depth=_of_stage(values, "depth", s),
            growth=_growth(values, s),
            groups=_of_stage(values, "groups", s),
            se=_of_stage(values, "se", s),
        )
        for s in range(values["stages"])
    )
    return Architecture(**{name: values[name] for name in NETWORK_WIDE}, stages=stages)


def encode(axes: Sequence[Axis], architecture: Architecture) -> dict[str, Value]:
    """The canonical values of the axes (fixed ones included) whose network is this one.

    Each axis decides a part of the structure of its own, so the first value that keeps the
    structure can be found for one axis after the other.

    Raises:
        SpaceError: the architecture lies outside the space; the message names the axis.
    """
    num_stages, by_name = len(architecture.stages), {axis.name: axis for axis in axes}
    if num_stages not in (known := by_name["stages"].values):
        texts = ", ".join(map(str, known))
        raise SpaceError(f"it has {num_stages} stages; the space has {texts}")
    network = _network(architecture)
    params: dict[str, Value] = {"stages": num_stages}
    is_scheduled = "growth_base" in by_name
    for axis in axes:
        if axis.name == "stages" or (is_scheduled and axis.name.startswith("growth_")):
            continue
        for value in axis.values:
            candidate = _with_value(architecture, axis.name, value)
            if candidate == architecture or _network(candidate) == network:
                params[axis.name] = value
                break
        else:
            raise SpaceError(f"{_describe(architecture, axis)} is not in the space")
    if is_scheduled:
        params |= _encode_schedule(axes, architecture)
    return {axis.name: params[axis.name] for axis in axes}


def to_arrays(axes: Sequence[Axis], points: Ints) -> ArchitectureArrays:
    """The architectures of points of shape (N, number of axes)."""
    columns = {
        axis.name: np.array([_number(value) for value in axis.values])[points[:, a]]
        for a, axis in enumerate(axes)
    }

    stages = np.arange(next(max(axis.values) for axis in axes if axis.name == "stages"))
    is_there = stages < columns["stages"][:, None]  # (N, S)

    def per_stage(name: str) -> Any:  # (N, S)
        return np.stack([_of_stage(columns, name, s) for s in stages], axis=1)

    if "growth_base" in columns:
        multipliers = _MULTIPLIERS[columns["growth_schedule"]][:, stages]
        growth = columns["growth_base"][:, None] * multipliers
    else:
        growth = per_stage("growth")
    return ArchitectureArrays(
        is_hgc=columns["operator"],
        stem_channels=columns["stem_channels"],
        stem_stride=columns["stem_stride"],
        bottleneck=columns["bottleneck"],
        compression=columns["compression"].astype(np.float64),
        se_reduction=columns["se_reduction"],
        depth=per_stage("depth") * is_there,
        growth=growth * is_there,
        groups=np.where(is_there, per_stage("groups"), 1),
        se=per_stage("se") * is_there,
    )


def cost_order(axis: Axis, value: Value) -> float:
    """A number that grows with the cost of an axis's value."""
    return -_number(value) if axis.name in ("se_reduction", "stem_stride") else _number(value)


def _number(value: Value) -> int | float:
    return _CODES[value] if isinstance(value, str) else value


def _of_stage(values: Mapping[str, Any], name: str, stage: int) -> Any:
    return values[name] if name in values else values[f"{name}_{stage}"]


def _growth(values: Mapping[str, Any], stage: int) -> int:
    if "growth_base" in values:
        return int(values["growth_base"]) * SCHEDULES[values["growth_schedule"]][stage]
    return int(_of_stage(values, "growth", stage))


def _network(architecture: Architecture) -> tuple[int, tuple[StageShape, ...]]:
    """Equal for two architectures if and only if they are the same network."""
    return architecture.stem_stride, build_structure(architecture)


def _with_value(architecture: Architecture, name: str, value: Any) -> Architecture:
    """The architecture with one axis set: of the network, of every stage, or of one stage, which it
    may not have."""
    if name in NETWORK_WIDE:
        return replace(architecture, **{name: value})
    key, _, stage = name.partition("_")
    stages = tuple(
        replace(s, **{key: value}) if stage in ("", str(i)) else s
        for i, s in enumerate(architecture.stages)
    )
    return replace(architecture, stages=stages)


def _encode_schedule(axes: Sequence[Axis], architecture: Architecture) -> dict[str, Value]:
    values = {axis.name: axis.values for axis in axes}
    growths = tuple(stage.growth for stage in architecture.stages)
    for base, schedule in product(values["growth_base"], values["growth_schedule"]):
        params = {"growth_base": base, "growth_schedule": schedule}
        if growths == tuple(_growth(params, s) for s in range(len(growths))):
            return params
    text = "-".join(map(str, growths))
    raise SpaceError(
        f"growth {text} is not in the space: no base and schedule of the space give it"
    )


def _describe(architecture: Architecture, axis: Axis) -> str:
    key, _, stage = axis.name.rpartition("_")
    if axis.name in NETWORK_WIDE:
        given = getattr(architecture, axis.name)
    elif key:
        given = getattr(architecture.stages[int(stage)], key)
    else:
        given = "-".join(str(getattr(s, axis.name)) for s in architecture.stages)
    return f"{axis.name} = {given} (the space has {', '.join(map(str, axis.values))})"
