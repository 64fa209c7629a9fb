"""Seeded random architectures, and networks as if they had been trained."""

import random
from collections.abc import Callable

import pytest
import torch
from torch import nn

from hgcnet.architecture import Architecture, Stage
from hgcnet.model import HGCNet


@pytest.fixture
def draw_architecture() -> Callable[..., Architecture]:
    """draw_architecture(seed, num_stages=None): small networks; I < G and I % G != 0 are common."""

    def draw(seed: int, num_stages: int | None = None) -> Architecture:
        rng = random.Random(seed)
        return Architecture(
            operator=rng.choice(["hgc", "sgc"]),
            stem_channels=rng.choice([1, 3, 5, 8, 16, 24]),
            bottleneck=rng.randint(1, 6),
            compression=rng.choice([0.1, 0.3, 0.5, 0.75, 1.0]),
            se_reduction=rng.choice([1, 4, 8, 64]),
            stages=tuple(
                Stage(
                    depth=rng.randint(1, 4),
                    growth=rng.randint(1, 12),
                    groups=rng.randint(1, 8),
                    se=rng.choice(["none", "last", "all"]),
                )
                for _ in range(num_stages or rng.randint(1, 4))
            ),
        )

    return draw


@pytest.fixture
def randomise() -> Callable[[HGCNet, int], HGCNet]:
    """randomise(network, seed): gives every batch normalisation statistics and weights of its own."""

    def apply(network: HGCNet, seed: int) -> HGCNet:
        generator = torch.Generator().manual_seed(seed)
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3, generator=generator)
                norm.running_var.uniform_(0.5, 2, generator=generator)
                with torch.no_grad():
                    norm.weight.normal_(1, 0.5, generator=generator)  # some below 0
                    norm.bias.normal_(0, 0.2, generator=generator)
        return network

    return apply
