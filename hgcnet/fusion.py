"""The evaluation form of a network: weights composed once, batch normalisation merged where it can be."""

import copy
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hgcnet.blocks import HGCModule, Transition, halve
from hgcnet.layers import HierarchicalGroupConv2d

if TYPE_CHECKING:  # the network imports this file
    from hgcnet.model import HGCNet


def fused(model: "HGCNet") -> "FusedHGCNet":
    """A copy of a network for evaluation: the same function as `model.eval()`, in fewer steps.

    The weights are composed and merged in float64 and rounded once, so that in float32 the logits
    differ by rounding alone. The copy has the model's device and dtype and does not follow later
    changes of the model, which stays as it is.
    """
    weight = model.stem.weight
    return FusedHGCNet(copy.deepcopy(model).cpu().double()).to(weight.device, weight.dtype)


class FusedHGCNet(nn.Module):
    """The evaluation form of an HGCNet: images (N, in_channels, H, W) -> logits (N, num_classes).

    Its submodules are named as the network's, without those that were merged. It executes more
    multiply-adds than are counted in the composed 1x1 convolutions, and fewer in the transitions.
    It computes in channels_last, whatever the layout of its images.

    Raises:
        RuntimeError: it is put into training mode.
    """

    def __init__(self, model: "HGCNet") -> None:
        super().__init__()
        self.architecture, self.task = model.architecture, model.task
        self.stem = model.stem
        self.stages = nn.ModuleList(
            nn.Sequential(*(FusedModule(cast(HGCModule, module)) for module in stage.children()))
            for stage in model.stages
        )
        self.transitions = nn.ModuleList(
            FusedTransition(cast(Transition, transition)) for transition in model.transitions
        )
        self.norm = model.norm
        self.classifier = model.classifier
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        for s, stage in enumerate(self.stages):
            if s > 0:
                x = self.transitions[s - 1](x)
            x = stage(x)
        x = F.relu(self.norm(x), inplace=True).mean((2, 3))  # (N, C)
        logits: Tensor = self.classifier(x)
        return logits

    def train(self, mode: bool = True) -> "FusedHGCNet":
        if mode:
            raise RuntimeError("a fused network cannot be trained: train the one it was made from")
        return super().train(mode)


class FusedModule(nn.Module):
    """An HGC module in which two of three batch normalisations are merged into the weights before them.

    The BN after the grouped 1x1 goes into its composed weight (the depthwise 3x3 pads after that
    BN, so its zeros stay right), the BN after the depthwise 3x3 into that convolution. The first BN
    stays: a ReLU follows it, and its input is also that of all later modules.
    """

    def __init__(self, module: HGCModule) -> None:
        super().__init__()
        self.norm1 = module.norm1
        self.grouped = _merge(_dense_weight(module.grouped), module.norm2)
        self.depthwise = _merge(module.depthwise.weight, module.norm3)
        self.se = module.se
        self.project = module.project

    def forward(self, x: Tensor) -> Tensor:
        new = self.grouped(F.relu(self.norm1(x), inplace=True))  # (N, O, H, W)
        return torch.cat((x, self.project(self.se(self.depthwise(new)))), 1)


class FusedTransition(nn.Module):
    """A transition that averages before its 1x1 convolution: both are linear, and a quarter of the
    pixels is left."""

    def __init__(self, transition: Transition) -> None:
        super().__init__()
        self.norm = transition.norm
        self.conv = transition.conv

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(x), inplace=True)
        y: Tensor = self.conv(halve(x))
        return y


def _dense_weight(layer: nn.Module) -> Tensor:
    """The weight (O, I, 1, 1) of a grouped 1x1 convolution, which is a plain one where G = 1."""
    if isinstance(layer, HierarchicalGroupConv2d):
        return layer.composed_weight()[:, :, None, None]
    assert isinstance(layer, nn.Conv2d)
    return layer.weight


def _merge(weight: Tensor, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A weight (1x1, or depthwise 3x3) and the BN after it, as one convolution with bias."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    out_channels, per_group, side, _ = weight.shape
    in_channels, groups = (out_channels, out_channels) if side == 3 else (per_group, 1)
    # On the device "meta" no weights are drawn: the global random state is left alone.
    conv = nn.Conv2d(
        in_channels, out_channels, side, padding=side // 2, groups=groups, device="meta"
    )
    conv.weight = nn.Parameter((weight * scale[:, None, None, None]).detach())
    conv.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())
    return conv
