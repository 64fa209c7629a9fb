"""The closed forms against the built network and against torch's counter."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.complexity import count, count_many, layer_table
from hgcnet.model import HGCNet
from hgcnet.presets import PRESETS
from hgcnet.structure import (
    STEM_STRIDES,
    ArchitectureArrays,
    build_structures,
    least_resolution,
    stem_sides,
)

DrawArchitecture = Callable[..., Architecture]
TASKS = (
    Task(),
    Task(in_channels=1, num_classes=7, resolution=15),
    Task(num_classes=100, resolution=33),
)


def check_against_the_built_network(architecture: Architecture, task: Task) -> None:
    network = HGCNet(architecture, task, form="reference").to("meta").eval()
    images = torch.empty(1, task.in_channels, task.resolution, task.resolution, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    measured = counter.get_flop_counts()
    table = layer_table(architecture, task)

    for layer in table:
        module = network.get_submodule(layer.name)
        is_norm = isinstance(module, nn.BatchNorm2d)
        num_params = sum(p.numel() for p in module.parameters())
        assert layer.num_params_total == num_params, layer
        assert layer.num_params == (0 if is_norm else num_params), layer
        assert 2 * layer.flops == sum(measured.get(f"HGCNet.{layer.name}", {}).values()), layer
    owners = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    assert {layer.name for layer in table} == owners
    assert len({layer.name for layer in table}) == len(table)
    totals = count(architecture, task)
    assert 2 * totals.flops == counter.get_total_flops()
    assert totals.num_params_total == sum(p.numel() for p in network.parameters())


@pytest.mark.long
@pytest.mark.parametrize("name", PRESETS)
def test_the_layer_table_of_a_preset_is_the_built_network(name: str) -> None:
    check_against_the_built_network(PRESETS[name], Task())


@pytest.mark.parametrize(
    "seed", [*range(24), *(pytest.param(s, marks=pytest.mark.long) for s in range(24, 48))]
)
def test_the_layer_table_of_any_architecture_is_the_built_network(
    draw_architecture: DrawArchitecture, seed: int
) -> None:
    check_against_the_built_network(draw_architecture(seed), TASKS[seed % 3])


@pytest.mark.parametrize("seed", range(200, 206))
def test_a_side_of_one_pixel_stays_one_pixel(
    draw_architecture: DrawArchitecture, seed: int
) -> None:
    check_against_the_built_network(draw_architecture(seed, num_stages=6), Task(resolution=9))


@pytest.mark.parametrize("resolution", [1, 2, 7, 33, 64])
@pytest.mark.parametrize("stride", [2, 4])
def test_the_layer_table_of_a_stem_with_a_stride_is_the_built_network(
    draw_architecture: DrawArchitecture, stride: int, resolution: int
) -> None:
    architecture = replace(draw_architecture(resolution, num_stages=5), stem_stride=stride)

    check_against_the_built_network(architecture, Task(resolution=resolution))


@pytest.mark.parametrize("stride", STEM_STRIDES)
@pytest.mark.parametrize("num_stages", [3, 4, 5])
def test_the_least_resolution_is_the_last_that_every_halving_halves(
    stride: int, num_stages: int
) -> None:
    least = least_resolution(stride, num_stages)
    _, side = stem_sides(least, stride)
    assert side // 2 ** (num_stages - 1) == 1
    _, side = stem_sides(least - 1, stride)
    assert side // 2 ** (num_stages - 1) == 0


def test_of_224_pixels_a_stride_of_4_and_five_stages_leave_what_is_usual() -> None:
    architecture = Architecture(stem_stride=4, stages=(Stage(depth=1, growth=4, groups=2),) * 4)
    sides = {row.name: row.resolution for row in layer_table(architecture, Task(resolution=224))}
    assert [sides[f"stages.{s}.0.project"] for s in range(4)] == [56, 28, 14, 7]
    assert sides["stem"] == 112


def test_architectures_of_different_stages_and_strides_count_together_as_each_of_them(
    draw_architecture: DrawArchitecture,
) -> None:
    architectures = [
        replace(draw_architecture(seed, 3 + seed % 3), stem_stride=STEM_STRIDES[seed // 3 % 3])
        for seed in range(90)
    ]
    for task in (*TASKS, Task(resolution=224)):
        expected = [count(architecture, task) for architecture in architectures]

        flops, num_params = count_many(stack(architectures), task)

        assert flops.tolist() == [c.flops for c in expected]
        assert num_params.tolist() == [c.num_params for c in expected]


def test_rows_of_structures_are_equal_exactly_where_the_fingerprints_are() -> None:
    stage = Stage(depth=1, growth=4, groups=2)
    networks = [
        Architecture(operator=operator, stem_stride=stride, stages=(stage,) * number)
        for operator in ("hgc", "sgc")
        for stride in STEM_STRIDES
        for number in (3, 4)
    ]
    networks += [replace(network, se_reduction=4) for network in networks]
    rows = build_structures(stack(networks)).as_rows()
    assert [[(a == b).all() for b in rows] for a in rows] == [
        [a.fingerprint == b.fingerprint for b in networks] for a in networks
    ]


@pytest.mark.parametrize("num_stages", [1, 2, 3, 4, 7])
def test_many_architectures_count_as_each_of_them_to_the_last_digit(
    draw_architecture: DrawArchitecture, num_stages: int
) -> None:
    architectures = [draw_architecture(1000 + seed, num_stages) for seed in range(100)]
    architectures += [a for a in PRESETS.values() if len(a.stages) == num_stages]
    for task in TASKS:
        expected = [count(architecture, task) for architecture in architectures]

        flops, num_params = count_many(stack(architectures), task)

        assert flops.tolist() == [c.flops for c in expected]
        assert num_params.tolist() == [c.num_params for c in expected]


def stack(architectures: Sequence[Architecture]) -> ArchitectureArrays:
    stages = max(len(a.stages) for a in architectures)

    def per_stage(key: str, absent: int = 0) -> np.ndarray:
        rows = [[getattr(stage, key) for stage in a.stages] for a in architectures]
        return np.array([[*row, *[absent] * (stages - len(row))] for row in rows])

    places = {"none": 0, "last": 1, "all": 2, "0": 0}
    return ArchitectureArrays(
        is_hgc=np.array([int(a.operator == "hgc") for a in architectures]),
        stem_channels=np.array([a.stem_channels for a in architectures]),
        stem_stride=np.array([a.stem_stride for a in architectures]),
        bottleneck=np.array([a.bottleneck for a in architectures]),
        compression=np.array([a.compression for a in architectures]),
        se_reduction=np.array([a.se_reduction for a in architectures]),
        depth=per_stage("depth"),
        growth=per_stage("growth"),
        groups=per_stage("groups", absent=1),
        se=np.array([[places[str(se)] for se in row] for row in per_stage("se")]),
    )
