"""HGCNet: the network of an architecture and a task; `create_model` makes one by name."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hgcnet.architecture import Architecture, Task
from hgcnet.blocks import HGCModule, Stem, Transition
from hgcnet.fusion import FusedHGCNet, fused
from hgcnet.layers import Form, HierarchicalGroupConv2d
from hgcnet.networks import find_network
from hgcnet.prediction import Prediction, predict
from hgcnet.structure import build_structure

if TYPE_CHECKING:  # which imports this file
    from hgcnet.model_folder import ModelRecord


class HGCNet(nn.Module):
    """An HGCNet for small images (Xie, Zhou, Kung 2019): images (N, in_channels, H, W) -> logits
    (N, num_classes).

    3x3 stem, at full resolution or with a stride; stages of HGC modules with a transition between each
    two; BN, ReLU, global average pool, classifier. The path of a submodule is the name of its row in
    `hgcnet.complexity.layer_table`.

    Args:
        architecture: What the network is.
        task: Channels of its images and number of classes. The resolution does not change the
            network: it runs on images of any size.
        generator: Draws every weight; a CPU generator, seeded with 0 if none is given. The global
            random state is neither read nor changed.
        form: How the grouped convolutions are computed; see `HierarchicalGroupConv2d`.
    """

    def __init__(
        self,
        architecture: Architecture,
        task: Task | None = None,
        *,
        generator: torch.Generator | None = None,
        form: Form = "auto",
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.task = task = task or Task()
        self.record: ModelRecord | None = None  # of the model folder that the weights are from
        shapes = build_structure(architecture)
        # torch's own layers draw their first weights from the global state: put it back afterwards.
        with torch.random.fork_rng(devices=[]):
            self.stem = Stem(task.in_channels, architecture.stem_channels, architecture.stem_stride)
            self.stages = nn.ModuleList(
                nn.Sequential(*(HGCModule(module, form) for module in stage.modules))
                for stage in shapes
            )
            self.transitions = nn.ModuleList(
                Transition(stage.modules[-1].out_channels, stage.transition_channels)
                for stage in shapes
                if stage.transition_channels is not None
            )
            channels = shapes[-1].modules[-1].out_channels
            self.norm = nn.BatchNorm2d(channels)
            self.classifier = nn.Linear(channels, task.num_classes)
        _initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        for s, stage in enumerate(self.stages):
            if s > 0:
                x = self.transitions[s - 1](x)
            x = stage(x)
        x = F.relu(self.norm(x), inplace=True).mean((2, 3))  # (N, C)
        logits: Tensor = self.classifier(x)
        return logits

    def predict(self, images: Iterable[Any]) -> list[Prediction]:
        """Classifies images by the network of a model folder: classes by name, with probabilities.

        Images are prepared as for the training; see `hgcnet.preparation`.

        Args:
            images: Paths, Pillow images, or uint8 arrays (H, W) or (H, W, C), of any size. Files
                are read by Pillow (`pip install pillow`).

        Raises:
            ArchitectureError: The network is not from a model folder.
            DataError: An image cannot be used; the message names it.
        """
        return predict(self, images)

    def fused(self) -> FusedHGCNet:
        """A copy for evaluation, faster and the same function; see `hgcnet.fusion.fused`."""
        return fused(self)


def create_model(
    name_or_file: str | Path,
    num_classes: int | None = None,
    in_channels: int | None = None,
    resolution: int | None = None,
    *,
    seed: int = 0,
    form: Form = "auto",
) -> HGCNet:
    """An untrained network, by a preset's name ("hgcnet_42_g4") or the path of an architecture file.

    Task sizes that are not given come from the file; a preset has 10 classes, 3 channels and 32
    pixels. The path of a model folder gives its architecture without its weights; use `hgcnet.load`
    for both.

    Raises:
        ArchitectureError: no such preset, or a file that cannot be used.
    """
    file = find_network(name_or_file)
    task = file.task.changed(
        num_classes=num_classes, in_channels=in_channels, resolution=resolution
    )
    generator = torch.Generator().manual_seed(seed)
    return HGCNet(file.architecture, task, generator=generator, form=form)


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Convolutions: kaiming normal, fan_in. Linear layers: uniform in +-1/sqrt(fan_in), bias 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_in", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, HierarchicalGroupConv2d):
            module.reset_parameters(generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
