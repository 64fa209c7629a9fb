"""The full training of one network, in this process: gone on with from the last epoch if cut short."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hgcnet.model_folder import save_model
from search.data.splits import load_test
from search.retraining.training_folder import Training, TrainingFolder
from search.training.proxy_training import (
    EpochResult,
    ProxyTraining,
    begin_or_continue,
    evaluate,
    to_device,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """One training of a network, from its first epoch to the test split."""

    folder: Path  # the model folder
    repetition: int
    test_accuracy: float
    seconds: float  # of training and validation


def train_in_full(
    training: Training,
    trainings: TrainingFolder,
    provenance: Mapping[str, Any],
    device: torch.device,
    observe: Callable[[EpochResult, float], None] = lambda epoch, seconds: None,
) -> TrainedModel:
    """Trains a network by a folder's recipe and writes it as a model folder, `seed-N`.

    The state after every epoch is kept until the end. The test split is read once all epochs are done.
    What is trained already is only read back. Call it under `locked`.

    Args:
        provenance: for the architecture file in the model folder.
        observe: is called after every epoch with the seconds of training so far.

    Raises:
        UserError: the data are not to be had, or a folder cannot be written.
        Diverged: the loss is not finite.
    """
    recipe, folder = trainings.recipe, trainings.folder / f"seed-{training.repetition}"
    if not (trainings.has(training) and (folder / "metrics.json").exists()):
        splits = recipe.load()

        def create() -> ProxyTraining:
            network, seed = training.architecture, training.seed
            return ProxyTraining(network, splits, recipe.proxy, seed=seed, device=device)

        checkpoint = trainings.states.load(training.key)
        run = begin_or_continue(create, checkpoint.state if checkpoint else None)
        while run.epoch < recipe.proxy.epochs:
            epoch = run.run_epoch()
            trainings.states.save(training.key, run.save_state())
            observe(epoch, run.seconds)
        test = to_device(load_test(recipe.data, resolution=recipe.resolution), splits, device)
        tested = evaluate(run.model, test)  # in float32, as those who load it will
        measured = {
            "test_accuracy": tested.accuracy,
            "test_loss": tested.loss,
            "train_losses": run.train_losses,
            "device": str(device),
            "threads": torch.get_num_threads(),
        }
        curve = run.curve if recipe.hold_out else []
        metrics = {"seed": training.seed, "curve": curve, "seconds": run.seconds, **measured}
        save_model(
            folder,
            run.model,
            metrics=metrics | recipe.document(),
            mean=splits.mean,
            std=splits.std,
            provenance=provenance,
        )
        trainings.add(training, curve, run.seconds, **measured)
        trainings.states.drop(training.key)
    row = trainings.row(training)
    return TrainedModel(
        folder=folder,
        repetition=training.repetition,
        test_accuracy=row["test_accuracy"],
        seconds=row["seconds"],
    )
