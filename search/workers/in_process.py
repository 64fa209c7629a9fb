"""TrainingFolder served in this process, one after another: what workers do, without Ray."""

import time

import torch

from search.data.splits import Splits
from search.study_file.schema import Workers
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import Diverged, ProxyTraining, begin_or_continue
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

    def create() -> ProxyTraining:
        network, seed = proposal.architecture, proposal.seed
        return ProxyTraining(network, splits, proxy, seed=seed, device=device)

    training = begin_or_continue(create, proposal.checkpoint)
    saved_at = time.monotonic()
    goes_on = True
    while goes_on:
        epoch = training.run_epoch()
        goes_on = loop.on_epoch(proposal.number, epoch.epoch, epoch.val_accuracy, epoch.seconds)
        is_due = time.monotonic() - saved_at >= 60 * workers.checkpoint_minutes
        if is_due if goes_on else keep_states:
            loop.on_checkpoint(proposal.number, training.save_state())
            saved_at = time.monotonic()
