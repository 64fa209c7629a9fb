"""A study that is stopped by Ctrl-C: the same command finishes it."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from search.study.run_folder import RunFolder
from tests.parts.opened import trials_of
from tests.parts.processes import Family, Processes
from tests.parts.small_study import write_study

TRIALS = 10


@pytest.fixture
def start(folder: Path, processes: Processes) -> Callable[[], Family]:
    """The same command each time, on a study in which trainings are stopped early."""
    proxy = {"epochs": 12, "batch_size": 64}
    write_study(folder, proxy=proxy, early_stopping__min_epochs=3, budget__trials=TRIALS)
    return lambda: processes.hgcnas("run", "small.toml", "--json")


def trained(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["state"].isin(["finished", "stopped"])]


def check_complete(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """What was trained before is as it was; nothing was trained twice; nothing is left over."""
    kept = after[after["number"].isin(trained(before)["number"])]
    columns = ["number", "state", "fingerprint", "last_accuracy", "flops", "seconds"]
    pd.testing.assert_frame_equal(
        trained(before)[columns].reset_index(drop=True), kept[columns].reset_index(drop=True)
    )
    assert len(trained(after)) == TRIALS
    assert trained(after)["fingerprint"].is_unique
    assert not (after["state"] == "running").any()
    assert not (after["state"] == "waiting").any()
    repeated = after[after["failure"].fillna("") == "stopped on request"]["number"]
    assert set(repeated) == set(after["retry_of"].dropna())


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    folder: Path, start: Callable[[], Family]
) -> None:
    """And while a driver is at work, there is no second one."""
    first = start()
    first.wait_until(lambda: f" 1/{TRIALS} trained" in first.errors, "the first training ends")
    first.send(signal.SIGSTOP)  # or it might end before the second one begins
    second = start()
    assert second.end() == 2
    assert f"the study is being run by process {first.pid} on " in second.errors

    first.send(signal.SIGINT)
    first.send(signal.SIGCONT)
    assert first.end() == 130
    assert json.loads(first.output)["reason"] == "stopped by Ctrl-C"
    run = RunFolder(folder / "runs" / "small")
    assert run.driver is None
    before = trials_of(run)
    assert not (before["state"] == "running").any()
    assert (before["state"] == "waiting").any()

    summary = json.loads(start().succeed())
    assert (summary["trained"], summary["running"], summary["failed"]) == (TRIALS, 0, 0)
    check_complete(before, trials_of(run))
