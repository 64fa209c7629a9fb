"""Compares trainings of several networks: means, paired differences, and the test split at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hgcnet.atomic_write import writing
from hgcnet.errors import RunError
from hgcnet.model_folder import read_record, save_model
from search.pareto import non_dominated
from search.prepare import PreparedStudy
from search.process_settings import threads_of_usable_cpus
from search.results.trials import write_csv
from search.retraining.retraining_loop import RetrainingProgress, retrain
from search.retraining.statistics import PairedDifference, mean_interval, paired_difference
from search.retraining.tested_model import TestedModel, facts_on_test, metrics_on_test
from search.retraining.training_folder import Training, TrainingFolder, locked_folder, repeated
from search.training.proxy_training import ProxyTraining, evaluate, to_device
from search.training.quality import ACCURACY, QualityMetric, name_on_test
from search.training.recipe import Recipe
from search.versions import versions

NETWORK = ["name", "architecture", "fingerprint", "flops", "num_params"]


def summarise_networks(
    frame: pd.DataFrame, costs: Sequence[str], metric: QualityMetric = ACCURACY
) -> pd.DataFrame:
    """One row a network, from the frame of `TrainingFolder`: mean quality, its 95 % interval, seeds.

    `spread` is the standard deviation between seeds (NaN for one seed); `on_front` goes by the means and
    the given costs ("flops", "num_params").
    """
    rows = []
    for key, group in frame.groupby(NETWORK, sort=False):
        quality = group[metric].to_numpy()
        interval = mean_interval(quality)
        spread = float(quality.std(ddof=1)) if len(quality) > 1 else np.nan
        counted = (spread, len(quality), float(group["seconds"].mean()))
        rows.append((*key, interval.mean, interval.low, interval.high, *counted))
    columns = [*NETWORK, "mean", "low", "high", "spread", "seeds", "seconds"]
    summary = pd.DataFrame(rows, columns=columns)
    losses = np.column_stack([-summary["mean"], summary[list(costs)]])
    summary["on_front"] = non_dominated(losses)
    return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of training given networks with paired seeds."""

    folder: Path
    recipe: str
    quality_metric: QualityMetric
    # As `TrainingFolder.frame` and `summarise_networks` give them, with a column `compared_on` of the test split.
    trainings: pd.DataFrame
    networks: pd.DataFrame
    against: str  # the network that the others are compared with
    compared_on: str  # the recipe's metric, or that on the test images ("test_accuracy")
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
        folder: holds a folder for each recipe.
        against: the name of one of the networks.
        on_test: whether to compare on the test split, once all are trained.

    Raises:
        UserError: there is no such network, or it cannot be trained.
    """
    file, networks = prepared.file, prepared.start_with
    if against not in networks:
        raise RunError(f"--against {against}: is not one of {', '.join(networks)}")
    wanted, metric = repeated(networks, seeds, file.seed), recipe.quality_metric
    compared_on: str = metric
    trainings = TrainingFolder(folder / recipe.name, recipe)
    with locked_folder(trainings.folder):
        loop = retrain(
            wanted, trainings, file, ray_address=ray_address, observe=observe, keep_states=on_test
        )
        frame = trainings.frame(wanted, prepared.space.space.task)
        summary = summarise_networks(frame, file.costs, metric)
        if on_test and loop.is_complete:
            provenance = {"study": file.name, "versions": versions()}
            tested = evaluate_on_test(trainings, wanted, provenance, file.workers.gpus)
            compared_on = name_on_test(metric)
            frame[compared_on] = [getattr(one, compared_on) for one in tested]
            summary[compared_on] = summary["name"].map(frame.groupby("name")[compared_on].mean())
        with writing(trainings.folder):
            write_csv(frame, trainings.folder / "trainings.csv")
    accuracies = frame.pivot(index="repetition", columns="name", values=compared_on)
    differences = {}
    for name in summary["name"][summary["name"] != against]:
        # Over the seeds of both networks.
        pairs = accuracies.reindex(columns=[name, against]).dropna().to_numpy("float64")
        if len(pairs):
            differences[name] = paired_difference(pairs[:, 0], pairs[:, 1])
    return Comparison(
        folder=trainings.folder,
        recipe=recipe.text,
        quality_metric=metric,
        trainings=frame,
        networks=summary,
        against=against,
        compared_on=compared_on,
        differences=differences,
        is_complete=loop.is_complete,
    )


@threads_of_usable_cpus()
def evaluate_on_test(
    trainings: TrainingFolder, wanted: Sequence[Training], provenance: dict[str, Any], gpus: float
) -> tuple[TestedModel, ...]:
    """Writes finished trainings as model folders, with their accuracy on the test split.

    Call it only for networks that were chosen without that split. The trainings must have kept their states.

    Raises:
        UserError: the data are not available, or a folder cannot be written.
    """
    recipe = trainings.recipe
    device = torch.device("cuda" if gpus else "cpu")
    splits = trainings.load()
    test = to_device(trainings.load_test_images(), splits, device)
    tested = []
    for training in wanted:
        row = trainings.row(training)
        # (A trial is named "trial 7", a preset as itself.)
        name = f"{training.name.replace(' ', '-')}-seed-{training.repetition}"
        folder = trainings.folder / "models" / name
        if not _is_of(folder, training.seed):
            checkpoint = trainings.states.load(training.key)
            assert checkpoint is not None, "a finished training has kept its state"
            trained = ProxyTraining(
                training.architecture, splits, recipe.proxy, seed=training.seed, device=device
            )
            trained.load_state(checkpoint.state)
            tested_now = evaluate(trained.model, test)
            metrics = row | recipe.document() | metrics_on_test(tested_now, splits.class_names)
            save_model(
                folder,
                trained.model,
                metrics=metrics,
                mean=splits.mean,
                std=splits.std,
                fit=recipe.data.fit,
                provenance=provenance,
            )
        facts = facts_on_test(read_record(folder).metrics)
        tested.append(TestedModel(folder=folder, repetition=training.repetition, **facts))
    return tuple(tested)


def _is_of(folder: Path, seed: int) -> bool:
    """Whether a model folder is complete and from this seed."""
    return (folder / "metrics.json").exists() and read_record(folder).metrics.get("seed") == seed
