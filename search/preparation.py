"""Everything that can be known of a study before anything starts: checks, sizes, expected time."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hgcnet.architecture import Architecture, Task, read_architecture
from hgcnet.complexity import count
from hgcnet.errors import SpaceError, StudyFileError
from hgcnet.presets import PRESETS
from search.proxy.data import DataSummary, describe, load_splits
from search.proxy.training import ProxyTraining
from search.samplers.parameters import OptunaSpace
from search.study_file import StudyFile
from space.search_space import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStudy:
    """A study file with its data set looked at, its space built and its first architectures read."""

    file: StudyFile
    data: DataSummary
    space: OptunaSpace
    start_with: dict[str, Architecture]


def prepare(file: StudyFile) -> PreparedStudy:
    """Checks what a study needs. Writes nothing, but for a data set that is downloaded.

    Raises:
        UserError: the data set is absent or too small, nothing meets the limits, or an architecture
            of `start_with` lies outside the space.
    """
    data = describe(file.data)
    for key, size in (("train_images", data.train_images), ("val_images", data.val_images)):
        asked = getattr(file.proxy, key)
        if asked is not None and not data.num_classes <= asked <= size:
            raise StudyFileError(
                f"{file.source}: proxy.{key}: {asked} is not between {data.num_classes}, the number "
                f"of classes, and {size}, all such images of {file.data.dataset}"
            )
    task = Task(
        in_channels=data.in_channels,
        num_classes=data.num_classes,
        resolution=file.data.resolution,
    )
    try:
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    except SpaceError as error:
        raise SpaceError(f"{file.source}: {error}") from error
    start_with = {}
    for index, name in enumerate(file.sampler.start_with):
        where = f"{file.source}: sampler.start_with[{index}]: {name}"
        architecture = find_architecture(name, Path(file.source).parent, where)
        try:
            space.encode(architecture)
        except SpaceError as error:
            raise SpaceError(f"{where}: {error}") from error
        stem = Path(name).stem
        start_with[name if stem in start_with else stem] = architecture
    return PreparedStudy(file=file, data=data, space=space, start_with=start_with)


def find_architecture(name: str, folder: Path, where: str) -> Architecture:
    """The architecture of a preset's name, or of a file in `folder`.

    Raises:
        StudyFileError: there is neither.
    """
    if name in PRESETS:
        return PRESETS[name]
    if not os.path.isfile(folder / name):  # noqa: PTH113 - Path's raises where it may not look
        raise StudyFileError(f"{where} is neither a file nor a preset ({', '.join(PRESETS)})")
    return read_architecture(folder / name).architecture


def forecast(prepared: PreparedStudy) -> dict[str, Any]:
    """What a study would be: its space, data and expected time, as JSON can hold them.

    `hours` and `seconds_per_trial` are None where there is no GPU to measure on.
    """
    file, space = prepared.file, prepared.space.space
    low, high = space.flops_range()
    gpus = torch.cuda.device_count()
    seconds = hours = at_once = None
    if file.workers.gpus <= gpus:
        if file.workers.gpus:
            at_once = int(gpus / file.workers.gpus)
        else:
            at_once = max(1, (os.cpu_count() or 1) // file.workers.cpus)
        seconds = seconds_per_trial(prepared)
        hours = seconds * file.budget.trials / at_once / 3600
    return {
        "study": file.name,
        "points": space.size,
        "feasible_share": space.feasible_share(np.random.default_rng(0)),
        "networks": space.num_networks(),
        "flops_low": low,
        "flops_high": high,
        "flops_limit": file.limits.flops,
        "data_set": file.data.dataset,
        "classes": prepared.data.num_classes,
        "train_images": file.proxy.train_images or prepared.data.train_images,
        "val_images": file.proxy.val_images or prepared.data.val_images,
        "gpus_here": gpus,
        "trials_at_once": at_once,
        "seconds_per_trial": None if seconds is None else round(seconds, 2),
        "hours": None if hours is None else round(hours, 6),
    }


def seconds_per_trial(prepared: PreparedStudy) -> float:
    """What a whole training of a middling architecture would take on this machine, one thread.

    Times a few steps of the architecture of median FLOPs among 31 draws.
    """
    file = prepared.file
    rng = np.random.default_rng(file.seed)
    task = prepared.space.space.task
    drawn = [prepared.space.space.sample(rng) for _ in range(31)]
    architectures = sorted((a for a in drawn if a is not None), key=lambda a: count(a, task).flops)
    sizes = {
        "train_images": file.proxy.train_images or prepared.data.train_images,
        "val_images": file.proxy.val_images or prepared.data.val_images,
    }
    # Four steps and about as many images to validate; the first step of two epochs is warm-up.
    few = max(4 * file.proxy.batch_size, prepared.data.num_classes)
    timed = {key: min(size, few) for key, size in sizes.items()}
    splits = load_splits(
        file.data,
        resolution=file.proxy.resolution or file.data.resolution,
        train_images=timed["train_images"],
        val_images=timed["val_images"],
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(file.workers.cpus)
    training = ProxyTraining(
        architectures[len(architectures) // 2],
        splits,
        replace(file.proxy, epochs=2),
        seed=0,
        device=torch.device("cuda" if file.workers.gpus else "cpu"),
    )
    training.run_epoch()
    seconds = training.run_epoch().seconds
    torch.set_num_threads(threads)
    # Validation costs about a third of training, forward only.
    work = {key: size * (1 if key == "train_images" else 1 / 3) for key, size in sizes.items()}
    done = {key: size * (1 if key == "train_images" else 1 / 3) for key, size in timed.items()}
    return seconds * sum(work.values()) / sum(done.values()) * file.proxy.epochs
