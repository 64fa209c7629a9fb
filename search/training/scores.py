"""Scores of a network without training, which a proxy has to beat. Higher is better."""

import math
from collections.abc import Callable

import torch

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from hgcnet.model import HGCNet

Score = Callable[[Architecture, Task], float]


def synflow(architecture: Architecture, task: Task) -> float:
    """The log of the synaptic flow, the sum of |weight * dR/dweight| (Tanaka et al. 2020, eq. 2).

    R is the sum of the outputs for an image of ones in the network of absolute weights, whose batch
    normalisations do nothing. As a score of architectures: Abdelfattah et al. 2021. The logarithm
    keeps the order, and float64 the range.
    """
    model = HGCNet(architecture, task, generator=torch.Generator().manual_seed(0))
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    image = torch.ones(1, task.in_channels, task.resolution, task.resolution, dtype=torch.float64)
    model(image).sum().backward()
    flow = sum(
        float((parameter.detach() * parameter.grad).abs().sum())
        for parameter in model.parameters()
        if parameter.grad is not None
    )
    return math.log(flow)


SCORES: dict[str, Score] = {
    "FLOPs": lambda architecture, task: float(count(architecture, task).flops),
    "params": lambda architecture, task: float(count(architecture, task).num_params),
    "synflow": synflow,
}
