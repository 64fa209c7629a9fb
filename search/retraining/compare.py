"""What the trainings of several networks come to: means, paired differences, the test split at last."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hgcnet.model_folder import read_record, save_model
from search.data.splits import load_test
from search.pareto import non_dominated
from search.retraining.statistics import PairedDifference, mean_interval, paired_difference
from search.retraining.training_folder import Training, TrainingFolder
from search.training.proxy_training import ProxyTraining, evaluate, to_device

NETWORK = ["name", "architecture", "fingerprint", "flops", "num_params"]


def summarise_networks(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network, from the frame of `TrainingFolder`: mean accuracy, its 95 % interval, seeds.

    `spread` is the standard deviation between seeds (NaN for one seed); `on_front` is judged by the
    means.
    """
    rows = []
    for key, group in frame.groupby(NETWORK, sort=False):
        accuracy = group["val_accuracy"].to_numpy()
        interval = mean_interval(accuracy)
        rows.append(
            dict(zip(NETWORK, key, strict=True))
            | {
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "spread": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else np.nan,
                "seeds": len(accuracy),
                "seconds": float(group["seconds"].mean()),
            }
        )
    columns = [*NETWORK, "mean", "low", "high", "spread", "seeds", "seconds"]
    summary = pd.DataFrame(rows, columns=columns)
    losses = summary[["mean", "flops"]].to_numpy("float64") * [-1, 1]
    summary["on_front"] = non_dominated(losses)
    return summary


def difference_between(
    frame: pd.DataFrame, ours: str, theirs: str, column: str = "val_accuracy"
) -> PairedDifference | None:
    """Ours less theirs, over the seeds that both were trained with; None where there are none."""
    columns = [
        frame[frame["name"] == name].set_index("repetition")[column] for name in (ours, theirs)
    ]
    pairs = pd.concat(columns, axis=1, join="inner").to_numpy()
    return paired_difference(pairs[:, 0], pairs[:, 1]) if len(pairs) else None


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
    splits = recipe.load()
    test = to_device(load_test(recipe.data, resolution=recipe.resolution), splits, device)
    tested = []
    for training in filter(trainings.has, wanted):
        # (A trial is named "trial 7", a preset as itself.)
        name = f"{training.name.replace(' ', '-')}-seed-{training.repetition}"
        folder = trainings.folder / "models" / name
        measured = trainings.row(training)
        if not _is_of(folder, measured["seed"]):
            checkpoint = trainings.states.load(training.key)
            if checkpoint is None:  # its file was taken away since
                continue
            trained = ProxyTraining(
                training.architecture, splits, recipe.proxy, seed=training.seed, device=device
            )
            trained.load_state(checkpoint.state)
            # In float32, as those who load it will.
            accuracy = evaluate(trained.model, test).accuracy
            save_model(
                folder,
                trained.model,
                metrics=measured | recipe.document() | {"test_accuracy": accuracy},
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
