"""A study that is stopped: the same command finishes it. (Those that are killed: tests/faults.)"""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w

from search.results.stored_study import read_study
from search.study.run_folder import RunFolder

QUICKSTART = Path(__file__).parents[2] / "studies" / "quickstart.toml"
TRIALS = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    document = tomllib.loads(QUICKSTART.read_text())
    document["budget"]["trials"] = TRIALS
    document["limits"]["flops"] = 100e3
    document["proxy"]["epochs"] = 6
    document["early_stopping"]["min_epochs"] = 3
    (tmp_path / "study.toml").write_text(tomli_w.dumps(document))
    return tmp_path


def start(folder: Path) -> subprocess.Popen[str]:
    command = "from search.cli.app import main; main(['run', 'study.toml', '--json'])"
    return subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def trials(folder: Path) -> pd.DataFrame:
    run = RunFolder(folder / "runs" / "quickstart")
    if not run.database.exists():
        return pd.DataFrame({"state": []})
    stored = read_study(run)
    frame = stored.trials()
    stored.storage.engine.dispose()
    return frame


def trained(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["state"].isin(["finished", "stopped"])]


def wait_for(folder: Path, driver: subprocess.Popen[str], number: int) -> None:
    """Until the study has this many trained architectures."""
    for line in driver.stderr or ():
        if f" {number}/{TRIALS} trained" in line:
            return
    pytest.fail(f"the driver ended before {number} trainings")


def finish(folder: Path) -> dict[str, Any]:
    driver = start(folder)
    out, err = driver.communicate(timeout=300)
    assert driver.returncode == 0, err
    return dict(json.loads(out))


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


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(folder: Path) -> None:
    """And while a driver is at work, there is no second one."""
    first = start(folder)
    wait_for(folder, first, 1)
    second = start(folder)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"the study is being run by process {first.pid} on " in err

    os.kill(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert json.loads(out)["reason"] == "stopped on request"
    assert RunFolder(folder / "runs" / "quickstart").driver is None
    before = trials(folder)
    assert not (before["state"] == "running").any()
    assert (before["state"] == "waiting").any()

    summary = finish(folder)
    assert (summary["trained"], summary["running"], summary["failed"]) == (TRIALS, 0, 0)
    check_complete(before, trials(folder))
