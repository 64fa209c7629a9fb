"""The forecast of a study: the size of its space, its data, its expected time and its memory."""

import math
import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count, layer_table
from hgcnet.machine import usable_cpus, usable_memory
from search.data.splits import ImageSet, load_splits
from search.prepare import PreparedStudy
from search.training.memory import check_share, gpu_sizes
from search.training.proxy_training import ProxyTraining
from search.units import count_text
from search.workers.resources import MachineWarning, Node, Resources, why_not

_NUM_DRAWN = 31
# Bytes of memory without images and maps; "driver" includes Ray's own processes.
_DRIVER, _CPU_WORKER, _GPU_WORKER = 1_100_000_000, 650_000_000, 2_000_000_000
_KEPT_MAPS = 0.75
_MOST_WORK = 1e11  # multiply-adds of an epoch that a CPU is timed on: about five seconds
_MOST_BYTES = 1e9  # of the maps of a step that is timed


def forecast(prepared: PreparedStudy) -> dict[str, Any]:
    """As `search.forecast_study` returns it."""
    file, space = prepared.file, prepared.space.space
    low, high = space.flops_range()
    _, most = file.limits.of("flops")
    gpus = torch.cuda.device_count()
    seconds = hours = at_once = memory = None
    to_read = seconds_to_read(prepared)
    here = _resources_here()
    unfit = why_not(here, file.workers)
    if unfit is None:
        if file.workers.gpus:
            check_share(file.workers.gpus, file.source, gpu_sizes())
        at_once = min(here.slots(file.workers), file.budget.trials)
        memory = memory_need(prepared, at_once)
        seconds = seconds_per_trial(prepared)
        hours = (seconds * file.budget.trials / at_once + to_read) / 3600
    return {
        "study": file.name,
        "points": space.size,
        "feasible_share": space.feasible_share(np.random.default_rng(0)),
        "networks": space.num_networks(),
        "flops_low": low,
        "flops_high": high,
        "flops_limit": None if most == math.inf else most,
        "limits": file.limits.as_text(count_text),
        "data_set": file.data.dataset,
        "classes": prepared.data.num_classes,
        "train_images": file.proxy.train_images or prepared.data.train_images,
        "val_images": file.proxy.val_images or prepared.data.val_images,
        "test_images": sum(prepared.inspection.counts["test"].values()),
        "data": prepared.inspection.document(),
        "gpus_here": gpus,
        "cpus_here": usable_cpus(),
        "cannot_run_here": unfit,
        "memory": None if memory is None else asdict(memory),
        "trials_at_once": at_once,
        "seconds_per_trial": None if seconds is None else round(seconds, 2),
        "seconds_to_read": round(to_read, 2),
        "hours": None if hours is None else round(hours, 6),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNeed:
    """The memory that a study needs on this machine, roughly, and what is available, in bytes."""

    driver: int  # with the processes of Ray
    object_store: int  # the images, which all workers read there
    workers: int  # all of them
    there: int | None  # within the limits of this process's cgroup, too; None if unknown

    @property
    def total(self) -> int:
        """The sum."""
        return self.driver + self.object_store + self.workers

    @property
    def text(self) -> str:
        """As text."""
        parts = (self.total, self.driver, self.object_store, self.workers)
        total, driver, images, workers = (f"{part / 1e9:.1f}" for part in parts)
        there = "" if self.there is None else f"; {self.there / 1e9:.1f} GB are available"
        return f"about {total} GB: driver {driver}, images for all workers {images}, workers {workers}{there}"


def memory_need(prepared: PreparedStudy, at_once: int) -> MemoryNeed:
    """The memory of so many trainings at once, of the network with the largest maps among some draws.

    The memory without images and maps was measured with torch 2.14 and Ray 2.60. A training on a
    CPU keeps 0.62 to 0.66 of the maps of all layers (`benchmarks/memory.py`); a little more is
    assumed here.
    """
    file, data = prepared.file, prepared.data
    side = file.proxy.resolution or file.data.resolution
    train_images = file.proxy.train_images or data.train_images
    images = train_images + (file.proxy.val_images or data.val_images)
    pixels = images * data.in_channels * side**2
    task = replace(prepared.space.space.task, resolution=side)
    maps = 0
    if not file.workers.gpus:  # else they lie on the GPU
        largest = max(_size_of_maps(drawn, task) for drawn in _drawn(prepared))
        maps = round(_KEPT_MAPS * 4 * largest * min(file.proxy.batch_size, train_images))
    process = _GPU_WORKER if file.workers.gpus else _CPU_WORKER
    return MemoryNeed(
        driver=_DRIVER + 2 * pixels,  # as they are read, and as they are given to the workers
        object_store=pixels,
        workers=at_once * (process + maps),
        there=usable_memory(),
    )


def warn_of_memory(prepared: PreparedStudy) -> None:
    """Warns if this machine has less memory than the study is expected to need."""
    workers = prepared.file.workers
    need = memory_need(prepared, min(_resources_here().slots(workers), prepared.file.budget.trials))
    if need.there is not None and need.total > need.there:
        warnings.warn(
            f"the study needs more memory than there is: {need.text}; reduce --workers (trainings at "
            "once), proxy.batch_size, proxy.train_images or proxy.resolution",
            MachineWarning,
            stacklevel=2,
        )


def _resources_here() -> Resources:
    """The resources that a Ray on this machine would have."""
    return Resources(nodes=(Node(cpus=usable_cpus(), gpus=torch.cuda.device_count()),))


def _size_of_maps(architecture: Architecture, task: Task) -> int:
    """The number of values in all maps of a network for one image."""
    table = layer_table(architecture, task)
    return sum(layer.out_channels * layer.resolution**2 for layer in table)


def _drawn(prepared: PreparedStudy) -> list[Architecture]:
    """Some architectures of the space, always the same."""
    rng = np.random.default_rng(prepared.file.seed)
    drawn = (prepared.space.space.sample(rng) for _ in range(_NUM_DRAWN))
    return [architecture for architecture in drawn if architecture is not None]


def seconds_to_read(prepared: PreparedStudy) -> float:
    """How long the images of a folder take to read at the start, on this machine; 0 for others.

    Decoding as the last inspection measured it, and a share of that for resizing.
    """
    folder, counts = prepared.inspection.folder, prepared.inspection.counts
    if folder is None or not folder.files:
        return 0.0
    proxy, data = prepared.file.proxy, prepared.data
    used = (proxy.train_images or data.train_images) + (proxy.val_images or data.val_images)
    return folder.seconds * used / sum(sum(of.values()) for of in counts.values())


def seconds_per_trial(prepared: PreparedStudy) -> float:
    """How long a whole training of an average architecture takes on this machine, in one thread.

    Times a few steps of the architecture of median FLOPs among some draws.
    """
    file = prepared.file
    task = prepared.space.space.task
    architectures = sorted(_drawn(prepared), key=lambda a: count(a, task).flops)
    train_images = file.proxy.train_images or prepared.data.train_images
    val_images = file.proxy.val_images or prepared.data.val_images
    median = architectures[len(architectures) // 2]
    resolution = file.proxy.resolution or file.data.resolution
    # Four steps and about as many images to validate; the first step of two epochs is warm-up.
    few, batch_size = 4 * file.proxy.batch_size, file.proxy.batch_size
    # Fewer large images, and fewer at once: a whole step of 224 pixels may need more memory than
    # there is, and a CPU's time for one image does not depend on their number.
    if not file.workers.gpus:
        timed_task = replace(task, resolution=resolution)
        few = min(few, max(1, round(_MOST_WORK / (3 * count(median, timed_task).flops))))
        bytes_of_image = 4 * _size_of_maps(median, timed_task)
        batch_size = min(batch_size, max(2, round(_MOST_BYTES / bytes_of_image)))
    splits = load_splits(
        file.data,
        resolution=resolution,
        train_images=min(train_images, max(few, prepared.data.num_classes)),
        val_images=min(val_images, max(few, prepared.data.num_classes)),
    )
    splits = replace(
        splits, train=_first(splits.train, few), validation=_first(splits.validation, few)
    )
    timed_train, timed_val = len(splits.train.labels), len(splits.validation.labels)
    threads = torch.get_num_threads()
    torch.set_num_threads(file.workers.cpus)
    training = ProxyTraining(
        median,
        splits,
        replace(file.proxy, epochs=2, batch_size=batch_size),
        seed=0,
        device=torch.device("cuda" if file.workers.gpus else "cpu"),
    )
    training.run_epoch()
    seconds = training.run_epoch().seconds
    torch.set_num_threads(threads)
    # Validation costs about a third of training, forward only.
    times = (train_images + val_images / 3) / (timed_train + timed_val / 3)
    return seconds * times * file.proxy.epochs


def _first(images: ImageSet, number: int) -> ImageSet:
    return ImageSet(images=images.images[:number], labels=images.labels[:number])
