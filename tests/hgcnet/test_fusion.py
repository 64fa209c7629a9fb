"""The fused form is the same function, stays apart from its original, and cannot be trained."""

import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.fusion import FusedHGCNet, fused
from hgcnet.model import HGCNet
from hgcnet.structure import STEM_STRIDES

SMALL = Architecture(
    stem_channels=6,
    bottleneck=2,
    stages=(
        Stage(depth=2, growth=4, groups=3, se="last"),
        Stage(depth=2, growth=6, groups=1),
    ),
)


def draw_images(network: HGCNet, number: int = 2, side: int = 9) -> torch.Tensor:
    shape = (number, network.task.in_channels, side, side)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def distance(given: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((given - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("seed", range(24))
def test_a_fused_network_is_the_same_function(
    draw_architecture: Callable[..., Architecture],
    randomise: Callable[[HGCNet, int], HGCNet],
    seed: int,
) -> None:
    task = Task(in_channels=1 + seed % 3, num_classes=2 + seed)
    architecture = replace(draw_architecture(seed), stem_stride=STEM_STRIDES[seed // 3 % 3])
    network = randomise(HGCNet(architecture, task), seed).eval()
    images = draw_images(network, side=5 + seed)

    with torch.no_grad():
        expected, logits = network(images), network.fused()(images)

    assert distance(logits, expected) < 1e-5


@pytest.mark.parametrize("name", ["hgcnet_42_g4", "sgcnet_42_g6", "se_hgcnet_42_g4"])
def test_a_fused_preset_is_the_same_function(
    randomise: Callable[[HGCNet, int], HGCNet], name: str
) -> None:
    network = randomise(hgcnet.create_model(name), 0).eval()
    images = draw_images(network, side=16)

    with torch.no_grad():
        expected, logits = network(images), fused(network)(images)

    assert distance(logits, expected) < 1e-5


def test_in_float64_the_difference_is_rounding_alone(
    randomise: Callable[[HGCNet, int], HGCNet],
) -> None:
    network = randomise(HGCNet(SMALL), 1).double().eval()
    images = draw_images(network).double()

    logits = network.fused()(images)

    assert logits.dtype == torch.float64
    assert distance(logits, network(images)) < 1e-13


def test_the_original_stays_as_it_is_and_apart(
    randomise: Callable[[HGCNet, int], HGCNet],
) -> None:
    network = randomise(HGCNet(SMALL), 2).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = draw_images(network)

    copy = network.fused()
    logits = copy(images)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())

    network(images)  # moves the statistics
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(copy(images), logits)


def test_two_of_three_norms_are_merged_and_nothing_is_left_to_train() -> None:
    network = HGCNet(SMALL)

    copy = network.fused()

    norms = [name for name, module in copy.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == [
        *(f"stages.{s}.{m}.norm1" for s in (0, 1) for m in (0, 1)),
        "transitions.0.norm",
        "norm",
    ]
    assert not copy.training
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    with pytest.raises(RuntimeError, match="cannot be trained"):
        copy.train()


def test_fusing_leaves_the_global_random_state() -> None:
    network = HGCNet(SMALL)
    before = torch.get_rng_state()

    network.fused()

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("in_channels", [1, 3])
def test_it_computes_in_channels_last_whatever_it_is_given(in_channels: int) -> None:
    copy = HGCNet(SMALL, Task(in_channels=in_channels)).fused()
    layouts: list[bool] = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        layouts.append(output.is_contiguous(memory_format=torch.channels_last))

    for module in copy.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(look)
    copy(torch.zeros(2, in_channels, 8, 8))

    assert len(layouts) == 2 + 4 * 4 + 2
    assert all(layouts)


def test_a_fused_network_survives_pickling_and_other_number_formats(
    randomise: Callable[[HGCNet, int], HGCNet],
) -> None:
    network = randomise(HGCNet(SMALL), 3).eval()
    images = draw_images(network)
    copy = network.fused()

    again = pickle.loads(pickle.dumps(copy))

    assert isinstance(again, FusedHGCNet)
    assert torch.equal(again(images), copy(images))
    assert distance(copy.bfloat16()(images.bfloat16()).float(), again(images)) < 0.1


@pytest.mark.long
@pytest.mark.parametrize("form", ["structured", "fused"])
@pytest.mark.parametrize("name", ["hgcnet_42_g4", "se_hgcnet_42_g4"])
def test_an_exported_network_takes_any_number_of_images(
    randomise: Callable[[HGCNet, int], HGCNet], name: str, form: str
) -> None:
    network = randomise(hgcnet.create_model(name), 0).eval()
    images = draw_images(network, number=17, side=16)
    model = network if form == "structured" else network.fused()

    exported = torch.export.export(
        model, (images[:2],), dynamic_shapes=({0: torch.export.Dim("images")},)
    )

    for number in (1, 2, 17):
        given = images[:number]
        assert distance(exported.module()(given), network(given)) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("form", ["structured", "fused"])
def test_a_compiled_network_takes_any_number_of_images(
    randomise: Callable[[HGCNet, int], HGCNet], form: str
) -> None:
    network = randomise(HGCNet(SMALL), 4).eval()
    images = draw_images(network, number=64)
    model = network if form == "structured" else network.fused()

    compiled = torch.compile(model, dynamic=True, fullgraph=True, backend="aot_eager")

    with torch.no_grad():
        for number in (2, 1, 7, 64):
            given = images[:number]
            assert distance(compiled(given), network(given)) < 1e-5
