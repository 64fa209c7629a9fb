"""How long a trial takes is found out on a small part of it, however large its images are."""

import math
from pathlib import Path
from typing import Any

import pytest

from search import forecast
from search.data.splits import Splits
from search.prepare import prepare
from search.study_file.reading import read_study_file
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import EpochResult
from tests.parts.small_study import write_study


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
    ("resolution", "most", "at_once"), [(8, 256, 64), (224, 256, 60), (1024, 120, 4)]
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
