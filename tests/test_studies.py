"""Every study file that people run: it parses, and what its space holds builds and counts right."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from hgcnet.layers import HierarchicalGroupConv2d
from hgcnet.model import HGCNet
from hgcnet.presets import preset
from search.study_file.reading import read_study_file
from search.study_file.schema import StudyFile
from space.search_space import SearchSpace

STUDIES = sorted((Path(__file__).parents[1] / "studies").rglob("*.toml"))
# The others have the same spaces, or train fixed networks.
SEARCHED = [path for path in STUDIES if path.parent.name == "studies"]
TASKS = {  # in_channels, num_classes
    "digits": (1, 10),
    "cifar10": (3, 10),
    "cifar100": (3, 100),
    "image_folder": (3, 7),
}


@pytest.fixture(params=STUDIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def study_file(request: pytest.FixtureRequest) -> StudyFile:
    return read_study_file(request.param)


@pytest.fixture
def space(study_file: StudyFile) -> SearchSpace:
    in_channels, num_classes = TASKS[study_file.data.dataset]
    task = Task(
        in_channels=in_channels,
        num_classes=num_classes,
        resolution=study_file.data.resolution,
    )
    return SearchSpace(study_file.parameters, study_file.limits, task)


def measured(architecture: Architecture, task: Task) -> tuple[int, int, int]:
    """FLOPs, num_params and num_params_total of the built network, by torch's own counts."""
    model = HGCNet(architecture, task, form="reference").eval()
    images = torch.zeros(1, task.in_channels, task.resolution, task.resolution)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(images)
    kinds = (nn.Conv2d, nn.Linear, HierarchicalGroupConv2d)
    weights = [m.parameters(recurse=False) for m in model.modules() if isinstance(m, kinds)]
    num_params = sum(p.numel() for parameters in weights for p in parameters)
    return counter.get_total_flops() // 2, num_params, sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("num_architectures", [2, pytest.param(40, marks=pytest.mark.long)])
@pytest.mark.parametrize("study_file", SEARCHED, ids=lambda path: path.stem, indirect=True)
def test_closed_form_counts_equal_the_built_networks(
    space: SearchSpace, num_architectures: int
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(num_architectures):
        architecture = space.sample(rng)
        assert architecture is not None
        cost = count(architecture, space.task)
        assert (cost.flops, cost.num_params, cost.num_params_total) == measured(
            architecture, space.task
        ), architecture


def test_start_with_lies_in_the_space(study_file: StudyFile, space: SearchSpace) -> None:
    for name in study_file.sampler.start_with:
        params = space.encode(preset(name))
        assert space.decode(params).fingerprint == preset(name).fingerprint


def test_the_cheapest_network_trains_a_step(space: SearchSpace) -> None:
    model = HGCNet(space.cheapest(), space.task)
    side = min(space.task.resolution, 16)
    model(torch.randn(2, space.task.in_channels, side, side)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
