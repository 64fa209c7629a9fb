"""The commands about one network: its training, its layers, its graph."""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal

from hgcnet.architecture import task_document
from hgcnet.complexity import count, layer_table
from hgcnet.errors import one_line
from hgcnet.networks import find_network, network_kind
from search.cli import terminal
from search.cli.printing import Said
from search.retraining.tested_model import mean_answers
from search.units import count_text, duration

if TYPE_CHECKING:
    from search.predict_files import PredictedFiles
    from search.retraining.full_training import FullTraining


def train(result: "FullTraining", seeds: int) -> Said:
    """Prints the test accuracy of each model, their mean with its 95 % interval, and scores by class."""
    accuracies = [model.test_accuracy for model in result.models]
    mean = result.mean_test_accuracy
    document: dict[str, Any] = {
        "recipe": result.recipe,
        "taken": result.taken,
        "models": [str(model.folder) for model in result.models],
        "test_accuracy": accuracies,
        "test_balanced_accuracy": [model.test_balanced_accuracy for model in result.models],
        "test_macro_f1": [model.test_macro_f1 for model in result.models],
        "mean": mean.mean,
        "interval": None if seeds == 1 else [mean.low, mean.high],
    }
    lines: list[Any] = [
        f"{model.folder}: test accuracy {model.test_accuracy:.4f}, error "
        f"{100 * (1 - model.test_accuracy):.2f} %, after {duration(model.seconds)}"
        for model in result.models
    ]
    if seeds > 1:
        lines.append(
            f"mean test accuracy {mean.mean:.4f}, 95 % interval {mean.low:.4f} to {mean.high:.4f}; "
            f"standard deviation {stdev(accuracies):.4f}"
        )
    answers = mean_answers(result.models)
    if answers is not None:
        document["classes"] = [asdict(scores) for scores in answers.classes]
        names = ("test_balanced_accuracy", "test_macro_f1")
        balanced, macro_f1 = (fmean(getattr(m, name) for m in result.models) for name in names)
        lines.append(f"class by class: balanced accuracy {balanced:.4f}, macro F1 {macro_f1:.4f}")
    return document, [*lines, *terminal.classes_table(answers)]


def predict(result: "PredictedFiles", top: int, output: Path | None) -> Said:
    """Prints a line per image; with --output only their number."""
    document = {
        "class_names": result.class_names,
        "predictions": [
            {
                "file": str(path),
                "classes": [{"class": c, "probability": p} for c, p in found.most_probable(top)],
            }
            for path, found in result.predictions
        ],
        "unreadable": result.unreadable,
        "left_out": result.left_out,
    }
    lines: list[Any] = [f"{output}: {len(result.predictions)} images"]
    if output is None:
        lines = [
            f"{one_line(path)}: "
            + ", ".join(f"{one_line(name)} {p:.4f}" for name, p in found.most_probable(top))
            for path, found in result.predictions
        ]
    if result.unreadable:
        lines += [f"cannot be read: {len(result.unreadable)}", *result.unreadable]
    if result.left_out:
        lines.append(f"not images, left out: {result.left_out}")
    if not result.class_names:
        lines.append(
            "The model folder has no class names: these are the numbers of the classes in the training."
        )
    return document, lines


def describe(
    network: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    resolution: int | None = None,
    latency: bool = False,
) -> Said:
    """Prints the layers of a network: shapes, FLOPs (multiply-adds of one image), params, shares.

    Args:
        network: architecture file, preset or model folder.
        num_classes: number of classes; by default the file's, else 10.
        in_channels: channels of the images; by default the file's, else 3.
        resolution: side of the images, in pixels; by default the file's, else 32.
        latency: also time one image on this machine's CPU, in one thread.
    """
    file = find_network(network)
    task = file.task.changed(
        num_classes=num_classes, in_channels=in_channels, resolution=resolution
    )
    layers, total = layer_table(file.architecture, task), count(file.architecture, task)
    document: dict[str, Any] = {
        "fingerprint": file.architecture.fingerprint,
        **asdict(total),
        "task": task_document(task),
        "layers": [asdict(layer) for layer in layers],
    }
    lines: list[Any] = [
        terminal.layers_table(layers, total),
        f"{total.flops:,} FLOPs, {total.num_params:,} params "
        f"({total.num_params_total:,} with batch normalisation), fingerprint "
        f"{file.architecture.fingerprint}",
    ]
    if latency:
        from hgcnet.latency import hardware_name, measure_latency

        timed, hardware = measure_latency(file.architecture, task), hardware_name()
        by_form = {row.form: asdict(row) for row in timed}
        document |= {"hardware": hardware, "threads": 1, "latency": by_form}
        lines.append(f"one image on {hardware}, 1 thread, float32:")
        lines += [
            f"{row.form:9} {1e3 * row.median:8.2f} ms (80 % of {row.passes} passes within "
            f"{1e3 * row.low:.2f} to {1e3 * row.high:.2f}), {timed[0].median / row.median:.2f}x"
            for row in timed  # the speed-up is relative to the first form
        ]
    return document, lines


def export_graph(
    network: str,
    *,
    output: Path,
    form: Literal["grouped", "dense"] = "grouped",
    resolution: int | None = None,
) -> Said:
    """Writes a network as ONNX, for batches of any size. A model folder keeps its trained weights.

    Args:
        network: architecture file, preset or model folder.
        output: the ONNX file.
        form: `grouped` has exactly the FLOPs and params of the network; `dense` merges its weights into
            fewer, larger nodes, and the FLOPs and params that these execute are printed.
        resolution: side of the images, in pixels; by default the file's, else 32.
    """
    from hgcnet.model import HGCNet
    from hgcnet.model_folder import load, read_record
    from hgcnet.onnx_graph import export_onnx

    file = find_network(network)
    record = read_record(network) if network_kind(network) == "model folder" else None
    model = load(network) if record else HGCNet(file.architecture, file.task)
    pixels: dict[str, Any] = (
        {"mean": record.mean, "std": record.std, "fit": record.preparation.fit} if record else {}
    )
    counts = export_onnx(model, output, form=form, resolution=resolution, **pixels)
    task = file.task.changed(resolution=resolution)
    total = count(file.architecture, task)
    lines: list[Any] = [
        f"{output}: {form}, executes {count_text(counts.flops)} FLOPs with "
        f"{count_text(counts.num_params)} params"
    ]
    if form == "dense":
        lines.append(
            f"Studies and limits count {count_text(total.flops)} FLOPs and "
            f"{count_text(total.num_params)} params: those of the grouped form."
        )
    if record is None:
        lines.append("The weights are not trained: the file is for timing, not for predictions.")
    facts = {"file": str(output), "form": form, "trained": record is not None}
    return facts | asdict(counts) | {"structure": asdict(total)}, lines
