"""What a study takes of its machine, and how long a trial takes, before it starts."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search import forecast
from search.data.splits import Splits
from search.forecast import memory_need, warn_of_memory
from search.prepare import PreparedStudy, prepare
from search.study_file.reading import read_study_file
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import EpochResult
from search.workers.resources import MachineWarning
from tests.parts.small_study import write_study

GB = 10**9


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedStudy:
    return prepare(read_study_file(write_study(tmp_path, workers={"cpus": 1, "at_once": 1})))


def test_memory_is_that_of_the_driver_the_images_and_each_worker(prepared: PreparedStudy) -> None:
    one, three = memory_need(prepared, 1), memory_need(prepared, 3)
    assert one.object_store == (400 + 305) * 8 * 8  # bytes: read by all workers where they lie
    assert (three.driver, three.object_store) == (one.driver, one.object_store)
    assert three.workers == 3 * one.workers
    assert one.total == one.driver + one.object_store + one.workers


def test_larger_batches_take_more_memory_of_each_worker(prepared: PreparedStudy) -> None:
    """128 images a batch, and as there are 400, no batch of more."""
    proxies = [replace(prepared.file.proxy, batch_size=size) for size in (128, 256, 400, 4000)]
    studies = [replace(prepared, file=replace(prepared.file, proxy=proxy)) for proxy in proxies]
    small, twice, all_images, more = (memory_need(study, 1).workers for study in studies)
    assert small < twice < all_images == more
    assert twice - small == pytest.approx(small - forecast._CPU_WORKER, abs=2)


def test_less_memory_than_a_study_takes_is_said_before_it_starts(prepared, monkeypatch, recwarn):
    monkeypatch.setattr(forecast, "usable_memory", lambda: 900 * GB)
    warn_of_memory(prepared)
    monkeypatch.setattr(forecast, "usable_memory", lambda: None)
    warn_of_memory(prepared)
    assert not recwarn.list
    monkeypatch.setattr(forecast, "usable_memory", lambda: GB // 2)
    with pytest.warns(MachineWarning, match=r"needs more memory.*0\.5 GB are available.*--workers"):
        warn_of_memory(prepared)


class Timed:
    """A training that takes a second for each image that it trains on, and remembers what it was given."""

    def __init__(self, _: Any, splits: Splits, config: ProxyConfig, **given: Any) -> None:
        self.splits, self.config = splits, config
        given_to.append(self)

    def run_epoch(self) -> EpochResult:
        """As a training has it."""
        train, validation = len(self.splits.train.labels), len(self.splits.validation.labels)
        return EpochResult(
            epoch=1,
            train_loss=1.0,
            val_accuracy=0.5,
            quality=0.5,
            confusion=None,
            seconds=train + validation / 3,
        )


given_to: list[Timed] = []


@pytest.mark.parametrize(
    ("resolution", "most", "at_once"),
    [(8, 256, 64), (224, 256, 60), pytest.param(1024, 120, 4, marks=pytest.mark.long)],
)
def test_of_large_images_few_are_timed_and_fewer_at_once(
    resolution: int, most: int, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study(
        tmp_path,
        proxy__resolution=resolution,
        proxy__batch_size=64,
        proxy__epochs=3,
        proxy__train_images=1000,
        proxy__val_images=300,
    )
    monkeypatch.setattr(forecast, "ProxyTraining", Timed)
    given_to.clear()
    seconds = forecast.seconds_per_trial(prepare(read_study_file(study)))
    (timed,) = given_to
    assert math.isclose(seconds, 3 * (1000 + 300 / 3))
    assert len(timed.splits.train.labels) <= most
    assert len(timed.splits.validation.labels) <= most
    assert timed.config.batch_size <= at_once
    assert (resolution == 8) == (timed.config.batch_size == 64)
