"""The commands about one network: its training, its layers, its graph."""

from dataclasses import asdict, replace
from pathlib import Path
from statistics import stdev
from typing import Annotated, Any, Literal

import typer

from hgcnet.complexity import count, layer_table
from hgcnet.networks import find_network, network_kind
from search.cli import terminal
from search.cli.arguments import (
    Json,
    NetworkOrFolder,
    err,
    out,
    print_json,
)
from search.units import count_text, duration


def train(
    network: NetworkOrFolder,
    dataset: Annotated[str, typer.Option(help="digits, cifar10, cifar100, image_folder or npz.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Default: models/NETWORK-DATASET.")
    ] = None,
    root: Annotated[
        str, typer.Option(help="The folder (or .npz file) of the data set.")
    ] = "~/.cache/hgcnas",
    epochs: Annotated[int, typer.Option(min=1, max=100_000, help="Of each training.")] = 300,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="How many trainings, each a model with its seed.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The number that those seeds come from.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of one step.")] = 128,
    learning_rate: Annotated[
        float, typer.Option(min=1e-9, max=1e3, help="At the start; it falls to 0 by a cosine.")
    ] = 0.1,
    weight_decay: Annotated[float, typer.Option(min=0, max=1e3, help="Of all weights.")] = 1e-4,
    resolution: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Default: the architecture file's.")
    ] = None,
    train_images: Annotated[
        int | None, typer.Option(min=1, help="How many to train on; default: all.")
    ] = None,
    hold_out: Annotated[
        bool,
        typer.Option(
            "--hold-out",
            help="Do not train on the validation images; terminal their accuracy each epoch.",
        ),
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="auto: a GPU, if there is one.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Train one network in full, by the paper's recipe, and write it as a model folder.

    SGD with Nesterov momentum, a cosine from the learning rate to 0, crops and
    mirroring. The test images are read once, at the end. The same command goes
    on after an interruption, from the last epoch.
    """
    from search import api

    if not as_json:
        out.print(f"{network} on {dataset}: {epochs} epochs, {seeds} seeds", highlight=False)
    printer = terminal.EpochPrinter(err if as_json else out, epochs)
    result = api.train(
        network,
        dataset,
        output=output,
        root=root,
        epochs=epochs,
        seeds=seeds,
        seed=seed,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        resolution=resolution,
        train_images=train_images,
        hold_out=hold_out,
        device=device,
        observe=printer,
    )
    accuracies = [model.test_accuracy for model in result.models]
    mean = result.mean_test_accuracy
    if as_json:
        print_json(
            {
                "recipe": result.recipe,
                "models": [str(model.folder) for model in result.models],
                "test_accuracy": accuracies,
                "mean": mean.mean,
                "interval": None if seeds == 1 else [mean.low, mean.high],
            }
        )
        return
    for model in result.models:
        out.print(
            f"{model.folder}: test accuracy {model.test_accuracy:.4f}, error "
            f"{100 * (1 - model.test_accuracy):.2f} %, after {duration(model.seconds)}",
            highlight=False,
            soft_wrap=True,
        )
    if seeds > 1:
        out.print(
            f"mean test accuracy {mean.mean:.4f}, 95 % interval {mean.low:.4f} to {mean.high:.4f}; "
            f"standard deviation {stdev(accuracies):.4f}",
            highlight=False,
        )


def describe(
    network: NetworkOrFolder,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Default: the file's, or 10.")
    ] = None,
    in_channels: Annotated[
        int | None, typer.Option(min=1, help="Default: the file's, or 3.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Default: the file's, or 32.")
    ] = None,
    latency: Annotated[
        bool,
        typer.Option("--latency", help="Also time one image on this machine's CPU, in one thread."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the layer table: shapes, FLOPs (multiply-adds of one image), params, share of each."""
    file = find_network(network)
    given = {"num_classes": num_classes, "in_channels": in_channels, "resolution": resolution}
    task = replace(file.task, **{key: value for key, value in given.items() if value is not None})
    layers, total = layer_table(file.architecture, task), count(file.architecture, task)
    facts: dict[str, Any] = {}
    if latency:
        from hgcnet.latency import hardware_name, measure_latency

        timed = measure_latency(file.architecture, task)
        facts = {
            "hardware": hardware_name(),
            "threads": 1,
            "latency": {row.form: asdict(row) for row in timed},
        }
    if as_json:
        print_json(
            {
                "fingerprint": file.architecture.fingerprint,
                **asdict(total),
                "task": asdict(task),
                "layers": [asdict(layer) for layer in layers],
                **facts,
            }
        )
        return
    out.print(terminal.layers_table(layers, total))
    out.print(
        f"{total.flops:,} FLOPs, {total.num_params:,} params "
        f"({total.num_params_total:,} with batch normalisation), fingerprint "
        f"{file.architecture.fingerprint}",
        soft_wrap=True,
    )
    if latency:
        out.print(
            f"one image on {facts['hardware']}, 1 thread, float32:\n{terminal.latency_lines(timed)}",
            highlight=False,
            soft_wrap=True,
        )


def export_graph(
    network: NetworkOrFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="The ONNX file.")],
    form: Annotated[
        Literal["grouped", "dense"],
        typer.Option(
            help="grouped: the structure, with the FLOPs and params that are counted everywhere. "
            "dense: composed and merged weights in fewer, larger nodes; what they execute is printed."
        ),
    ] = "grouped",
    resolution: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Default: the file's, or 32.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a network as ONNX for batches of any size: trained, if it is a model folder."""
    from hgcnet.model import HGCNet
    from hgcnet.model_folder import load, read_record
    from hgcnet.onnx_graph import export_onnx

    file = find_network(network)
    record = read_record(network) if network_kind(network) == "model folder" else None
    model = load(network) if record else HGCNet(file.architecture, file.task)
    counts = export_onnx(
        model,
        output,
        form=form,
        resolution=resolution,
        mean=record.mean if record else None,
        std=record.std if record else None,
    )
    total = count(
        file.architecture, replace(file.task, resolution=resolution or file.task.resolution)
    )
    if as_json:
        facts = {"file": str(output), "form": form, "trained": record is not None}
        print_json(facts | asdict(counts) | {"structure": asdict(total)})
        return
    lines = [
        f"{output}: {form}, executes {count_text(counts.flops)} FLOPs with "
        f"{count_text(counts.num_params)} params"
    ]
    if form == "dense":
        lines.append(
            f"The structure has {count_text(total.flops)} and "
            f"{count_text(total.num_params)}: what studies and limits speak of."
        )
    if record is None:
        lines.append("The weights are fresh: good for timing, not for classifying.")
    out.print("\n".join(lines), highlight=False, soft_wrap=True)
