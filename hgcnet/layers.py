"""The two layers that torch lacks: hierarchical group convolution and squeeze-and-excitation."""

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Form = Literal["auto", "reference", "composed"]


class HierarchicalGroupConv2d(nn.Module):
    """A 1x1 convolution in groups, each of which also sees the output of the group before it.

    Eq. 1 of Xie, Zhou, Kung 2019, "HGC: Hierarchical Group Convolution for Highly Efficient Neural
    Network", after its channel shuffle, without bias:

        Y_1 = W_1^x X_1,    Y_i = W_i^x X_i + W_i^y Y_{i-1},    Y = concat(Y_1 .. Y_G)

    The shuffle belongs to the layer: the input is unshuffled, and group g = 0 .. G-1 takes the
    channels g, g + G, g + 2G, ... So I need not be a multiple of G, and where I < G some groups
    have no channels of their own. The operator "sgc" leaves out Y_{i-1}: the standard group
    convolution.

    Input (N, I, H, W), output (N, O, H, W). Weights:

    - `weight_x` (O/G, I): column c is the weight of input channel c, in W^x of group c % G.
    - `weight_y` (G-1, O/G, O/G): W_2^y .. W_G^y; None for "sgc" and for one group.

    Together they are exactly the weights of eq. 2. Two forms compute the same function:

    - "reference": eq. 1 as written, group after group. It executes the counted multiply-adds.
    - "composed": the layer is linear, so it is one O x I matrix (`composed_weight`) and a single
      convolution with it. It executes two to five times as many multiply-adds, and moves less memory.
    - "auto": for each input the faster of the two by `prefers_composed`.

    Raises:
        ValueError: `out_channels` is not a multiple of `groups`, or the operator or form is
            unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int,
        *,
        operator: str = "hgc",
        form: Form = "auto",
    ) -> None:
        super().__init__()
        if out_channels % groups:
            raise ValueError(f"out_channels={out_channels} is not a multiple of groups={groups}")
        if operator not in ("hgc", "sgc"):
            raise ValueError(f"operator={operator!r} is not one of hgc, sgc")
        if form not in get_args(Form):
            raise ValueError(f"form={form!r} is not one of {', '.join(get_args(Form))}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.groups = groups
        self.operator = operator
        self.form: Form = form

        per_group = out_channels // groups
        self.weight_x = nn.Parameter(torch.empty(per_group, in_channels))
        self.weight_y: nn.Parameter | None = None
        if operator == "hgc" and groups > 1:
            self.weight_y = nn.Parameter(torch.empty(groups - 1, per_group, per_group))
        # 1 where an input channel belongs to the group, else 0. # (G, 1, I)
        mask = torch.arange(in_channels) % groups == torch.arange(groups)[:, None, None]
        self.group_mask: Tensor
        self.register_buffer("group_mask", mask.to(self.weight_x.dtype), persistent=False)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws the weights so that each output has the variance of a standard 1x1 convolution's.

        The standard is kaiming normal with fan_in and the gain of ReLU: where the I inputs have the
        second moment q, each output has the variance I * 2/I * q = 2q. Here group i has the
        fan_in F = I_i + O/G (F = I_1 for the first, which has no Y_{i-1}). W^x has the variance 2/F,
        and W^y half of that: there is no ReLU between Y_{i-1} and Y_i, so the second moment of its
        inputs is not q but their variance, 2q. The variance of Y_i is then again I_i * 2/F * q +
        O/G * 1/F * 2q = 2q, however long the chain of groups is.

        (A group of "sgc" with no input channels is zero whatever its weights.)
        """
        per_group = self.out_channels // self.groups
        with torch.no_grad():
            for g in range(self.groups):
                own = self.weight_x[:, g :: self.groups]
                has_previous = self.weight_y is not None and g > 0
                fan_in = max(1, own.shape[1] + has_previous * per_group)
                own.normal_(0.0, math.sqrt(2 / fan_in), generator=generator)
                if self.weight_y is not None and g > 0:
                    self.weight_y[g - 1].normal_(0.0, math.sqrt(1 / fan_in), generator=generator)

    def composed_weight(self) -> Tensor:
        """The dense matrix (O, I) that equals the layer, in the order of the unshuffled inputs.

        Its row blocks follow E_i = W_i^y E_{i-1} + [0 .. W_i^x .. 0].
        """
        device_type = self.weight_x.device.type
        if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
            # The chain stays in full precision, and its many small matrices need no casts.
            with torch.autocast(device_type, enabled=False):
                return self._compose()
        return self._compose()

    def _compose(self) -> Tensor:
        own = (self.weight_x * self.group_mask).unbind()  # G of (O/G, I)
        if self.weight_y is None:
            return torch.cat(own)
        blocks = [own[0]]
        for own_block, weight_y in zip(own[1:], self.weight_y.unbind(), strict=True):
            blocks.append(torch.addmm(own_block, weight_y, blocks[-1]))
        return torch.cat(blocks)

    def forward(self, x: Tensor) -> Tensor:
        composed = self.form == "composed"
        if self.form == "auto":
            composed = prefers_composed(self, x.shape[0] * x.shape[2:].numel(), x.device.type)
        return F.conv2d(x, self.composed_weight()[:, :, None, None]) if composed else self._loop(x)

    def _loop(self, x: Tensor) -> Tensor:
        """Eq. 1 as written."""
        outputs: list[Tensor] = []
        for g in range(self.groups):
            inputs, weight = x[:, g :: self.groups], self.weight_x[:, g :: self.groups]
            if self.weight_y is not None and g > 0:
                inputs = torch.cat((inputs, outputs[-1]), 1)
                weight = torch.cat((weight, self.weight_y[g - 1]), 1)
            if weight.shape[1]:
                outputs.append(F.conv2d(inputs, weight[:, :, None, None]))
            else:  # a group of sgc without input channels
                outputs.append(x.new_zeros(x.shape[0], weight.shape[0], *x.shape[2:]))
        return torch.cat(outputs, 1)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, groups={self.groups}, "
            f"operator={self.operator!r}, form={self.form!r}"
        )


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that is computed from the means of all channels.

    Hu, Shen, Sun 2018, "Squeeze-and-Excitation Networks": mean over the pixels, linear (channels ->
    hidden), ReLU, linear (hidden -> channels), sigmoid. Input and output (N, channels, H, W).
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.expand(F.relu(self.reduce(x.mean((2, 3))))).sigmoid()  # (N, channels)
        return x * gate[:, :, None, None]


