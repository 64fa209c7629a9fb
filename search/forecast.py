"""What a study would be: the size of its space, its data, its expected time."""

import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hgcnet.complexity import count
from search.data.splits import load_splits
from search.prepare import PreparedStudy
from search.training.proxy_training import ProxyTraining

_MOST_WORK = 2e11  # multiply-adds of an epoch that a CPU is timed on: about ten seconds


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
    few = 4 * file.proxy.batch_size
    if not file.workers.gpus:  # of large images fewer, as a CPU's time for one is always the same
        macs = 3 * count(median, replace(task, resolution=resolution)).flops
        few = min(few, max(1, round(_MOST_WORK / macs)))
    few = max(few, prepared.data.num_classes)
    timed_train, timed_val = min(train_images, few), min(val_images, few)
    splits = load_splits(
        file.data,
        resolution=resolution,
        train_images=timed_train,
        val_images=timed_val,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(file.workers.cpus)
    training = ProxyTraining(
        median,
        splits,
        replace(file.proxy, epochs=2),
        seed=0,
        device=torch.device("cuda" if file.workers.gpus else "cpu"),
    )
    training.run_epoch()
    seconds = training.run_epoch().seconds
    torch.set_num_threads(threads)
    # Validation costs about a third of training, forward only.
    times = (train_images + val_images / 3) / (timed_train + timed_val / 3)
    return seconds * times * file.proxy.epochs
