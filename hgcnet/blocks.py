"""The blocks of an HGCNet: the stem, the HGC module and the transition between two stages."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hgcnet.layers import Form, HierarchicalGroupConv2d, SqueezeExcite
from hgcnet.structure import STEM_STRIDES, ModuleShape


class Stem(nn.Conv2d):
    """3x3 convolution of an image: (N, in, H, W) -> (N, out, H / stride, W / stride), rounded up.

    A stride of 2 is the convolution's, as in CondenseNet, MobileNet and RegNet for ImageNet. A
    stride of 4 adds a 2x2 average pool. DenseNet and ResNet have a max pool there, whose gradient
    torch does not guarantee to be deterministic on a GPU; the transitions average as well. The pool
    has no weights and no counted multiply-adds. There is no BN or ReLU between the two, as the
    first module begins with them: both are one linear map, a 5x5 convolution of stride 4
    (ConvNeXt's stem is linear too, 4x4 of stride 4).

    Raises:
        ValueError: the stride is not 1, 2 or 4.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        if stride not in STEM_STRIDES:
            raise ValueError(f"stride={stride} is not one of 1, 2, 4")
        step = min(stride, 2)
        super().__init__(in_channels, out_channels, 3, stride=step, padding=1, bias=False)
        self.is_pooled = stride == 4

    def forward(self, images: Tensor) -> Tensor:
        x = super().forward(images)
        return halve(x) if self.is_pooled else x


class HGCModule(nn.Module):
    """The HGC module of Xie, Zhou, Kung 2019, fig. 3b, with its dense connection.

    BN, ReLU, grouped 1x1 with its channel shuffle (I -> O), BN, depthwise 3x3, BN, squeeze-and-excitation
    where the shape has it, 1x1 (O -> growth); the result is appended to the input. There is no ReLU
    before the depthwise convolution. Input (N, I, H, W), output (N, I + growth, H, W).

    With one group the grouped 1x1 is a plain `nn.Conv2d`.
    """

    def __init__(self, shape: ModuleShape, form: Form = "auto") -> None:
        super().__init__()
        channels, mid = shape.in_channels, shape.mid_channels
        self.norm1 = nn.BatchNorm2d(channels)
        self.grouped: nn.Module
        if shape.groups == 1:
            self.grouped = nn.Conv2d(channels, mid, 1, bias=False)
        else:
            self.grouped = HierarchicalGroupConv2d(
                channels, mid, shape.groups, operator=shape.operator, form=form
            )
        self.norm2 = nn.BatchNorm2d(mid)
        self.depthwise = nn.Conv2d(mid, mid, 3, padding=1, groups=mid, bias=False)
        self.norm3 = nn.BatchNorm2d(mid)
        self.se = SqueezeExcite(mid, shape.se_channels) if shape.se_channels else nn.Identity()
        self.project = nn.Conv2d(mid, shape.growth, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.grouped(F.relu(self.norm1(x), inplace=True))  # (N, O, H, W)
        new = self.norm3(self.depthwise(self.norm2(new)))
        return torch.cat((x, self.project(self.se(new))), 1)


class Transition(nn.Module):
    """BN, ReLU, 1x1, 2x2 average pool: (N, in, H, W) -> (N, out, H // 2, W // 2).

    A side of one pixel stays one pixel, so that a network may have more stages than its images can
    be halved.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return halve(self.conv(F.relu(self.norm(x), inplace=True)))


def halve(x: Tensor) -> Tensor:
    """2x2 average pool; a side of one pixel stays one pixel."""
    return F.avg_pool2d(x, [min(2, side) for side in x.shape[2:]])
