"""Runs the trainings of a loop in this process, one after another, without Ray."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from search.data.splits import Splits
from search.stop_signals import stops_told
from search.study_file.schema import Workers
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import Diverged, ProxyTraining
from search.training.quality import ACCURACY, QualityMetric
from search.training.steps import TrainingSteps
from search.workers.protocol import Proposal, TrainingSource


def train_here(
    loop: TrainingSource,
    splits: Splits,
    proxy: ProxyConfig,
    workers: Workers,
    *,
    quality_metric: QualityMetric = ACCURACY,
    keep_states: bool = False,
) -> None:
    """Runs a loop to its end, or until a signal; as `search.workers.ray_tune.run_trials` does on many workers.

    After a signal the epoch that runs is the last one, and its state is kept.
    """
    device, minutes = torch.device("cuda" if workers.gpus else "cpu"), workers.checkpoint_minutes
    with _served(loop, workers.cpus):
        while not loop.stop_requested and isinstance(proposal := loop.next(), Proposal):
            number, network, seed = proposal.number, proposal.architecture, proposal.seed
            create = partial(
                ProxyTraining,
                network,
                splits,
                proxy,
                seed=seed,
                device=device,
                quality_metric=quality_metric,
            )
            state = proposal.checkpoint
            is_left = False
            try:
                steps = TrainingSteps(create, state, minutes=minutes, keep_last=keep_states)
                for step in steps:
                    result = step.result
                    if result.confusion is not None:
                        loop.on_confusion(number, result.confusion)
                    goes_on = loop.on_epoch(number, result.epoch, result.quality, result.seconds)
                    is_left = goes_on and loop.stop_requested
                    if step.state is not None or is_left:
                        loop.on_checkpoint(number, step.state or steps.training.save_state())
                    if is_left or not goes_on:
                        break
            except Diverged as error:
                loop.on_failure(number, f"Diverged: {error}")
            else:
                if not is_left:
                    loop.on_end(number)


@contextmanager
def _served(loop: TrainingSource, threads: int) -> Iterator[None]:
    """A loop that is closed at the end, and stopped by signals, with so many threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with stops_told(lambda stop: loop.request_stop(str(stop))):
            yield
    finally:
        loop.close()
        torch.set_num_threads(before)
