"""The Trainable of one worker, without Ray: what its steps give, and what it survives."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from ray.tune.result import DONE

from hgcnet.architecture import Architecture, Stage
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_splits
from search.study_file.schema import Workers
from search.training.checkpoints import read_progress
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.workers.ray_worker import (
    CROWDED,
    EPOCH,
    FAILURE,
    QUALITY,
    SECONDS,
    STATE,
    ProxyTrainable,
)
from search.workers.reasons import MAX_REASON

SMALL = Architecture(stem_channels=8, stages=(Stage(depth=1, growth=4, groups=2),))
DEEPER = Architecture(stem_channels=8, stages=(Stage(depth=2, growth=4, groups=2),))
PROXY = ProxyConfig(epochs=2, batch_size=64)
WORKERS = Workers()


@pytest.fixture(scope="module")
def splits() -> Splits:
    config = DataConfig(dataset="digits", resolution=8)
    return load_splits(config, resolution=8, train_images=100, val_images=50)


class BrokenSplits:
    """Splits that raise as soon as a training touches them."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


def create_worker(
    splits: Any, proxy: ProxyConfig = PROXY, workers: Workers = WORKERS
) -> ProxyTrainable:
    worker = object.__new__(ProxyTrainable)  # the constructor makes folders for Tune
    config = {"architecture": SMALL, "seed": 7}
    worker.setup(config, splits=splits, proxy=proxy, workers=workers)
    return worker


def direct_curve(architecture: Architecture, splits: Splits, seed: int) -> list[float]:
    training = ProxyTraining(architecture, splits, PROXY, seed=seed, device=torch.device("cpu"))
    return [training.run_epoch().val_accuracy for _ in range(PROXY.epochs)]


def test_a_step_is_an_epoch_and_the_last_one_says_so(splits):
    worker = create_worker(splits)
    results = [worker.step() for _ in range(2)]
    assert [result[EPOCH] for result in results] == [1, 2]
    assert [result[DONE] for result in results] == [False, True]
    assert [result[QUALITY] for result in results] == direct_curve(SMALL, splits, seed=7)
    assert all(result[SECONDS] > 0 for result in results)


def test_a_reset_leaves_nothing_of_a_training_that_was_stopped(splits):
    worker = create_worker(splits)
    worker.step()
    assert worker.reset_config({"architecture": DEEPER, "seed": 8})
    accuracies = [worker.step()[QUALITY] for _ in range(2)]
    assert accuracies == direct_curve(DEEPER, splits, seed=8)


def test_an_error_of_the_training_is_a_result_in_one_short_line():
    worker = create_worker(BrokenSplits(ValueError("two\nlines " + "x" * 1000)))
    result = worker.step()
    assert result[DONE]
    assert result[FAILURE].startswith("ValueError: two lines xxx")
    assert len(result[FAILURE]) == MAX_REASON


def test_a_loss_that_is_not_finite_is_a_failure(splits):
    worker = create_worker(splits, ProxyConfig(epochs=9, batch_size=10, learning_rate=1e30))
    result = worker.step()
    while not result[DONE]:
        result = worker.step()
    assert result[FAILURE].startswith("Diverged: the ")


def test_a_worker_trains_on_after_a_failure(splits):
    worker = create_worker(BrokenSplits(MemoryError("too large")))
    result = worker.step()
    assert result[FAILURE] == "out of memory: MemoryError: too large"
    assert result[CROWDED]
    worker._splits = splits
    worker.reset_config({"architecture": SMALL, "seed": 7})
    assert [worker.step()[QUALITY] for _ in range(2)] == direct_curve(SMALL, splits, seed=7)


def test_an_error_of_the_accelerator_ends_the_worker():
    kind = getattr(torch, "AcceleratorError", RuntimeError)  # torch before 2.8 has the text alone
    worker = create_worker(BrokenSplits(kind("CUDA error: an illegal memory access")))
    with pytest.raises(kind, match="illegal memory access"):
        worker.step()


def test_the_worker_computes_with_the_cpus_it_was_given(splits):
    create_worker(splits)
    assert torch.get_num_threads() == 1


def test_what_is_out_of_memory_alone_is_not_crowded_and_says_what_torch_said(splits, monkeypatch):
    """An allocation that no machine can serve; torch's own error for it."""
    worker = create_worker(splits)
    monkeypatch.setattr(ProxyTraining, "run_epoch", lambda self: torch.empty(2**60))
    for alone in (False, True):
        worker.reset_config({"architecture": SMALL, "seed": 7, "alone": alone})
        result = worker.step()
        assert result[FAILURE].startswith("out of memory: RuntimeError: ")
        assert result[CROWDED] is not alone


def test_a_state_comes_with_the_result_once_its_time_is_there(splits):
    worker = create_worker(splits, replace(PROXY, epochs=3), Workers(checkpoint_minutes=1e-6))
    results = [worker.step() for _ in range(3)]
    assert [STATE in result for result in results] == [True, True, False]
    curve, seconds = read_progress(results[1][STATE])
    assert curve == [result[QUALITY] for result in results[:2]]
    assert seconds == pytest.approx(sum(result[SECONDS] for result in results[:2]))
    assert STATE not in create_worker(splits).step()
