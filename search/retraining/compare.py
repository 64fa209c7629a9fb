"""What the trainings of several networks come to: means, paired differences, the test split at last."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from hgcnet.atomic_write import writing
from hgcnet.errors import RunError
from hgcnet.model_folder import read_record, save_model
from search.pareto import non_dominated
from search.prepare import PreparedStudy
from search.results.trials import write_csv
from search.retraining.retraining_loop import RetrainingProgress, retrain
from search.retraining.statistics import PairedDifference, mean_interval, paired_difference
from search.retraining.training_folder import Training, TrainingFolder, locked_folder, repeated
from search.training.proxy_training import ProxyTraining, evaluate, to_device
from search.training.recipe import Recipe
from search.versions import versions

NETWORK = ["name", "architecture", "fingerprint", "flops", "num_params"]


def summarise_networks(frame: pd.DataFrame, costs: Sequence[str]) -> pd.DataFrame:
    """One row a network, from the frame of `TrainingFolder`: mean accuracy, its 95 % interval, seeds.

    `spread` is the standard deviation between seeds (NaN for one seed); `on_front` is judged by the
    means and the costs ("flops", "num_params") that are named.
    """
    rows = []
    for key, group in frame.groupby(NETWORK, sort=False):
        accuracy = group["val_accuracy"].to_numpy()
        interval = mean_interval(accuracy)
        spread = float(accuracy.std(ddof=1)) if len(accuracy) > 1 else np.nan
        counted = (spread, len(accuracy), float(group["seconds"].mean()))
        rows.append((*key, interval.mean, interval.low, interval.high, *counted))
    columns = [*NETWORK, "mean", "low", "high", "spread", "seeds", "seconds"]
    summary = pd.DataFrame(rows, columns=columns)
    losses = np.column_stack([-summary["mean"], summary[list(costs)]])
    summary["on_front"] = non_dominated(losses)
    return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What trainings with paired seeds say of given networks."""

    folder: Path
    recipe: str
    # As `TrainingFolder.frame` and `summarise_networks` give them; on the test split: test_accuracy.
    trainings: pd.DataFrame
    networks: pd.DataFrame
    against: str  # the network that the others are compared with
    compared_on: Literal["val_accuracy", "test_accuracy"]
    differences: Mapping[str, PairedDifference]  # of the others, less `against`
    is_complete: bool


def compare_networks(
    prepared: PreparedStudy,
    recipe: Recipe,
    folder: Path,
    *,
    seeds: int,
    against: str,
    on_test: bool = False,
    ray_address: str | None = None,
    observe: Callable[[RetrainingProgress], None] = lambda progress: None,
) -> Comparison:
    """Trains the networks that a study starts with, with paired seeds, and compares them; resumable.

    Args:
        folder: in which every recipe has a folder of its own.
        against: the name of one of the networks.
        on_test: whether accuracies on the test split are compared, once all is trained.

    Raises:
        UserError: there is no such network, or it cannot be trained.
    """
    file, networks = prepared.file, prepared.start_with
    if against not in networks:
        raise RunError(f"--against {against}: is not one of {', '.join(networks)}")
    wanted = repeated(networks, seeds, file.seed)
    trainings = TrainingFolder(folder / recipe.name, recipe)
    with locked_folder(trainings.folder):
        loop = retrain(
            wanted, trainings, file, ray_address=ray_address, observe=observe, keep_states=on_test
        )
        frame = trainings.frame(wanted, prepared.space.space.task)
        summary = summarise_networks(frame, file.costs)
        if on_test and loop.is_complete:
            provenance = {"study": file.name, "versions": versions()}
            tested = evaluate_on_test(trainings, wanted, provenance, file.workers.gpus)
            frame["test_accuracy"] = [one.test_accuracy for one in tested]
            means = frame.groupby("name")["test_accuracy"].mean()
            summary["test_accuracy"] = summary["name"].map(means)
        with writing(trainings.folder):
            write_csv(frame, trainings.folder / "trainings.csv")
    column: Literal["val_accuracy", "test_accuracy"] = (
        "test_accuracy" if "test_accuracy" in frame else "val_accuracy"
    )
    accuracies = frame.pivot(index="repetition", columns="name", values=column)
    differences = {}
    for name in summary["name"][summary["name"] != against]:
        # Over the seeds that both were trained with.
        pairs = accuracies.reindex(columns=[name, against]).dropna().to_numpy("float64")
        if len(pairs):
            differences[name] = paired_difference(pairs[:, 0], pairs[:, 1])
    return Comparison(
        folder=trainings.folder,
        recipe=recipe.text,
        trainings=frame,
        networks=summary,
        against=against,
        compared_on=column,
        differences=differences,
        is_complete=loop.is_complete,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedModel:
    """A trained network on the test split."""

    folder: Path  # the model folder
    repetition: int
    test_accuracy: float


def evaluate_on_test(
    trainings: TrainingFolder, wanted: Sequence[Training], provenance: dict[str, Any], gpus: float
) -> tuple[TestedModel, ...]:
    """Writes what was trained as model folders, with their accuracy on the test split.

    Call it for what was chosen without that split. The trainings kept their states.

    Raises:
        UserError: the data are not to be had, or a folder cannot be written.
    """
    recipe = trainings.recipe
    device = torch.device("cuda" if gpus else "cpu")
    splits = trainings.load()
    test = to_device(trainings.load_test_images(), splits, device)
    tested = []
    for training in filter(trainings.has, wanted):
        row = trainings.row(training)
        # (A trial is named "trial 7", a preset as itself.)
        name = f"{training.name.replace(' ', '-')}-seed-{training.repetition}"
        folder = trainings.folder / "models" / name
        if not _is_of(folder, training.seed):
            if (checkpoint := trainings.states.load(training.key)) is None:  # it was deleted since
                continue
            trained = ProxyTraining(
                training.architecture, splits, recipe.proxy, seed=training.seed, device=device
            )
            trained.load_state(checkpoint.state)
            accuracy = evaluate(trained.model, test).accuracy
            metrics = row | recipe.document() | {"test_accuracy": accuracy}
            save_model(
                folder,
                trained.model,
                metrics=metrics,
                mean=splits.mean,
                std=splits.std,
                provenance=provenance,
            )
        accuracy = read_record(folder).metrics["test_accuracy"]
        tested.append(
            TestedModel(folder=folder, repetition=training.repetition, test_accuracy=accuracy)
        )
    return tuple(tested)


def _is_of(folder: Path, seed: int) -> bool:
    """Whether a model folder is whole and holds what this seed gave."""
    return (folder / "metrics.json").exists() and read_record(folder).metrics.get("seed") == seed
