import math
from dataclasses import replace

import pytest
import torch

from hgcnet.architecture import Task
from hgcnet.model import HGCNet
from hgcnet.presets import PRESETS, preset
from search.training.scores import SCORES, synflow

TASK = Task(resolution=16)


CHOSEN = ("sgcnet_42_g1", "hgcnet_42_g4", "se_hgcnet_42_g4")


@pytest.mark.parametrize(
    "name",
    [name if name in CHOSEN else pytest.param(name, marks=pytest.mark.long) for name in PRESETS],
)
def test_every_score_is_a_finite_number_and_the_same_each_time(name: str) -> None:
    for score in SCORES.values():
        value = score(preset(name), TASK)
        assert value == score(preset(name), TASK)
        assert 0 < value < 1e12


def test_synflow_is_how_fast_the_output_grows_with_all_weights() -> None:
    """The sum of weight * dR/dweight is the derivative of R along the weights (Euler)."""

    def output(scale: float) -> float:
        model = HGCNet(preset("hgcnet_42_g6"), TASK, generator=torch.Generator().manual_seed(0))
        model = model.double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.abs_().mul_(scale)
            return float(model(torch.ones(1, 3, 16, 16, dtype=torch.float64)).sum())

    step = 1e-5
    growth = (output(1 + step) - output(1 - step)) / (2 * step)
    assert synflow(preset("hgcnet_42_g6"), TASK) == pytest.approx(math.log(growth), rel=1e-6)


def test_synflow_prefers_deeper_networks() -> None:
    small = preset("sgcnet_42_g4")
    stages = tuple(replace(stage, depth=stage.depth + 1) for stage in small.stages)
    assert synflow(replace(small, stages=stages), TASK) > synflow(small, TASK)