def prefers_composed(layer: HierarchicalGroupConv2d, pixels: int, device_type: str) -> bool:
    """Whether the composed form is faster for `pixels` = N * H * W of an input.

    It multiplies more: the dense matrix instead of the groups, and the composing itself, which does
    not shrink with the input. It moves less memory: the reference gathers its I inputs and writes
    each of its O outputs up to three times. On a CPU it is used up to `_WORTH` more multiply-adds
    for each element that it does not move, in float32 and bfloat16 alike (benchmarks/hgc_forms.py
    measures both sides of this border). Nearly all layers of the paper's networks are below it;
    wide layers of many groups, and large ones on few pixels, are above. On a GPU (an H100, in CUDA
    graphs of the same benchmark) composed was faster in every layer tried, 1.2 to 3.7 times as fast
    as the reference in NCHW and float32. Other devices were not measured.

    While `torch.export` or `torch.compile` leaves the number of images open, composed is used
    unless it is slower for every number.
    """
    if device_type != "cpu":
        return True
    inputs, outputs = layer.in_channels, layer.out_channels
    per_group = outputs // layer.groups
    links = layer.groups - 1 if layer.weight_y is not None else 0
    structure = pixels * per_group * (inputs + links * per_group)
    composed = (pixels * outputs + links * per_group**2) * inputs
    is_slower = composed - structure > _WORTH * pixels * (inputs + 2 * outputs)
    if torch.compiler.is_compiling():  # a branch on an open number would bind it
        from torch.fx.experimental.symbolic_shapes import statically_known_true  # it loads SymPy

        return not statically_known_true(is_slower)
    return not is_slower


_WORTH = 75  # between 65, where composed was 1.1 times as fast, and 100, where it was 0.9
