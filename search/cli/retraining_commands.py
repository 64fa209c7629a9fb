"""The commands that train given networks with several seeds: confirm, compare, fidelity."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgcnet.errors import RunError
from search.cli import terminal
from search.cli.arguments import (
    Json,
    RayAddress,
    Run,
    Runs,
    Storage,
    StudyPath,
    out,
    print_json,
    training_progress,
)
from search.retraining.fidelity import fidelity_document

if TYPE_CHECKING:
    pass

_MISSING = "Some trainings are missing; the same command continues."

Seeds = Annotated[int, typer.Option(min=1, max=1000, help="How many trainings of each network.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, max=100_000, help="Of each training; default: the study's.")
]
TrainImages = Annotated[
    int | None, typer.Option(min=1, help="Images to train on; default: the study's.")
]
Resolution = Annotated[
    int | None, typer.Option(min=8, max=1024, help="Of the images; default: the study's.")
]


def confirm(
    run: Run,
    epochs: Epochs = None,
    seeds: Seeds = 3,
    train_images: TrainImages = None,
    resolution: Resolution = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="best, knee, max-flops=60e6 or max-params=1e6: that network alone, not the whole "
            "front."
        ),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Train the front again, longer and with fresh seeds, beside the paper's networks.

    The network with the best mean validation accuracy is then tested on the
    test images, and its models are kept. Nothing is written to the study. The
    same command goes on after an interruption.
    """
    from search import api
    from search.retraining.confirm import confirmation_document

    with training_progress(as_json) as observe:
        result = api.confirm(
            run,
            epochs=epochs,
            seeds=seeds,
            train_images=train_images,
            resolution=resolution,
            select=select,
            runs=runs,
            storage=storage,
            ray_address=ray_address,
            observe=observe,
        )
    if as_json:
        print_json(confirmation_document(result))
        return
    out.print(f"{result.recipe}, {seeds} seeds:", highlight=False)
    out.print(terminal.confirmation_table(result.networks))
    if not result.is_complete:
        out.print(_MISSING)
        return
    accuracies = ", ".join(f"{tested.test_accuracy:.4f}" for tested in result.tested)
    folder = result.tested[0].folder.parent
    out.print(
        f"chosen by the means: {result.chosen}; its test accuracy: {accuracies} (models in {folder})",
        highlight=False,
        soft_wrap=True,
    )


def compare(
    study: StudyPath,
    seeds: Seeds = 5,
    against: Annotated[
        str | None,
        typer.Option(help="The network that the others are compared with; default: the first."),
    ] = None,
    epochs: Epochs = None,
    train_images: TrainImages = None,
    resolution: Resolution = None,
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="Compare on the test images: only where the networks were fixed beforehand.",
        ),
    ] = False,
    runs: Runs = Path("runs"),
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Train the networks of a study file's `start_with` with paired seeds, and compare them.

    Nothing is searched. Prints means and paired differences with 95 % intervals,
    and writes compare.html with the learning curves. The same command goes on
    after an interruption.
    """
    from search import api

    with training_progress(as_json) as observe:
        result = api.compare(
            study,
            seeds=seeds,
            against=against,
            epochs=epochs,
            train_images=train_images,
            resolution=resolution,
            test=test,
            runs=runs,
            ray_address=ray_address,
            observe=observe,
        )
    if as_json:
        differences = {name: asdict(found) for name, found in result.differences.items()}
        print_json(
            {
                "recipe": result.recipe,
                "networks": json.loads(result.networks.to_json(orient="records")),
                "against": result.against,
                "compared_on": result.compared_on,
                "differences": differences,
                "complete": result.is_complete,
            }
        )
        return
    out.print(f"{result.recipe}, {seeds} seeds:", highlight=False)
    out.print(terminal.comparison_table(result))
    page = result.folder / "compare.html"
    out.print(f"{page}" if result.is_complete else _MISSING)


def fidelity(
    study: StudyPath,
    networks: Annotated[
        int, typer.Option(min=3, max=10_000, help="How many to draw from the space.")
    ] = 40,
    reference_epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Of the longer training; default: three times the proxy's."),
    ] = None,
    reference_images: Annotated[
        int | None, typer.Option(min=1, help="Of the longer training; default: the proxy's.")
    ] = None,
    reference_seeds: Annotated[
        int,
        typer.Option(min=1, max=100, help="Longer trainings of each network; their mean counts."),
    ] = 1,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="A proxy to judge, as epochs=4,resolution=12,train_images=2500; the rest is as in "
            "the study. Repeat it for more. Default: the study's proxy and four like it."
        ),
    ] = None,
    runs: Runs = Path("runs"),
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Measure which cheap score of a network best predicts a longer training, and at what cost.

    Draws networks evenly over log FLOPs (log params, where FLOPs are no objective),
    trains each by every proxy and by a longer recipe, and prints the rank
    correlations; fidelity.html has the plot.
    The same command goes on after an interruption.
    """
    from search import api

    with training_progress(as_json) as observe:
        result = api.measure_fidelity(
            study,
            networks=networks,
            proxies=[_parse_proxy(text) for text in proxy or ()],
            reference_epochs=reference_epochs,
            reference_images=reference_images,
            reference_seeds=reference_seeds,
            runs=runs,
            ray_address=ray_address,
            observe=observe,
        )
    if as_json:
        print_json(fidelity_document(result))
        return
    out.print(
        f"Kendall's tau with {result.reference} over {len(result.networks)} networks, and over the "
        "pairs of them with like FLOPs:",
        highlight=False,
        soft_wrap=True,
    )
    out.print(terminal.fidelity_table(result))
    out.print(f"{result.folder / 'fidelity.html'}", highlight=False, soft_wrap=True)
    if not result.is_complete:
        out.print(_MISSING)


def _parse_proxy(text: str) -> dict[str, int]:
    """ "epochs=4,resolution=12" -> the settings by name."""
    from search.study_file.schema import MAX_EPOCHS, MAX_RESOLUTION, MIN_RESOLUTION

    known = {
        "epochs": (1, MAX_EPOCHS),
        "resolution": (MIN_RESOLUTION, MAX_RESOLUTION),
        "train_images": (1, 10**9),
        "batch_size": (1, 10**9),
    }
    settings: dict[str, Any] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in known or not re.fullmatch(r"[0-9]{1,9}", value):
            raise RunError(
                f"--proxy {text}: {part!r} is not KEY=NUMBER with a KEY of {', '.join(known)}"
            )
        low, high = known[key]
        if not low <= int(value) <= high:
            raise RunError(f"--proxy {text}: {key}: {value} is not between {low} and {high}")
        settings[key] = int(value)
    return settings
