"""Networks as ONNX graphs, written node by node, and the counts of such a graph.

The graph is written here and not traced by `torch.onnx`, whose exporter takes half a minute for a
preset, needs onnxscript, and unrolls every slice into shape arithmetic. Here the nodes are those
of the paper's figure, and each has the name of its layer.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from hgcnet.atomic_write import replace_file, writing
from hgcnet.blocks import HGCModule, Transition
from hgcnet.errors import ArchitectureError, MissingPackageError
from hgcnet.fusion import FusedModule, FusedTransition, fused
from hgcnet.layers import HierarchicalGroupConv2d, SqueezeExcite
from hgcnet.model import HGCNet
from hgcnet.preparation import Fit, preparation_for
from hgcnet.structure import halved, stem_sides

if TYPE_CHECKING:
    import onnx

GraphForm = Literal["grouped", "dense"]
OPSET = 17
_IR_VERSION = 8  # of the time of opset 17, so that runtimes since 2022 read the file


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCounts:
    """What a graph executes for one image, and its weights and biases."""

    flops: int  # multiply-adds of Conv, Gemm and MatMul
    num_params: int  # of the same nodes


def export_onnx(
    model: HGCNet,
    path: str | Path,
    *,
    form: GraphForm = "grouped",
    resolution: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit = "crop",
) -> GraphCounts:
    """Writes the evaluation form of a network as an ONNX file.

    The input is "images" (batch, in_channels, resolution, resolution), normalised float32; the
    output "logits" (batch, num_classes); batch is dynamic.

    Args:
        model: Its device and its form make no difference.
        path: Of the file.
        form: "grouped" is the structure, eq. 1 of the paper: it has exactly the FLOPs and params of
            `hgcnet.complexity.count`. "dense" has composed and merged weights, as `fused`: fewer and
            larger nodes that execute more.
        resolution: Side of the images; the task's if not given.
        mean: Of each channel's pixels in [0, 1]; recorded in the file's metadata with `std` and the
            preparation of images. The class names are recorded in any case, if the task has them.
        std: As `mean`.
        fit: How images were made square for the training.

    Returns:
        The counts of the graph that was written, made on its nodes.

    Raises:
        MissingPackageError: onnx is not installed.
        ArchitectureError: the file cannot be written.
    """
    graph = build_onnx(model, form, resolution or model.task.resolution)
    counts = count_onnx(graph)
    facts = {
        "architecture": str(model.architecture),
        "fingerprint": model.architecture.fingerprint,
        "form": form,
        "flops": str(counts.flops),
        "num_params": str(counts.num_params),
    }
    if model.task.class_names:
        facts["class_names"] = json.dumps(model.task.class_names)
    if mean is not None and std is not None:
        preparation = preparation_for(model.task.changed(resolution=resolution), fit)
        recorded = {"preparation": preparation.document(), "mean": list(mean), "std": list(std)}
        facts |= {key: json.dumps(value) for key, value in recorded.items()}
    for key, value in facts.items():
        graph.metadata_props.add(key=key, value=value)
    with writing(path, ArchitectureError):
        replace_file(path, graph.SerializeToString())
    return counts


def build_onnx(model: HGCNet, form: GraphForm, resolution: int) -> "onnx.ModelProto":
    """The ONNX model of a network for images of one resolution, checked and with all shapes.

    Raises:
        MissingPackageError: onnx is not installed.
    """
    library = _import_onnx()
    network = fused(model) if form == "dense" else model
    task, graph = model.task, _Graph(library)
    stem_side, side = stem_sides(resolution, model.architecture.stem_stride)
    x = graph.conv("stem", "images", network.stem)
    if network.stem.is_pooled:
        x = _halve(graph, "stem.pool", x, stem_side)
    for s, stage in enumerate(network.stages):
        if s > 0:
            transition = cast(Transition | FusedTransition, network.transitions[s - 1])
            x = _transition(graph, f"transitions.{s - 1}", x, transition, side)
            side = halved(side)
        for m, module in enumerate(stage.children()):
            x = _module(graph, f"stages.{s}.{m}", x, cast(HGCModule | FusedModule, module))
    x = graph.norm_relu("norm", x, network.norm)
    x = graph.add("Flatten", "flatten", graph.add("GlobalAveragePool", "pool", x))
    graph.linear("classifier", x, network.classifier, output="logits")

    make, float32 = library.helper, library.TensorProto.FLOAT
    shape = ("batch", task.in_channels, resolution, resolution)
    document: onnx.ModelProto = make.make_model(
        make.make_graph(
            graph.nodes,
            "hgcnet",
            [make.make_tensor_value_info("images", float32, shape)],
            [make.make_tensor_value_info("logits", float32, ("batch", task.num_classes))],
            list(graph.tensors.values()),
        ),
        producer_name="hgcnas",
        ir_version=_IR_VERSION,
        opset_imports=[make.make_opsetid("", OPSET)],
    )
    document = library.shape_inference.infer_shapes(document, check_type=True, strict_mode=True)
    library.checker.check_model(document)
    return document


def count_onnx(model: "onnx.ModelProto") -> GraphCounts:
    """Counts what an ONNX graph with known shapes executes for one image.

    It uses the shapes of the nodes alone, however the graph was made.
    """
    graph = model.graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    pixels = {  # pixels of each value (N, C, H, W), 1 where it is (N, C)
        value.name: math.prod(size.dim_value for size in value.type.tensor_type.shape.dim[2:])
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    flops = 0
    used: set[str] = set()
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            flops += math.prod(weights[node.input[1]]) * pixels[node.output[0]]
            used |= {name for name in node.input[1:] if name}
    num_params = sum(math.prod(weights[name]) for name in used)
    return GraphCounts(flops=flops, num_params=num_params)


class _Graph:
    """Nodes and constants of a graph while it is built. A value is named after the layer that gives it."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        node = self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes)
        self.nodes.append(node)
        return name

    def weight(self, name: str, values: Tensor) -> str:
        return self._keep(name, np.ascontiguousarray(values.detach().float().cpu().numpy()))

    def integers(self, *values: int) -> str:
        return self._keep("integers_" + "_".join(map(str, values)), np.array(values, np.int64))

    def _keep(self, name: str, array: Any) -> str:
        self.tensors[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def conv(self, name: str, x: str, layer: nn.Conv2d) -> str:
        stride = layer.stride[0]
        return self.convolve(name, x, layer.weight, layer.bias, layer.groups, stride)

    def convolve(
        self,
        name: str,
        x: str,
        weight: Tensor,
        bias: Tensor | None = None,
        groups: int = 1,
        stride: int = 1,
    ) -> str:
        side = weight.shape[2]
        inputs = [x, self.weight(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.weight(f"{name}.bias", bias))
        facts = {"group": groups, "kernel_shape": [side, side], "pads": [side // 2] * 4}
        if stride > 1:
            facts["strides"] = [stride, stride]
        return self.add("Conv", name, *inputs, **facts)

    def linear(self, name: str, x: str, layer: nn.Linear, output: str | None = None) -> str:
        tensors = [self.weight(f"{name}.{key}", getattr(layer, key)) for key in ("weight", "bias")]
        return self.add("Gemm", output or name, x, *tensors, transB=1)

    def norm(self, name: str, x: str, layer: nn.BatchNorm2d) -> str:
        keys = ("weight", "bias", "running_mean", "running_var")
        tensors = [self.weight(f"{name}.{key}", getattr(layer, key)) for key in keys]
        return self.add("BatchNormalization", name, x, *tensors, epsilon=layer.eps)

    def norm_relu(self, name: str, x: str, layer: nn.BatchNorm2d) -> str:
        return self.add("Relu", f"{name}.relu", self.norm(name, x, layer))


def _module(graph: _Graph, name: str, x: str, module: HGCModule | FusedModule) -> str:
    new = graph.norm_relu(f"{name}.norm1", x, module.norm1)
    if isinstance(module, HGCModule):
        new = _grouped(graph, f"{name}.grouped", new, module.grouped)
        new = graph.norm(f"{name}.norm2", new, module.norm2)
        new = graph.conv(f"{name}.depthwise", new, module.depthwise)
        new = graph.norm(f"{name}.norm3", new, module.norm3)
    else:
        new = graph.conv(f"{name}.grouped", new, module.grouped)
        new = graph.conv(f"{name}.depthwise", new, module.depthwise)
    if isinstance(module.se, SqueezeExcite):
        new = _squeeze_excite(graph, f"{name}.se", new, module.se)
    new = graph.conv(f"{name}.project", new, module.project)
    return graph.add("Concat", name, x, new, axis=1)


def _grouped(graph: _Graph, name: str, x: str, layer: nn.Module) -> str:
    """Eq. 1 of the paper: a slice that takes every G-th channel, and a Conv, for each group."""
    if isinstance(layer, nn.Conv2d):
        return graph.conv(name, x, layer)
    assert isinstance(layer, HierarchicalGroupConv2d)
    groups, channels = layer.groups, layer.in_channels
    outputs: list[str] = []
    for g in range(groups):
        inputs: list[str] = []
        weights: list[Tensor] = []
        if g < channels:
            start, end = graph.integers(g), graph.integers(channels)
            axis, step = graph.integers(1), graph.integers(groups)
            inputs.append(graph.add("Slice", f"{name}.{g}.own", x, start, end, axis, step))
            weights.append(layer.weight_x[:, g::groups])
        if layer.weight_y is not None and g > 0:
            inputs.append(outputs[-1])
            weights.append(layer.weight_y[g - 1])
        if not inputs:  # the groups of sgc from here on have no channels: they are zero
            rest = (groups - g) * layer.out_channels // groups
            own = graph.add("Concat", f"{name}.own", *outputs, axis=1)
            return graph.add("Pad", name, own, graph.integers(0, 0, 0, 0, 0, rest, 0, 0))
        if len(inputs) == 2:
            inputs = [graph.add("Concat", f"{name}.{g}.inputs", *inputs, axis=1)]
        weight = torch.cat(weights, 1)[:, :, None, None]
        outputs.append(graph.convolve(f"{name}.{g}", inputs[0], weight))
    return graph.add("Concat", name, *outputs, axis=1)


def _squeeze_excite(graph: _Graph, name: str, x: str, layer: SqueezeExcite) -> str:
    pooled = graph.add("GlobalAveragePool", f"{name}.pool", x)
    means = graph.add("Flatten", f"{name}.flatten", pooled)
    hidden = graph.add("Relu", f"{name}.relu", graph.linear(f"{name}.reduce", means, layer.reduce))
    gate = graph.linear(f"{name}.expand", hidden, layer.expand)
    gate = graph.add("Sigmoid", f"{name}.gate", gate)
    gate = graph.add("Unsqueeze", f"{name}.pixels", gate, graph.integers(2, 3))
    return graph.add("Mul", name, x, gate)


def _transition(
    graph: _Graph, name: str, x: str, layer: Transition | FusedTransition, side: int
) -> str:
    x = graph.norm_relu(f"{name}.norm", x, layer.norm)
    if isinstance(layer, FusedTransition):
        return graph.conv(f"{name}.conv", _halve(graph, f"{name}.pool", x, side), layer.conv)
    return _halve(graph, name, graph.conv(f"{name}.conv", x, layer.conv), side)


def _halve(graph: _Graph, name: str, x: str, side: int) -> str:
    if side == 1:
        return x
    return graph.add("AveragePool", name, x, kernel_shape=[2, 2], strides=[2, 2])


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.shape_inference
    except ImportError as error:
        raise MissingPackageError("an ONNX graph", "onnx", extra="onnx") from error
    return onnx
