"""Every form of the grouped convolution against eq. 1 written as plainly as possible."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hgcnet.layers import HierarchicalGroupConv2d, SqueezeExcite, prefers_composed

FORMS = ("reference", "composed", "auto")
SHAPES = [  # (I, O, G)
    (8, 8, 1),
    (8, 8, 2),
    (24, 48, 4),
    (60, 96, 6),
    (36, 48, 3),
    (7, 12, 4),  # I is not a multiple of G
    (25, 40, 8),
    (13, 10, 5),
    (3, 16, 8),  # I < G: groups without input channels
    (1, 7, 7),
    (2, 3, 3),
]


def equation_1(x: Tensor, weight_x: Tensor, weight_y: Tensor | None, groups: int) -> Tensor:
    """Y_1 = W_1^x X_1; Y_i = W_i^x X_i + W_i^y Y_{i-1}; Y = concat(Y_1 .. Y_G)."""
    outputs: list[Tensor] = []
    for group in range(groups):
        channels = [c for c in range(x.shape[1]) if c % groups == group]
        output = torch.einsum("oi,nihw->nohw", weight_x[:, channels], x[:, channels])
        if weight_y is not None and group > 0:
            output = output + torch.einsum("op,nphw->nohw", weight_y[group - 1], outputs[-1])
        outputs.append(output)
    return torch.cat(outputs, dim=1)


def relative_difference(value: Tensor, expected: Tensor) -> float:
    scale = expected.abs().max().item()
    return (value - expected).abs().max().item() / (scale or 1.0)


def check_against_equation_1(
    in_channels: int,
    out_channels: int,
    groups: int,
    operator: str,
    form: str,
    shape: tuple[int, int, int] = (2, 3, 5),
    memory_format: torch.memory_format = torch.contiguous_format,
) -> None:
    """`shape`: images, height, width."""
    num_images, height, width = shape
    generator = torch.Generator().manual_seed(in_channels * 1000 + out_channels * 10 + groups)
    layer = HierarchicalGroupConv2d(
        in_channels, out_channels, groups, operator=operator, form=form
    ).double()
    layer.reset_parameters(generator)
    x, output_gradient = (
        torch.randn(
            num_images, channels, height, width, generator=generator, dtype=torch.float64
        ).to(memory_format=memory_format)
        for channels in (in_channels, out_channels)
    )
    x.requires_grad_()
    inputs = [x, *layer.parameters()]

    y = layer(x)
    expected = equation_1(x, layer.weight_x, layer.weight_y, groups)

    assert relative_difference(y, expected) < 1e-12
    gradients = torch.autograd.grad(y, inputs, output_gradient)
    expected_gradients = torch.autograd.grad(expected, inputs, output_gradient)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        assert relative_difference(gradient, expected_gradient) < 1e-12


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("operator", ["hgc", "sgc"])
@pytest.mark.parametrize(("in_channels", "out_channels", "groups"), SHAPES)
def test_each_form_is_equation_1_forward_and_backward(
    in_channels: int, out_channels: int, groups: int, operator: str, form: str
) -> None:
    check_against_equation_1(in_channels, out_channels, groups, operator, form)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    in_channels=st.integers(1, 40),
    per_group=st.integers(1, 12),
    groups=st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9]),
    operator=st.sampled_from(["hgc", "sgc"]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_equation_1_holds_for_any_widths_and_sizes(
    in_channels: int,
    per_group: int,
    groups: int,
    operator: str,
    form: str,
    shape: tuple[int, int, int],
    memory_format: torch.memory_format,
) -> None:
    out_channels = per_group * groups
    check_against_equation_1(
        in_channels, out_channels, groups, operator, form, shape, memory_format
    )


@pytest.mark.parametrize(
    ("shape", "side", "form"),
    [
        ((24, 48, 4), 32, "composed"),  # the paper's networks
        ((348, 192, 4), 8, "composed"),
        ((24, 48, 1), 1, "composed"),  # nothing to save
        ((512, 1024, 8), 8, "reference"),  # three times the multiply-adds
        ((240, 384, 4), 8, "composed"),
        ((240, 384, 4), 1, "reference"),  # composing costs more than the convolution
    ],
)
def test_auto_takes_the_form_that_was_measured_to_be_faster(
    shape: tuple[int, int, int], side: int, form: str
) -> None:
    layer = HierarchicalGroupConv2d(*shape)

    assert prefers_composed(layer, 64 * side**2, "cpu") is (form == "composed")
    assert prefers_composed(layer, 64 * side**2, "cuda")


def test_auto_computes_by_the_form_that_it_prefers() -> None:
    wide = HierarchicalGroupConv2d(256, 256, 8)
    x = torch.randn(1, 256, 2, 2, generator=torch.Generator().manual_seed(0))
    assert not prefers_composed(wide, 4, "cpu")

    reference = HierarchicalGroupConv2d(256, 256, 8, form="reference")
    reference.load_state_dict(wide.state_dict())

    assert torch.equal(wide(x), reference(x))


@pytest.mark.long
@pytest.mark.parametrize(
    ("shape", "nodes"),
    [
        ((24, 48, 4), 1),  # composed is the faster one for any number of images
        ((256, 256, 8), 1),  # from 62 images on
        ((512, 1024, 8), 8),  # for none
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_layer_takes_any_number_of_images(
    shape: tuple[int, int, int], nodes: int, strict: bool
) -> None:
    layer = HierarchicalGroupConv2d(*shape)
    images = torch.randn(64, shape[0], 2, 2, generator=torch.Generator().manual_seed(0))

    exported = torch.export.export(
        layer, (images[:2],), dynamic_shapes=({0: torch.export.Dim("images")},), strict=strict
    )

    assert sum("conv2d" in str(node.target) for node in exported.graph.nodes) == nodes
    for number in (1, 2, 61, 62, 64):
        given = images[:number]
        assert relative_difference(exported.module()(given), layer(given)) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_sgc_is_torchs_grouped_convolution_after_the_channel_shuffle(form: str) -> None:
    layer = HierarchicalGroupConv2d(12, 8, 4, operator="sgc", form=form).double()
    x = torch.randn(2, 12, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shuffled = x.view(2, 3, 4, 3, 3).transpose(1, 2).reshape(2, 12, 3, 3)
    columns = layer.weight_x.view(2, 3, 4).permute(2, 0, 1).reshape(8, 3, 1, 1)

    expected = torch.nn.functional.conv2d(shuffled, columns, groups=4)

    assert relative_difference(layer(x), expected) < 1e-12


@pytest.mark.parametrize(("in_channels", "out_channels", "groups"), SHAPES)
def test_parameters_are_counted_by_equation_2(
    in_channels: int, out_channels: int, groups: int
) -> None:
    hgc = HierarchicalGroupConv2d(in_channels, out_channels, groups)
    sgc = HierarchicalGroupConv2d(in_channels, out_channels, groups, operator="sgc")
    per_group = out_channels // groups
    own = [len(range(g, in_channels, groups)) for g in range(groups)]  # I_1 .. I_G

    equation_2 = per_group * own[0] + sum(per_group * (per_group + i) for i in own[1:])

    assert sum(p.numel() for p in hgc.parameters()) == equation_2
    assert sum(p.numel() for p in sgc.parameters()) == sum(per_group * i for i in own)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "groups"), [s for s in SHAPES if s[0] % s[2] == 0]
)
def test_the_ratio_to_a_standard_convolution_is_equation_3(
    in_channels: int, out_channels: int, groups: int
) -> None:
    layer = HierarchicalGroupConv2d(in_channels, out_channels, groups)
    ratio = sum(p.numel() for p in layer.parameters()) / (in_channels * out_channels)

    equation_3 = (out_channels / (in_channels * groups) + 1 / groups) * (
        1 - 1 / groups
    ) + 1 / groups**2

    assert ratio == pytest.approx(equation_3, rel=1e-12)


@pytest.mark.parametrize("operator", ["hgc", "sgc"])
@pytest.mark.parametrize(
    ("in_channels", "out_channels", "groups"), [(64, 64, 1), (64, 64, 4), (61, 96, 8), (5, 64, 8)]
)
def test_every_group_starts_with_the_variance_of_a_standard_convolution(
    in_channels: int, out_channels: int, groups: int, operator: str
) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = HierarchicalGroupConv2d(in_channels, out_channels, groups, operator=operator)
    standard = torch.nn.Conv2d(in_channels, out_channels, 1, bias=False)
    # Inputs of one second moment in every channel, so that only the weights are left to vary.
    x = torch.randn(4, in_channels, 1, 1, generator=generator).sign()
    variances, standard_variances = [], []
    for _ in range(1000):
        layer.reset_parameters(generator)
        torch.nn.init.kaiming_normal_(
            standard.weight, mode="fan_in", nonlinearity="relu", generator=generator
        )
        with torch.no_grad():
            variances.append(layer(x).square().view(4, groups, -1).mean((0, 2)))
            standard_variances.append(standard(x).square().mean())

    ratios = torch.stack(variances).mean(0) / torch.stack(standard_variances).mean()

    has_inputs = torch.arange(groups) < in_channels
    expected = torch.ones(groups) if operator == "hgc" else has_inputs.float()
    torch.testing.assert_close(ratios, expected, atol=0.1, rtol=0)


def test_a_generator_decides_the_weights_and_the_global_state_is_untouched() -> None:
    layer = HierarchicalGroupConv2d(24, 48, 4)
    before = torch.get_rng_state()

    layer.reset_parameters(torch.Generator().manual_seed(3))
    first = [p.clone() for p in layer.parameters()]
    layer.reset_parameters(torch.Generator().manual_seed(3))

    assert all(torch.equal(a, b) for a, b in zip(first, layer.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_weight_is_composed_in_full_precision_under_autocast() -> None:
    layer = HierarchicalGroupConv2d(24, 48, 8)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    x = torch.ones(1, 24, 2, 2)

    with torch.autocast("cpu", torch.bfloat16):
        weight, y = layer.composed_weight(), layer(x)

    assert torch.equal(weight, layer.composed_weight())
    assert y.dtype is torch.bfloat16


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_runs_on_the_meta_device(form: str) -> None:
    layer = HierarchicalGroupConv2d(7, 12, 4, form=form).to("meta")

    assert layer(torch.empty(2, 7, 3, 3, device="meta")).shape == (2, 12, 3, 3)


@pytest.mark.parametrize("form", FORMS)
def test_forms_share_their_weights(form: str) -> None:
    state = HierarchicalGroupConv2d(7, 12, 4).state_dict()

    layer = HierarchicalGroupConv2d(7, 12, 4, form=form)

    assert set(state) == {"weight_x", "weight_y"}
    layer.load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"out_channels": 10, "groups": 4}, "out_channels=10 is not a multiple of groups=4"),
        ({"operator": "dense"}, "operator='dense' is not one of hgc, sgc"),
        ({"form": "fast"}, "form='fast' is not one of auto, reference, composed"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HierarchicalGroupConv2d(**{"in_channels": 8, "out_channels": 8, "groups": 4} | arguments)


def test_squeeze_excite_gates_each_channel_by_the_means_of_all() -> None:
    layer = SqueezeExcite(6, 3).double()
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    means = x.flatten(2).mean(2)
    hidden = (means @ layer.reduce.weight.T + layer.reduce.bias).clamp(min=0)
    gate = 1 / (1 + torch.exp(-(hidden @ layer.expand.weight.T + layer.expand.bias)))

    assert relative_difference(layer(x), x * gate.view(2, 6, 1, 1)) < 1e-12


def test_a_printed_layer_says_its_widths_groups_operator_and_form() -> None:
    layer = HierarchicalGroupConv2d(8, 12, 4, operator="sgc")
    assert str(layer) == ("HierarchicalGroupConv2d(8, 12, groups=4, operator='sgc', form='auto')")
