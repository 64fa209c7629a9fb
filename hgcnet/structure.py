"""The widths of an architecture's layers: the one place where they are rounded.

The network is built from these values, the layer table and the fingerprint are computed from them,
and the vectorised counts call the same two rounding functions on arrays.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

from hgcnet.arrays import Floats, Ints

if TYPE_CHECKING:
    from hgcnet.architecture import Architecture


STEM_STRIDES = (1, 2, 4)

N = TypeVar("N", int, Ints)
_SLACK = 1 - 1e-12  # so that 0.1 * 30 = 3.0000000000000004 channels are 3, not 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleShape:
    """One HGC module: `in_channels` -> 1x1 in groups -> `mid_channels` -> 3x3, 1x1 -> `growth` more."""

    in_channels: int
    mid_channels: int
    growth: int
    groups: int
    operator: str  # "hgc" or "sgc"
    se_channels: int  # hidden units of squeeze-and-excitation; 0 where there is none

    @property
    def out_channels(self) -> int:
        """Channels after the dense concatenation."""
        return self.in_channels + self.growth


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShape:
    """The modules of one stage, and the width of the transition after it (None after the last)."""

    modules: tuple[ModuleShape, ...]
    transition_channels: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureArrays:
    """N architectures of at most S stages, one a row. `se` holds 0 (none), 1 (last) or 2 (all).

    Stages after an architecture's last one have depth 0, growth 0, one group and no
    squeeze-and-excitation.
    """

    is_hgc: Ints  # (N,) 1 for hgc, 0 for sgc
    stem_channels: Ints  # (N,)
    stem_stride: Ints  # (N,)
    bottleneck: Ints  # (N,)
    compression: Floats  # (N,)
    se_reduction: Ints  # (N,)
    depth: Ints  # (N, S)
    growth: Ints  # (N, S)
    groups: Ints  # (N, S)
    se: Ints  # (N, S)


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureArrays:
    """The built structure of N architectures of at most S stages, one a row; arrays of stages are (N, S)."""

    stem_stride: Ints  # (N, 1)
    is_hgc: Ints
    depth: Ints
    growth: Ints
    groups: Ints
    in_channels: Ints  # of the stage's first module
    mid: Ints
    num_se: Ints  # modules with squeeze-and-excitation
    hidden: Ints  # hidden units of each; 0 where a stage has none
    transition: Ints  # width of the transition after it; 0 after the last stage

    def as_rows(self) -> Ints:
        """(N, 1 + 9 S): two architectures are the same network if and only if their rows are equal."""
        return np.concatenate([getattr(self, f.name) for f in fields(self)], axis=1)


def bottleneck_width(bottleneck: N, growth: N, groups: N) -> N:
    """Output channels O of the grouped 1x1: bottleneck * growth, rounded up to a multiple of groups."""
    return -(-bottleneck * growth // groups) * groups


@overload
def transition_width(compression: float, in_channels: int, multiple: int) -> int: ...
@overload
def transition_width(compression: Floats, in_channels: Ints, multiple: Ints) -> Ints: ...
def transition_width(
    compression: float | Floats, in_channels: int | Ints, multiple: int | Ints
) -> int | Ints:
    """compression * in_channels, rounded up to a multiple (the first stage's growth)."""
    width = -((-compression * in_channels * _SLACK) // multiple) * multiple
    return width.astype(np.int64) if isinstance(width, np.ndarray) else int(width)


def se_width(mid_channels: int, reduction: int) -> int:
    """Hidden units of squeeze-and-excitation over `mid_channels`."""
    return max(1, mid_channels // reduction)


def halved(side: N) -> N:
    """Side of a map after a 2x2 average pool; one pixel stays one pixel."""
    return side // 2 + (side < 2)


def stem_sides(resolution: int, stride: int) -> tuple[int, int]:
    """Sides of the map after the stem's convolution, and after its pool, which a stride of 4 has."""
    side = -(-resolution // min(stride, 2))
    return side, halved(side) if stride == 4 else side


def least_resolution(stem_stride: int, num_stages: int) -> int:
    """Side of the smallest image that can be halved in every stage and leaves the last one a pixel."""
    side = (2 if stem_stride == 4 else 1) << (num_stages - 1)  # after the stem's convolution
    return min(stem_stride, 2) * (side - 1) + 1


def build_structure(architecture: "Architecture") -> tuple[StageShape, ...]:
    """The shapes of all modules and transitions, stage by stage."""
    channels = architecture.stem_channels
    shapes = []
    for index, stage in enumerate(architecture.stages):
        mid_channels = bottleneck_width(architecture.bottleneck, stage.growth, stage.groups)
        se_channels = se_width(mid_channels, architecture.se_reduction)
        modules = []
        for position in range(stage.depth):
            has_se = stage.se == "all" or (stage.se == "last" and position == stage.depth - 1)
            modules.append(
                ModuleShape(
                    in_channels=channels,
                    mid_channels=mid_channels,
                    growth=stage.growth,
                    groups=stage.groups,
                    # With one group both operators are the plain 1x1 convolution.
                    operator=architecture.operator if stage.groups > 1 else "hgc",
                    se_channels=se_channels if has_se else 0,
                )
            )
            channels += stage.growth
        is_last = index == len(architecture.stages) - 1
        if not is_last:
            channels = transition_width(
                architecture.compression, channels, architecture.stages[0].growth
            )
        shapes.append(
            StageShape(modules=tuple(modules), transition_channels=None if is_last else channels)
        )
    return tuple(shapes)


def build_structures(arrays: ArchitectureArrays) -> StructureArrays:
    """The twin of `build_structure` for many architectures at once."""
    depth, growth, groups = arrays.depth, arrays.growth, arrays.groups
    mid = bottleneck_width(arrays.bottleneck[:, None], growth, groups)
    num_se = np.where(arrays.se == 2, depth, arrays.se)
    hidden = np.maximum(1, mid // arrays.se_reduction[:, None]) * (num_se > 0)
    in_channels, transition = np.zeros_like(depth), np.zeros_like(depth)
    in_channels[:, 0] = arrays.stem_channels
    for s in range(depth.shape[1] - 1):
        channels = in_channels[:, s] + depth[:, s] * growth[:, s]
        width = transition_width(arrays.compression, channels, growth[:, 0])
        transition[:, s] = width * (depth[:, s + 1] > 0)
        in_channels[:, s + 1] = transition[:, s]
    return StructureArrays(
        stem_stride=arrays.stem_stride[:, None],
        is_hgc=np.where(groups > 1, arrays.is_hgc[:, None], 1),
        depth=depth,
        growth=growth,
        groups=groups,
        in_channels=in_channels,
        mid=mid,
        num_se=num_se,
        hidden=hidden,
        transition=transition,
    )
