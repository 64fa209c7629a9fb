"""Studies that meet a limit: a disk that fills up, trainings that take too long."""

import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.parts.processes import Processes
from tests.parts.studies import Study


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """The run folders on a file system of 8 MB. Skips where none may be mounted."""
    path = folder / "runs"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here; it takes root")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Writes a file as large as its disk allows."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def test_a_study_whose_disk_is_full_stops_with_a_clear_line_and_goes_on_later(
    small_disk: Path, create_study: Callable[..., Study], reference: Any
) -> None:
    study = create_study()
    driver = study.run()
    study.wait_for(driver, 2)
    trained = study.trained_rows()
    filling = small_disk / "filling"
    fill(filling)
    assert driver.end() == 2
    assert "disk is full" in driver.errors
    assert "Traceback" not in driver.errors
    filling.unlink()
    study.run().succeed()
    study.check_ended(trained, reference)


def test_trainings_that_take_too_long_fail_for_good_and_too_many_of_them_stop_the_study(
    create_study: Callable[..., Study], reference: Any
) -> None:
    study = create_study(trials=8)
    path = study.folder / "study.toml"
    patient = path.read_text()
    document = tomllib.loads(patient)
    document["workers"]["trial_minutes"] = 1e-4
    path.write_text(tomli_w.dumps(document))
    driver = study.run()
    assert driver.end() == 2
    assert "more than budget.max_failure_share allows" in driver.errors
    too_long = "it took longer than workers.trial_minutes"
    failed = [row for row in study.rows() if row.user_attrs.get("failure") == too_long]
    assert len(failed) == 5
    assert not any("again" in row.user_attrs for row in failed)
    path.write_text(patient)  # the workers of a started study may change
    study.run().succeed()
    study.check_ended({}, reference)
    # But for the cheapest network, which gives the hypervolume its reference.
    failed_for_good = {row.user_attrs["fingerprint"] for row in failed[1:]}
    trained = {row.user_attrs["fingerprint"] for row in study.trained_rows().values()}
    assert not failed_for_good & trained
    assert failed[0].user_attrs["fingerprint"] in trained


def test_a_training_that_hangs_ends_its_process_in_time(processes: Processes) -> None:
    """It has ten seconds. The first training ends before, which starts the second's clock anew."""
    code = """
import time
from hgcnet.architecture import Architecture, Stage
from search.study_file.schema import Workers
from search.training.proxy_config import ProxyConfig
from search.workers.ray_worker import ProxyTrainable

network = Architecture(stem_channels=8, stages=(Stage(depth=1, growth=4, groups=2),))
worker, config = object.__new__(ProxyTrainable), {"architecture": network, "seed": 7}
worker.setup(config, splits=None, proxy=ProxyConfig(epochs=2), workers=Workers(trial_minutes=1 / 6))
time.sleep(6)
worker.reset_config(config)
time.sleep(5)
print("another trial", flush=True)
time.sleep(10**6)
"""
    hanging = processes.python(code)
    assert (hanging.end(), hanging.output) == (1, "another trial\n")
