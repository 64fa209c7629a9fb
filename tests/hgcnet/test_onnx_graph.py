"""ONNX graphs: the same function in onnxruntime, with exactly the FLOPs and params of the structure."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.complexity import count
from hgcnet.errors import ArchitectureError, MissingPackageError
from hgcnet.model import HGCNet
from hgcnet.onnx_graph import build_onnx, count_onnx, export_onnx
from hgcnet.preparation import Preparation

SMALL = Architecture(
    stem_channels=6,
    bottleneck=2,
    stages=(
        Stage(depth=2, growth=4, groups=3, se="last"),
        Stage(depth=1, growth=6, groups=1),
    ),
)


def run_onnx(model: bytes, images: torch.Tensor) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    return logits


def check_against_eager(network: HGCNet, form: str, batches: tuple[int, ...]) -> float:
    """The largest difference of the logits of any batch, as a share of the largest logit."""
    task = network.task
    model = build_onnx(network, form, task.resolution).SerializeToString()
    worst = 0.0
    for batch in batches:
        shape = (batch, task.in_channels, task.resolution, task.resolution)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = network.eval()(images).numpy()
        logits = run_onnx(model, images)
        assert logits.shape == expected.shape
        worst = max(worst, float(np.abs(logits - expected).max() / np.abs(expected).max()))
    return worst


@pytest.mark.parametrize("form", ["grouped", "dense"])
@pytest.mark.parametrize(
    "seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(12, 50))]
)
def test_onnxruntime_gives_the_logits_of_eager_torch(
    draw_architecture: Callable[..., Architecture],
    randomise: Callable[[HGCNet, int], HGCNet],
    seed: int,
    form: str,
) -> None:
    task = Task(in_channels=1 + seed % 3, num_classes=2 + seed, resolution=5 + seed % 29)
    network = randomise(HGCNet(draw_architecture(seed), task), seed)

    assert check_against_eager(network, form, batches=(1, 3)) < 1e-4


@pytest.mark.parametrize("operator", ["hgc", "sgc"])
@pytest.mark.parametrize("form", ["grouped", "dense"])
def test_groups_without_channels_of_their_own_are_exported(
    randomise: Callable[[HGCNet, int], HGCNet], operator: str, form: str
) -> None:
    """Three input channels in eight groups; and more stages than the images have halves."""
    stages = (Stage(depth=1, growth=4, groups=8),) * 5
    architecture = Architecture(operator=operator, stem_channels=3, stages=stages)
    network = randomise(HGCNet(architecture, Task(resolution=7)), 0)

    assert check_against_eager(network, form, batches=(2,)) < 1e-4


@pytest.mark.parametrize("form", ["grouped", "dense"])
@pytest.mark.parametrize(("stride", "resolution"), [(2, 1), (2, 33), (4, 2), (4, 33), (4, 64)])
def test_a_stem_with_a_stride_is_exported_with_its_counts(
    draw_architecture: Callable[..., Architecture],
    randomise: Callable[[HGCNet, int], HGCNet],
    stride: int,
    resolution: int,
    form: str,
) -> None:
    architecture = replace(draw_architecture(resolution, num_stages=4), stem_stride=stride)
    network = randomise(HGCNet(architecture, Task(resolution=resolution)), 0)

    assert check_against_eager(network, form, batches=(1, 3)) < 1e-4
    if form == "grouped":
        counts = count_onnx(build_onnx(network, form, resolution))
        advertised = count(architecture, network.task)
        assert (counts.flops, counts.num_params) == (advertised.flops, advertised.num_params)


@pytest.mark.parametrize("name", hgcnet.PRESETS)
def test_the_grouped_graph_has_the_counts_that_are_advertised(name: str) -> None:
    network = hgcnet.create_model(name)

    counts = count_onnx(build_onnx(network, "grouped", 32))

    advertised = count(network.architecture, network.task)
    assert (counts.flops, counts.num_params) == (advertised.flops, advertised.num_params)


@pytest.mark.parametrize("seed", range(12))
def test_any_grouped_graph_has_the_counts_that_are_advertised(
    draw_architecture: Callable[..., Architecture], seed: int
) -> None:
    task = Task(in_channels=1 + seed % 3, num_classes=2 + seed, resolution=8 + seed)
    network = HGCNet(draw_architecture(seed), task)

    counts = count_onnx(build_onnx(network, "grouped", task.resolution))

    advertised = count(network.architecture, task)
    assert (counts.flops, counts.num_params) == (advertised.flops, advertised.num_params)


def test_the_counts_of_a_graph_are_those_of_its_nodes() -> None:
    """By hand: a 3x3 convolution of 6 groups with bias, and a linear layer."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = {"w": (6, 2, 3, 3), "b": (6,), "v": (5, 6), "c": (5,), "s": (6,)}
    nodes = [
        make.make_node("Conv", ["x", "w", "b"], ["y"], group=6, pads=[1] * 4),
        make.make_node("GlobalAveragePool", ["y"], ["p"]),
        make.make_node("Flatten", ["p"], ["f"]),
        make.make_node("Mul", ["f", "s"], ["m"]),
        make.make_node("Gemm", ["m", "v", "c"], ["z"], transB=1),
    ]
    graph = make.make_graph(
        nodes,
        "g",
        [make.make_tensor_value_info("x", floats, ("n", 12, 4, 5))],
        [make.make_tensor_value_info("z", floats, ("n", 5))],
        [onnx.numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()],
    )

    counts = count_onnx(onnx.shape_inference.infer_shapes(make.make_model(graph)))

    assert counts.flops == 6 * 2 * 9 * 20 + 5 * 6
    assert counts.num_params == 6 * 2 * 9 + 6 + 5 * 6 + 5


