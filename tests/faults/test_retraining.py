"""train, confirm and fidelity after kill -9 or Ctrl-C: gone on with to the same result."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hgcnet
from tests.parts.processes import Family, Processes
from tests.parts.retrained_study import write_networks


@pytest.fixture
def start(folder: Path, processes: Processes) -> Callable[..., Family]:
    """Starts a command on the networks of the folder."""
    write_networks(folder)
    return lambda *arguments: processes.hgcnas(*arguments, "--json", OMP_NUM_THREADS="1")


def wait_for_a_state(command: Family, states: Path) -> None:
    """Until a training has a checkpoint."""
    command.wait_until(lambda: states.is_dir() and any(states.glob("[0-9a-f]*")), "a checkpoint")


def timeless(value: Any) -> Any:
    """Without what is never the same twice: seconds."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key != "seconds"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def test_a_killed_train_goes_on_to_the_same_model(folder: Path, start: Any) -> None:
    options = ("train", "one.toml", "--dataset", "digits", "--epochs", "12", "--seeds", "2")
    options += ("--train-images", "400", "--batch-size", "32", "--hold-out")
    whole = json.loads(start(*options, "-o", "whole").succeed())
    states = folder / "killed" / "states"
    killed = start(*options, "-o", "killed")
    wait_for_a_state(killed, states)
    killed.kill_everything()
    resumed = json.loads(start(*options, "-o", "killed").succeed())
    assert resumed["test_accuracy"] == whole["test_accuracy"]
    assert not list(states.iterdir())
    for seed in (0, 1):
        ours, theirs = (folder / name / f"seed-{seed}" for name in ("killed", "whole"))
        weights = [(path / "model.safetensors").read_bytes() for path in (ours, theirs)]
        assert weights[0] == weights[1]
        metrics = [json.loads((path / "metrics.json").read_text()) for path in (ours, theirs)]
        assert timeless(metrics[0]) == timeless(metrics[1])
        assert len(metrics[0]["metrics"]["curve"]) == 12


def test_a_killed_confirm_goes_on_to_the_same_result(folder: Path, start: Any) -> None:
    start("run", "study.toml").succeed()
    shutil.copytree(folder / "runs", folder / "whole")
    options = ("confirm", "tiny", "--epochs", "8", "--seeds", "2")
    whole = json.loads(start(*options, "--runs", "whole").succeed())
    killed = start(*options)
    wait_for_a_state(killed, folder / "runs/tiny/confirm/8-epochs-8px-200-images/states")
    killed.kill_everything()
    resumed = json.loads(start(*options).succeed())
    for tested in whole["tested"] + resumed["tested"]:
        assert hgcnet.load(folder / tested.pop("folder")).architecture.stages
    assert timeless(resumed) == timeless(whole)
    assert {row["seeds"] for row in resumed["networks"]} == {2}


def test_fidelity_starts_nothing_more_after_ctrl_c(folder: Path, start: Any) -> None:
    first = start("fidelity", "study.toml", "--networks", "3", "--proxy", "epochs=300")
    wait_for_a_state(first, folder / "runs/tiny/fidelity/300-epochs-8px-200-images/states")
    first.send(signal.SIGINT)
    assert first.end() == 130
    found = json.loads(first.output)
    assert not found["complete"]
    scores = {row["score"]: row["tau.mean"] for row in found["correlations"]}
    assert scores["300 epochs on 200 images of 8 px"] is None
    assert not list((folder / "runs/tiny/fidelity").glob("3-epochs-*/states"))
