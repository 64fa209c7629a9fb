"""The full training of one network, in this process: continued from the last epoch if cut short."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from hgcnet.architecture import ArchitectureFile
from hgcnet.errors import DataError, RunError
from search.data.splits import Splits
from search.retraining.recipe import Recipe
from search.retraining.statistics import Interval, mean_interval
from search.retraining.training_folder import Training, TrainingFolder, locked_folder, repeated
from search.training.finished import load_test_images, save_tested
from search.training.proxy_training import Diverged, EpochResult, Evaluation, ProxyTraining
from search.training.steps import TrainingSteps
from search.versions import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """One training of a network, from its first epoch to the test split."""

    folder: Path  # the model folder
    repetition: int
    test_accuracy: float
    seconds: float  # of training and validation


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTraining:
    """One network trained in full, with one seed or several."""

    recipe: str
    models: tuple[TrainedModel, ...]
    mean_test_accuracy: Interval  # over the seeds


def train_in_full(
    name: str,
    file: ArchitectureFile,
    recipe: Recipe,
    folder: Path,
    *,
    seeds: int,
    seed: int,
    device: Literal["auto", "cpu", "cuda"],
    observe: Callable[[int, EpochResult, float], None] = lambda repetition, epoch, seconds: None,
) -> FullTraining:
    """Trains a network by a recipe and writes a model folder for each seed; resumable.

    Args:
        name: of the network, for people.
        folder: in which the model folders are.
        seeds: how many trainings.
        seed: the number that their seeds come from.
        observe: is called after every epoch with the repetition, the epoch and the seconds so far.

    Raises:
        UserError: the data or the device are not to be had, the folder cannot be written or holds
            another network, or a training diverged.
    """
    where = _device(device)
    trainings = TrainingFolder(folder, recipe)
    if trainings.fingerprints - {file.architecture.fingerprint}:
        raise RunError(f"{folder}: holds models of another network; name another folder by -o")
    provenance = {
        **file.provenance,
        "data_set": recipe.data.dataset,
        "versions": versions(),
    }
    models = []
    with locked_folder(folder):
        for training in repeated({name: file.architecture}, seeds, seed):
            report = partial(observe, training.repetition)
            try:
                models.append(train_one_seed(training, trainings, provenance, where, report))
            except Diverged as error:
                raise RunError(
                    f"seed {training.repetition}: {error}; a lower --learning-rate may help"
                ) from error
    return FullTraining(
        recipe=recipe.text,
        models=tuple(models),
        mean_test_accuracy=mean_interval([model.test_accuracy for model in models]),
    )


def _device(asked: Literal["auto", "cpu", "cuda"]) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if asked == "cuda" and not has_gpu:
        raise DataError("--device cuda: torch sees no GPU here; --device cpu trains without")
    return torch.device("cuda" if asked == "auto" and has_gpu else asked.replace("auto", "cpu"))


def train_one_seed(
    training: Training,
    trainings: TrainingFolder,
    provenance: Mapping[str, Any],
    device: torch.device,
    observe: Callable[[EpochResult, float], None] = lambda epoch, seconds: None,
) -> TrainedModel:
    """Trains a network with one seed and writes it as a model folder, `seed-N`.

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
        run = _train(training, trainings, splits, device, observe)
        curve = run.curve if recipe.hold_out else []
        trained = {"seed": training.seed, "curve": curve, "seconds": run.seconds}

        def measured(tested: Evaluation) -> dict[str, Any]:
            return {
                "test_accuracy": tested.accuracy,
                "test_loss": tested.loss,
                "train_losses": run.train_losses,
                "device": str(device),
                "threads": torch.get_num_threads(),
            }

        test = load_test_images(recipe.data, splits, resolution=recipe.resolution, device=device)
        tested = save_tested(
            folder,
            run.model,
            test,
            splits,
            lambda tested: trained | measured(tested) | recipe.document(),
            provenance,
        )
        trainings.add(training, curve, run.seconds, **measured(tested))
        trainings.states.drop(training.key)
    row = trainings.row(training)
    return TrainedModel(
        folder=folder,
        repetition=training.repetition,
        test_accuracy=row["test_accuracy"],
        seconds=row["seconds"],
    )


def _train(
    training: Training,
    trainings: TrainingFolder,
    splits: Splits,
    device: torch.device,
    observe: Callable[[EpochResult, float], None],
) -> ProxyTraining:
    """The training with all of its epochs done."""
    network, proxy, seed = training.architecture, trainings.recipe.proxy, training.seed
    create = partial(ProxyTraining, network, splits, proxy, seed=seed, device=device)
    checkpoint = trainings.states.load(training.key)
    state = checkpoint.state if checkpoint else None
    steps = TrainingSteps(create, state, minutes=0, keep_last=True)
    for step in steps:
        if step.state is not None:
            trainings.states.save(training.key, step.state)
        observe(step.result, steps.training.seconds)
    return steps.training
