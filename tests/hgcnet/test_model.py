"""Networks: every one runs and learns at every size, and its generator alone decides its weights."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hgcnet
from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task, write_architecture
from hgcnet.errors import ArchitectureError
from hgcnet.model import HGCNet

TINY = Architecture(
    stem_channels=4,
    bottleneck=2,
    stages=(
        Stage(depth=2, growth=4, groups=3, se="last"),
        Stage(depth=1, growth=6, groups=8),
    ),
)


def check_forward_and_backward(network: HGCNet, resolution: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (2, network.task.in_channels, resolution, resolution)
    images = torch.randn(shape, generator=generator)

    logits = network.train()(images)
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()

    assert logits.shape == (2, network.task.num_classes)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.eval()(images[:1]).isfinite().all()


@pytest.mark.parametrize("form", ["reference", "composed"])
@pytest.mark.parametrize("operator", ["hgc", "sgc"])
@pytest.mark.parametrize("resolution", [8, 9, 15, 32, 33, 224])
def test_a_network_runs_and_learns_at_every_resolution(
    resolution: int, operator: str, form: str
) -> None:
    architecture = Architecture(
        operator=operator, stem_channels=4, bottleneck=2, stages=TINY.stages
    )

    check_forward_and_backward(HGCNet(architecture, Task(), form=form), resolution)


@pytest.mark.parametrize("seed", range(24))
def test_any_architecture_runs_and_learns(
    draw_architecture: Callable[..., Architecture], seed: int
) -> None:
    task = Task(in_channels=1 + seed % 3, num_classes=2 + seed)

    check_forward_and_backward(HGCNet(draw_architecture(seed), task), resolution=8 + seed)


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("resolution", [1, 9, 64])
def test_a_network_whose_stem_has_a_stride_runs_and_learns(resolution: int, stride: int) -> None:
    architecture = replace(TINY, stem_stride=stride)

    check_forward_and_backward(HGCNet(architecture), resolution)


@pytest.mark.parametrize("side", [8, 9, 10, 11])
def test_a_stride_leaves_out_pixels_of_the_stem_and_a_stride_of_4_averages_four_of_those(
    side: int,
) -> None:
    one, two, four = (HGCNet(replace(TINY, stem_stride=stride)) for stride in (1, 2, 4))
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        full, half, quarter = (network.stem(images) for network in (one, two, four))

    assert torch.allclose(half, full[:, :, ::2, ::2], atol=1e-5)
    even = half.shape[2] // 2 * 2
    blocks = half[:, :, :even, :even].unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.allclose(quarter, blocks.mean((4, 5)), atol=1e-6)
    names = [list(network.state_dict()) for network in (one, two, four)]
    assert names[0] == names[1] == names[2]


def test_a_stride_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="stride=3 is not one of 1, 2, 4"):
        HGCNet(replace(TINY, stem_stride=3))


def test_a_network_may_have_more_stages_than_its_images_have_halves() -> None:
    architecture = Architecture(stages=(Stage(depth=1, growth=4, groups=2),) * 6)

    network = HGCNet(architecture)

    assert network.eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


@pytest.mark.parametrize("name", hgcnet.PRESETS)
def test_both_forms_of_a_preset_are_one_function(name: str) -> None:
    reference = hgcnet.create_model(name, form="reference").double().eval()
    composed = hgcnet.create_model(name, form="composed").double().eval()
    images = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()

    with torch.no_grad():
        expected, logits = reference(images), composed(images)

    assert (logits - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_the_channels_that_a_module_receives_pass_through_unchanged() -> None:
    module = HGCNet(TINY).stages[0][0]
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))

    y = module(x.clone())

    assert y.shape == (2, 8, 5, 5)
    assert torch.equal(y[:, :4], x)


def test_a_module_of_one_group_holds_a_plain_convolution() -> None:
    architecture = Architecture(operator="sgc", stages=(Stage(depth=1, growth=4, groups=1),))

    grouped = HGCNet(architecture).stages[0][0].grouped

    assert type(grouped) is nn.Conv2d
    assert grouped.bias is None


def test_one_seed_gives_one_set_of_weights_and_leaves_the_global_state() -> None:
    before = torch.get_rng_state()

    first = HGCNet(TINY, generator=torch.Generator().manual_seed(5)).state_dict()
    torch.rand(3)
    same = HGCNet(TINY, generator=torch.Generator().manual_seed(5)).state_dict()
    other = HGCNet(TINY, generator=torch.Generator().manual_seed(6)).state_dict()

    assert all(torch.equal(first[key], same[key]) for key in first)
    weights = [key for key in first if key.endswith(("weight", "weight_x", "weight_y"))]
    differ = [key for key in weights if not torch.equal(first[key], other[key])]
    assert differ == [key for key in weights if "norm" not in key]
    torch.set_rng_state(before)


def test_building_a_network_leaves_the_global_state() -> None:
    before = torch.get_rng_state()

    HGCNet(TINY)
    HGCNet(TINY, generator=torch.Generator().manual_seed(1))

    assert torch.equal(torch.get_rng_state(), before)


def test_an_untrained_preset_gives_logits_of_moderate_size() -> None:
    network = hgcnet.create_model("hgcnet_42_g4").train()
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        logits = network(images)

    assert 0.05 < logits.std() < 2


def test_a_network_survives_pickling() -> None:
    network = HGCNet(TINY).eval()
    images = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    copy = pickle.loads(pickle.dumps(network))

    assert torch.equal(copy(images), network(images))
    assert (copy.architecture, copy.task) == (network.architecture, network.task)


def test_create_model_takes_a_preset_and_a_task() -> None:
    network = hgcnet.create_model("hgcnet_42_g4", num_classes=100, in_channels=1, resolution=28)

    assert network.architecture == hgcnet.preset("hgcnet_42_g4")
    assert network.task == Task(in_channels=1, num_classes=100, resolution=28)
    assert (network.stem.in_channels, network.classifier.out_features) == (1, 100)


def test_a_file_brings_its_own_task(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    task = Task(in_channels=1, num_classes=7, resolution=16)
    write_architecture(path, ArchitectureFile(architecture=TINY, task=task))

    loaded, created = hgcnet.load(path), hgcnet.create_model(path, num_classes=3)

    assert (loaded.architecture, loaded.task) == (TINY, task)
    assert created.task == Task(in_channels=1, num_classes=3, resolution=16)
    weights = HGCNet(TINY, task).state_dict()
    assert all(torch.equal(weights[key], value) for key, value in loaded.state_dict().items())


def test_a_name_that_is_neither_preset_nor_file_is_named() -> None:
    with pytest.raises(ArchitectureError, match=r"^resnet18: is neither a preset nor the path"):
        hgcnet.create_model("resnet18")


def test_a_file_that_was_edited_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    provenance = {"fingerprint": "0" * 16}
    write_architecture(path, ArchitectureFile(architecture=TINY, provenance=provenance))

    for build in (hgcnet.load, hgcnet.create_model):
        with pytest.raises(ArchitectureError, match="edited"):
            build(path)
