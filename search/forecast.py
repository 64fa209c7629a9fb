"""What a study would be: the size of its space, its data, its expected time."""

import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hgcnet.complexity import count, layer_table
from search.data.splits import ImageSet, load_splits
from search.prepare import PreparedStudy
from search.training.proxy_training import ProxyTraining

_MOST_WORK = 1e11  # multiply-adds of an epoch that a CPU is timed on: about five seconds
_MOST_BYTES = 1e9  # of the maps of a step that is timed


def forecast(prepared: PreparedStudy) -> dict[str, Any]:
    """As `search.forecast_study` returns it."""
    file, space = prepared.file, prepared.space.space
    low, high = space.flops_range()
    gpus = torch.cuda.device_count()
    seconds = hours = at_once = None
    to_read = seconds_to_read(prepared)
    if file.workers.gpus <= gpus:
        on_cpus = max(1, (os.cpu_count() or 1) // file.workers.cpus)
        at_once = int(gpus / file.workers.gpus) if file.workers.gpus else on_cpus
        seconds = seconds_per_trial(prepared)
        hours = (seconds * file.budget.trials / at_once + to_read) / 3600
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
        "test_images": sum(prepared.inspection.counts["test"].values()),
        "data": prepared.inspection.document(),
        "gpus_here": gpus,
        "trials_at_once": at_once,
        "seconds_per_trial": None if seconds is None else round(seconds, 2),
        "seconds_to_read": round(to_read, 2),
        "hours": None if hours is None else round(hours, 6),
    }


def seconds_to_read(prepared: PreparedStudy) -> float:
    """What reading the images of a folder takes on this machine, at the start; 0 for others.

    Decoding, as the last look has measured it; making them smaller takes a part of that again.
    """
    folder, counts = prepared.inspection.folder, prepared.inspection.counts
    if folder is None or not folder.files:
        return 0.0
    proxy, data = prepared.file.proxy, prepared.data
    used = (proxy.train_images or data.train_images) + (proxy.val_images or data.val_images)
    return folder.seconds * used / sum(sum(of.values()) for of in counts.values())


def seconds_per_trial(prepared: PreparedStudy) -> float:
    """What a whole training of a middling architecture would take on this machine, one thread.

    Times a few steps of the architecture of median FLOPs among 31 draws.
    """
    file = prepared.file
    rng = np.random.default_rng(file.seed)
    task = prepared.space.space.task
    drawn = [prepared.space.space.sample(rng) for _ in range(31)]
    architectures = sorted((a for a in drawn if a is not None), key=lambda a: count(a, task).flops)
    train_images = file.proxy.train_images or prepared.data.train_images
    val_images = file.proxy.val_images or prepared.data.val_images
    median = architectures[len(architectures) // 2]
    resolution = file.proxy.resolution or file.data.resolution
    # Four steps and about as many images to validate; the first step of two epochs is warm-up.
    few, batch_size = 4 * file.proxy.batch_size, file.proxy.batch_size
    # Of large images fewer, and fewer at once, as a CPU's time for one is always the same: a whole step of
    # 224 pixels may take more memory than there is, and nobody has agreed to that yet.
    if not file.workers.gpus:
        timed_task = replace(task, resolution=resolution)
        few = min(few, max(1, round(_MOST_WORK / (3 * count(median, timed_task).flops))))
        maps = sum(
            layer.out_channels * layer.resolution**2 for layer in layer_table(median, timed_task)
        )
        batch_size = min(batch_size, max(2, round(_MOST_BYTES / (4 * maps))))
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
