"""TrainingFolder served in this process, one after another: what workers do, without Ray."""

from functools import partial

import torch

from search.data.splits import Splits
from search.study_file.schema import Workers
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import Diverged, ProxyTraining
from search.training.steps import TrainingSteps
from search.workers.protocol import Proposal, TrainingSource


def train_here(
    loop: TrainingSource,
    splits: Splits,
    proxy: ProxyConfig,
    workers: Workers,
    *,
    keep_states: bool = False,
) -> None:
    """Runs a loop to its end, or until Ctrl-C; as `search.workers.ray_tune.run_trials` does on many workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(workers.cpus)
    try:
        while isinstance(proposal := loop.next(), Proposal):
            try:
                _train(loop, proposal, splits, proxy, workers, keep_states)
            except Diverged as error:
                loop.on_failure(proposal.number, f"Diverged: {error}")
            else:
                loop.on_end(proposal.number)
    finally:
        loop.close()
        torch.set_num_threads(threads)


def _train(
    loop: TrainingSource,
    proposal: Proposal,
    splits: Splits,
    proxy: ProxyConfig,
    workers: Workers,
    keep_states: bool,
) -> None:
    device = torch.device("cuda" if workers.gpus else "cpu")
    network, seed = proposal.architecture, proposal.seed
    create = partial(ProxyTraining, network, splits, proxy, seed=seed, device=device)
    minutes = workers.checkpoint_minutes
    for step in TrainingSteps(create, proposal.checkpoint, minutes=minutes, keep_last=keep_states):
        epoch = step.result
        goes_on = loop.on_epoch(proposal.number, epoch.epoch, epoch.val_accuracy, epoch.seconds)
        if step.state is not None:
            loop.on_checkpoint(proposal.number, step.state)
        if not goes_on:
            break
