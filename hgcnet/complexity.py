"""FLOPs and parameters of an architecture in closed form, layer by layer and for arrays at once.

- `flops`: multiply-adds of convolutions and linear layers for one image, counted on the structure
  (half of what torch's FlopCounterMode gives on the reference form).
- `num_params`: weights and biases of convolutions and linear layers, the paper's convention.
- `num_params_total`: the same with batch normalisation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hgcnet.architecture import Architecture, Task
from hgcnet.arrays import Ints
from hgcnet.structure import (
    STEM_STRIDES,
    ArchitectureArrays,
    ModuleShape,
    build_structure,
    build_structures,
    halved,
    stem_sides,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One row of the layer table. `name` is the module's path in the built network."""

    name: str
    kind: str
    in_channels: int
    out_channels: int
    resolution: int  # side of its output in pixels
    flops: int
    num_params: int
    num_params_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """The counts of one network."""

    flops: int
    num_params: int
    num_params_total: int


def layer_table(architecture: Architecture, task: Task) -> tuple[Layer, ...]:
    """Every layer that has parameters, in the order in which an image passes them."""
    return tuple(_layers(architecture, task))


def count(architecture: Architecture, task: Task) -> Complexity:
    """The sums over the layer table."""
    layers = layer_table(architecture, task)
    return Complexity(
        flops=sum(layer.flops for layer in layers),
        num_params=sum(layer.num_params for layer in layers),
        num_params_total=sum(layer.num_params_total for layer in layers),
    )


def grouped_params(in_channels: int, out_channels: int, groups: int, operator: str) -> int:
    """Weights of the grouped 1x1 convolution.

    For hgc this is eq. 2 of the paper, O/G * I/G + (G-1) * O/G * (O/G + I/G); since the groups
    partition the inputs, it also holds where I is not a multiple of G.
    """
    per_group = out_channels // groups
    return per_group * in_channels + (operator == "hgc") * (groups - 1) * per_group**2


def count_many(arrays: ArchitectureArrays, task: Task) -> tuple[Ints, Ints]:
    """FLOPs and num_params of N architectures at once, each of shape (N,).

    The input widths of a stage's modules form an arithmetic series, so a stage needs no loop over
    its modules. Exactly equal to `count`.
    """
    built = build_structures(arrays)
    sides = np.array([stem_sides(task.resolution, stride) for stride in STEM_STRIDES])
    stem_side, side = sides[np.searchsorted(STEM_STRIDES, arrays.stem_stride)].T
    num_params = 9 * task.in_channels * arrays.stem_channels
    flops = num_params * stem_side**2
    last = np.zeros_like(num_params)  # channels after the last stage
    for s in range(built.depth.shape[1]):
        depth, growth, groups = built.depth[:, s], built.growth[:, s], built.groups[:, s]
        mid, hidden, channels = built.mid[:, s], built.hidden[:, s], built.in_channels[:, s]
        per_group = mid // groups
        sum_of_inputs = depth * channels + growth * (depth * (depth - 1) // 2)
        weights = per_group * sum_of_inputs + depth * (
            built.is_hgc[:, s] * (groups - 1) * per_group**2 + 9 * mid + mid * growth
        )
        channels = channels + depth * growth
        last = np.where(depth > 0, channels, last)
        weights = weights + channels * built.transition[:, s]
        num_se = built.num_se[:, s]
        flops = flops + weights * side**2 + num_se * 2 * mid * hidden
        num_params = num_params + weights + num_se * (2 * mid * hidden + mid + hidden)
        side = halved(side)
    return flops + last * task.num_classes, num_params + (last + 1) * task.num_classes


def _layers(architecture: Architecture, task: Task) -> Iterator[Layer]:
    stem_side, side = stem_sides(task.resolution, architecture.stem_stride)
    channels = architecture.stem_channels
    weights = 9 * task.in_channels * channels
    kind = {1: "conv3x3", 2: "conv3x3 /2", 4: "conv3x3 /2, pool"}[architecture.stem_stride]
    yield _layer("stem", kind, task.in_channels, channels, stem_side, weights)
    for s, stage in enumerate(build_structure(architecture)):
        for m, module in enumerate(stage.modules):
            yield from _module_layers(f"stages.{s}.{m}", module, side)
            channels = module.out_channels
        if stage.transition_channels is not None:
            width, name = stage.transition_channels, f"transitions.{s}"
            yield _batch_norm(f"{name}.norm", channels, side)
            yield _layer(f"{name}.conv", "conv1x1", channels, width, side, channels * width)
            channels, side = width, halved(side)
    yield _batch_norm("norm", channels, side)
    yield _linear("classifier", "linear", channels, task.num_classes)


def _module_layers(name: str, module: ModuleShape, side: int) -> Iterator[Layer]:
    channels, mid = module.in_channels, module.mid_channels
    weights = grouped_params(channels, mid, module.groups, module.operator)
    kind = f"{module.operator}1x1 G={module.groups}" if module.groups > 1 else "conv1x1"
    yield _batch_norm(f"{name}.norm1", channels, side)
    yield _layer(f"{name}.grouped", kind, channels, mid, side, weights)
    yield _batch_norm(f"{name}.norm2", mid, side)
    yield _layer(f"{name}.depthwise", "depthwise3x3", mid, mid, side, 9 * mid)
    yield _batch_norm(f"{name}.norm3", mid, side)
    if module.se_channels:
        yield _linear(f"{name}.se.reduce", "se linear", mid, module.se_channels)
        yield _linear(f"{name}.se.expand", "se linear", module.se_channels, mid)
    yield _layer(f"{name}.project", "conv1x1", mid, module.growth, side, mid * module.growth)


def _linear(name: str, kind: str, inputs: int, outputs: int) -> Layer:
    return _layer(name, kind, inputs, outputs, 1, inputs * outputs, biases=outputs)


def _batch_norm(name: str, channels: int, side: int) -> Layer:
    return _layer(name, "batch norm", channels, channels, side, 0, of_norm=2 * channels)


def _layer(
    name: str,
    kind: str,
    inputs: int,
    outputs: int,
    side: int,
    weights: int,
    *,
    biases: int = 0,
    of_norm: int = 0,
) -> Layer:
    return Layer(
        name=name,
        kind=kind,
        in_channels=inputs,
        out_channels=outputs,
        resolution=side,
        flops=weights * side**2,
        num_params=weights + biases,
        num_params_total=weights + biases + of_norm,
    )
