"""A loop served in this process, one training after another: what workers do, without Ray."""

from functools import partial

import torch

from search.data.splits import Splits
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
    """Runs a loop to its end, or until Ctrl-C; as `search.workers.ray_tune.run_trials` does on many workers."""
    device, minutes = torch.device("cuda" if workers.gpus else "cpu"), workers.checkpoint_minutes
    threads = torch.get_num_threads()
    torch.set_num_threads(workers.cpus)
    try:
        while isinstance(proposal := loop.next(), Proposal):
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
            try:
                for step in TrainingSteps(create, state, minutes=minutes, keep_last=keep_states):
                    result = step.result
                    if result.confusion is not None:
                        loop.on_confusion(number, result.confusion)
                    goes_on = loop.on_epoch(number, result.epoch, result.quality, result.seconds)
                    if step.state is not None:
                        loop.on_checkpoint(number, step.state)
                    if not goes_on:
                        break
            except Diverged as error:
                loop.on_failure(number, f"Diverged: {error}")
            else:
                loop.on_end(number)
    finally:
        loop.close()
        torch.set_num_threads(threads)
