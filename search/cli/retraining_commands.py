"""The commands that train given networks with several seeds: confirm, compare, fidelity."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgcnet.errors import RunError, StudyFileError
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
    from search.retraining.recipe import Recipe
    from search.study_file.schema import StudyFile

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
        typer.Option(help="best, knee or max-flops=60e6: that network alone, not the whole front."),
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
    from search.results.stored_study import read_study
    from search.retraining.confirm import confirm_front, confirmation_document
    from search.study.run_folder import find_run

    stored = read_study(find_run(run, runs), storage)
    recipe = _recipe(stored.file, epochs, train_images, resolution)
    with training_progress(as_json) as observe:
        result = confirm_front(
            stored,
            recipe,
            seeds=seeds,
            select=select,
            workers=stored.file.workers,
            ray_address=ray_address,
            observe=observe,
        )
    if as_json:
        print_json(confirmation_document(result))
        return
    out.print(f"{result.recipe}, {seeds} seeds:", highlight=False)
    out.print(terminal.confirmation_table(result.networks))
    if not result.is_complete:
        out.print("Some trainings are missing; the same command goes on.")
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
    from search.prepare import prepare
    from search.report.page import write_figures
    from search.report.retrained import accuracies, mean_curves
    from search.results.trials import write_csv
    from search.retraining.compare import difference_between, evaluate_on_test, summarise_networks
    from search.retraining.retraining_loop import retrain
    from search.retraining.training_folder import TrainingFolder, locked_folder, repeated
    from search.study_file.reading import read_study_file
    from search.versions import versions

    file = read_study_file(study)
    prepared = prepare(file)
    networks = prepared.start_with
    if not networks:
        raise StudyFileError(
            f"{study}: sampler.start_with: is empty; the networks to compare stand there"
        )
    reference = against or next(iter(networks))
    if reference not in networks:
        raise RunError(f"--against {reference}: is not one of {', '.join(networks)}")
    recipe = _recipe(file, epochs, train_images, resolution)
    wanted = repeated(networks, seeds, file.seed)
    trainings = TrainingFolder(runs / file.name / "compare" / recipe.name, recipe)
    with locked_folder(trainings.folder):
        with training_progress(as_json) as observe:
            outcome = retrain(
                wanted,
                trainings,
                file.workers,
                file.source,
                ray_address=ray_address,
                observe=observe,
                keep_states=test,
            )
        frame = trainings.frame(wanted, prepared.space.space.task)
        summary = summarise_networks(frame)
        if test and outcome.is_complete:
            provenance = {"study": file.name, "versions": versions()}
            tested = evaluate_on_test(trainings, wanted, provenance, file.workers.gpus)
            named = zip(wanted, tested, strict=True)
            scores = {(training.name, training.repetition): one for training, one in named}
            frame["test_accuracy"] = [
                scores[key].test_accuracy
                for key in zip(frame["name"], frame["repetition"], strict=True)
            ]
            mean = frame.groupby("name")["test_accuracy"].mean()
            summary["test_accuracy"] = summary["name"].map(mean)
        column = "test_accuracy" if "test_accuracy" in frame else "val_accuracy"
        differences = {
            name: found
            for name in summary["name"]
            if name != reference and (found := difference_between(frame, name, reference, column))
        }
        try:
            write_csv(frame, trainings.folder / "trainings.csv")
            write_figures(
                trainings.folder / "compare.html",
                f"hgcnas: {file.name}, {recipe.text}",
                {
                    "Accuracy against FLOPs": accuracies(summary),
                    "Accuracy against parameters": accuracies(summary, "num_params"),
                    "Learning curves": mean_curves(frame),
                },
            )
        except OSError as error:
            raise RunError(f"{trainings.folder}: cannot be written: {error.strerror}") from error
    if as_json:
        print_json(
            {
                "recipe": recipe.text,
                "networks": json.loads(summary.to_json(orient="records")),
                "against": reference,
                "compared_on": column,
                "differences": {name: asdict(found) for name, found in differences.items()},
                "complete": outcome.is_complete,
            }
        )
        return
    out.print(f"{recipe.text}, {seeds} seeds:", highlight=False)
    out.print(
        terminal.comparison_table(summary, differences, f"{reference}, {column.partition('_')[0]}")
    )
    page = trainings.folder / "compare.html"
    out.print(
        f"{page}"
        if outcome.is_complete
        else "Some trainings are missing; the same command goes on."
    )


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

    Draws networks evenly over log FLOPs, trains each by every proxy and by a
    longer recipe, and prints the rank correlations; fidelity.html has the plot.
    The same command goes on after an interruption.
    """
    from search.prepare import prepare
    from search.report.page import write_figures
    from search.report.retrained import correlations
    from search.retraining.fidelity import default_proxies, measure_fidelity
    from search.retraining.recipe import with_options
    from search.study_file.reading import read_study_file

    file = read_study_file(study)
    prepared = prepare(file)
    base = _recipe(file, None, None, None)
    proxies = [base, *(with_options(base, **_parse_proxy(text)) for text in proxy or ())]
    folder = runs / file.name / "fidelity"
    reference = with_options(
        base, epochs=reference_epochs or 3 * base.proxy.epochs, train_images=reference_images
    )
    with training_progress(as_json) as observe:
        result = measure_fidelity(
            prepared,
            folder,
            proxies if proxy else default_proxies(base),
            reference,
            networks=networks,
            repetitions=reference_seeds,
            ray_address=ray_address,
            observe=observe,
        )
    try:
        figure = correlations(result)
        write_figures(folder / "fidelity.html", f"hgcnas: {file.name}", {"Fidelity": figure})
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror}") from error
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
    out.print(f"{folder / 'fidelity.html'}", highlight=False, soft_wrap=True)
    if not result.is_complete:
        out.print("Some trainings are missing; the same command goes on.")


def _recipe(
    file: "StudyFile", epochs: int | None, train_images: int | None, resolution: int | None
) -> "Recipe":
    """The study's proxy, with what the command line changes of it."""
    from search.retraining.recipe import Recipe, with_options

    return with_options(
        Recipe(data=file.data, proxy=file.proxy),
        epochs=epochs,
        train_images=train_images,
        resolution=resolution,
    )


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
