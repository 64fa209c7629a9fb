"""Commands that are asked to stop in processes of their own: in time, with a word, with their exit codes."""

import signal
from pathlib import Path

import pytest

from tests.parts.processes import Family, Processes
from tests.parts.small_study import write_study

HANGS = """
import sys, time
from search.stop_signals import allow_seconds, stoppable_command, stops_told

with stoppable_command(), stops_told(lambda stop: print(stop, flush=True)):
    allow_seconds(0.1, "--grace 0.1: it ends here")
    print("ready", flush=True)
    while True:
        time.sleep(0.05)  # (a longer one begins anew if a signal comes just before it)
"""


def test_who_does_not_stop_in_time_is_ended_and_says_so(processes: Processes) -> None:
    hanging = processes.python(HANGS)
    hanging.wait_until(lambda: "ready" in hanging.output, "it hangs")
    hanging.send(signal.SIGUSR2)
    assert (hanging.end(), hanging.errors) == (140, "hgcnas: --grace 0.1: it ends here\n")


def test_a_second_ctrl_c_ends_it_at_once_and_a_second_of_another_is_one_too_many(
    processes: Processes,
) -> None:
    hanging = processes.python(HANGS.replace("0.1", "3600"))
    hanging.wait_until(lambda: "ready" in hanging.output, "it hangs")
    hanging.send(signal.SIGTERM)
    hanging.wait_until(lambda: "stopped by SIGTERM" in hanging.output, "it is told")
    hanging.send(signal.SIGTERM)
    hanging.send(signal.SIGINT)
    assert (hanging.end(), hanging.errors) == (143, "")


def start(folder: Path, processes: Processes, *options: str) -> Family:
    write_study(
        folder,
        proxy={"epochs": 5000},
        early_stopping={"kind": "none"},
        workers={"checkpoint_minutes": 600},
    )
    return processes.hgcnas("run", "small.toml", "--json", *options, TMPDIR=str(folder))


@pytest.mark.parametrize(
    "name", ["SIGTERM", *(pytest.param(n, marks=pytest.mark.long) for n in ("SIGUSR1", "SIGHUP"))]
)
def test_while_ray_starts_it_stops_with_a_word_and_leaves_nothing(
    name: str, folder: Path, processes: Processes
) -> None:
    """To the whole process group, as `timeout` and SLURM do."""
    driver = start(folder, processes)
    driver.wait_until(lambda: driver.members("gcs_server"), "Ray starts")
    driver.send_to_all(signal.Signals[name])
    assert driver.end() == 128 + signal.Signals[name]
    assert driver.errors.strip() == f"hgcnas: stopped by {name}"
    assert driver.output == ""
    assert not (folder / "runs").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_it_stops_cleanly_by_any_signal_to_the_group_with_a_last_checkpoint(
    name: str, folder: Path, processes: Processes
) -> None:
    """The states of trainings are due after hours: all that there are come of the signal."""
    driver = start(folder, processes, "--no-report")
    driver.wait_until(lambda: driver.members("Trainable.train"), "an epoch runs")
    driver.send_to_all(signal.Signals[name])
    assert driver.end() == 128 + signal.Signals[name]
    assert f'"reason": "stopped by {name}"' in driver.output
    assert '"interrupted": ' in driver.output
    assert '"failed": 0' in driver.output
    assert list((folder / "runs/small/checkpoints").iterdir())