def test_a_grouped_graph_is_slices_convolutions_and_concatenations(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"

    export_onnx(HGCNet(SMALL), path)

    nodes = onnx.load(path).graph.node
    grouped = [node for node in nodes if node.name.startswith("stages.0.1.grouped")]
    assert Counter(node.op_type for node in grouped) == {"Slice": 3, "Conv": 3, "Concat": 3}
    weights = {t.name: tuple(t.dims) for t in onnx.load(path).graph.initializer}
    # O = 9 in 3 groups of 3, from I = 10: groups of 4, 3 and 3 channels.
    assert [weights[f"stages.0.1.grouped.{g}.weight"] for g in range(3)] == [
        (3, 4, 1, 1),
        (3, 3 + 3, 1, 1),
        (3, 3 + 3, 1, 1),
    ]


def test_a_dense_graph_says_that_it_executes_more(tmp_path: Path) -> None:
    network = hgcnet.create_model("hgcnet_42_g4")

    counts = export_onnx(network, tmp_path / "net.onnx", form="dense")

    assert (counts.flops, counts.num_params) == (82_229_232, 523_138)
    nodes = Counter(node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node)
    assert nodes["Conv"] == 1 + 3 * 20 + 2
    assert nodes["BatchNormalization"] == 20 + 2 + 1
    assert "Slice" not in nodes


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"

    export_onnx(HGCNet(SMALL), path, resolution=20, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.25))

    model = onnx.load(path)
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert facts["fingerprint"] == SMALL.fingerprint
    assert facts["form"] == "grouped"
    assert facts["flops"] == str(count(SMALL, Task(resolution=20)).flops)
    assert facts["mean"] == "[0.5, 0.4, 0.3]"
    assert "class_names" not in facts
    (images,), (logits,) = model.graph.input, model.graph.output
    sizes = [size.dim_param or size.dim_value for size in images.type.tensor_type.shape.dim]
    assert sizes == ["batch", 3, 20, 20]
    assert logits.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_file_has_the_names_of_the_classes_and_the_preparation(tmp_path: Path) -> None:
    task = Task(in_channels=1, num_classes=2, resolution=9, class_names=("猫", "dog"))
    for name, normalisation in (("a.onnx", {"mean": (0.5,), "std": (0.2,)}), ("b.onnx", {})):
        export_onnx(HGCNet(SMALL, task), tmp_path / name, resolution=20, fit="pad", **normalisation)
    first, second = (
        {fact.key: fact.value for fact in onnx.load(tmp_path / name).metadata_props}
        for name in ("a.onnx", "b.onnx")
    )
    assert json.loads(first["class_names"]) == json.loads(second["class_names"]) == ["猫", "dog"]
    expected = Preparation(channels=1, resolution=20, fit="pad").document()
    assert json.loads(first["preparation"]) == expected
    assert "preparation" not in second


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"absent/net.onnx: cannot be written"):
        export_onnx(HGCNet(SMALL), tmp_path / "absent" / "net.onnx")


def test_without_onnx_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(MissingPackageError, match=r'pip install "\.\[onnx\]" in the source folder'):
        export_onnx(HGCNet(SMALL), tmp_path / "net.onnx")
