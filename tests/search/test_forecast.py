"""What a study takes of its machine, before it starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from search import forecast
from search.forecast import memory_need, warn_of_memory
from search.prepare import PreparedStudy, prepare
from search.study_file.reading import read_study_file
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
    with pytest.warns(MachineWarning, match=r"takes more memory.*0\.5 GB are there.*--workers N"):
        warn_of_memory(prepared)
