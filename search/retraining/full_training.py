"""The full training of one network, in this process; resumes from the last epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from hgcnet.architecture import ArchitectureFile, Task
from hgcnet.errors import DataError, RunError
from hgcnet.model_folder import read_record, save_model
from search.data.inspection import check_inspection, inspect_data
from search.data.splits import summarise_data
from search.process_settings import threads_of_usable_cpus
from search.retraining.starting_weights import Taken, take_weights
from search.retraining.statistics import Interval, mean_interval
from search.retraining.tested_model import TestedModel, facts_on_test, metrics_on_test
from search.retraining.training_folder import Training, TrainingFolder, locked_folder, repeated
from search.training.proxy_training import (
    Diverged,
    EpochResult,
    ProxyTraining,
    evaluate,
    to_device,
)
from search.training.recipe import Recipe
from search.training.steps import TrainingSteps
from search.versions import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel(TestedModel):
    """One training of a network, from its first epoch to the test split."""

    seconds: float  # of training and validation


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTraining:
    """One network trained in full, with one seed or several."""

    recipe: str
    taken: str | None  # as text: which of another model's weights they started from
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
    begin_with: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    observe: Callable[[int, EpochResult, float], None] = lambda repetition, epoch, seconds: None,
) -> FullTraining:
    """Trains a network by a recipe and writes a model folder for each seed; resumable.

    Args:
        name: name of the network, for people.
        folder: folder of the model folders.
        seeds: number of trainings.
        seed: base seed.
        begin_with: model folder whose weights are used where names and shapes agree.
        say: called with a line about those weights.
        observe: called after every epoch with the repetition, the epoch and the seconds so far.

    Raises:
        UserError: the data or the device is not available, the folder cannot be written or holds another
            network, or a training diverged.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise DataError("--device cuda: torch sees no GPU here; use --device cpu")
    where = torch.device("cuda" if has_gpu and device != "cpu" else "cpu")
    if not folder.exists():  # so that unreadable images leave no new folder
        check_inspection(recipe.data, inspect_data(recipe.data))
    taken = None
    if begin_with is not None:
        data = summarise_data(recipe.data)
        task = Task(
            in_channels=data.in_channels,
            num_classes=data.num_classes,
            resolution=recipe.resolution,
        )
        taken = take_weights(begin_with, file.architecture, task)
        recipe = replace(recipe, start=taken.source)
        say(taken.text)
    trainings = TrainingFolder(folder, recipe)
    if trainings.fingerprints - {file.architecture.fingerprint}:
        raise RunError(f"{folder}: holds models of another network; name another folder by -o")
    found = {"data_set": recipe.data.dataset, **recipe.data.image_settings, "versions": versions()}
    of_other_images = ("channels", "fit")
    before = {key: value for key, value in file.provenance.items() if key not in of_other_images}
    provenance = {**before, **found}
    models = []
    with locked_folder(folder), threads_of_usable_cpus():
        for training in repeated({name: file.architecture}, seeds, seed):
            report = partial(observe, training.repetition)
            try:
                models.append(
                    _train_one_seed(training, trainings, taken, provenance, where, report)
                )
            except Diverged as error:
                raise RunError(
                    f"seed {training.repetition}: {error}; a lower --learning-rate may help"
                ) from error
    return FullTraining(
        recipe=recipe.text,
        taken=taken.text if taken else None,
        models=tuple(models),
        mean_test_accuracy=mean_interval([model.test_accuracy for model in models]),
    )


def _train_one_seed(
    training: Training,
    trainings: TrainingFolder,
    taken: Taken | None,
    provenance: Mapping[str, Any],
    device: torch.device,
    observe: Callable[[EpochResult, float], None],
) -> TrainedModel:
    """Trains a network with one seed and writes it as a model folder, `seed-N`.

    The state after every epoch is kept until the end. The test split is read after the last epoch. A
    finished training is only read back.
    """
    recipe, folder = trainings.recipe, trainings.folder / f"seed-{training.repetition}"
    if not (trainings.has(training) and (folder / "metrics.json").exists()):
        splits, seed = trainings.load(), training.seed
        create = partial(
            ProxyTraining,
            training.architecture,
            splits,
            recipe.proxy,
            seed=seed,
            device=device,
            start=taken.tensors if taken else {},
        )
        checkpoint = trainings.states.load(training.key)
        state = checkpoint.state if checkpoint else None
        steps = TrainingSteps(create, state, minutes=0, keep_last=True)
        run = steps.training
        for step in steps:
            if step.state is not None:
                trainings.states.save(training.key, step.state)
            observe(step.result, run.seconds)
        test = to_device(trainings.load_test_images(), splits, device)
        tested = metrics_on_test(evaluate(run.model, test), splits.class_names)
        curve = run.curve if recipe.hold_out else []
        measured = {
            **{name: value for name, value in tested.items() if isinstance(value, float)},
            "train_losses": run.train_losses,
            "device": str(device),
            "threads": torch.get_num_threads(),
        }
        if recipe.data.unreadable == "skip":
            measured["skipped_files"] = trainings.check_data().skipped
        trained = {"seed": seed, "curve": curve, "seconds": run.seconds}
        started = {"tensors_taken": [len(taken.tensors), len(taken.fresh)]} if taken else {}
        save_model(
            folder,
            run.model,
            metrics=trained | tested | measured | started | recipe.document(),
            mean=splits.mean,
            std=splits.std,
            fit=recipe.data.fit,
            provenance=provenance,
        )
        trainings.add(training, curve, run.seconds, **measured)
        trainings.states.drop(training.key)
    return TrainedModel(
        folder=folder,
        repetition=training.repetition,
        seconds=trainings.row(training)["seconds"],
        **facts_on_test(read_record(folder).metrics),
    )
