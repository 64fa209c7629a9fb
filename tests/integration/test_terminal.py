"""What progress looks like: in a terminal of 80 columns, and in a log file."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from search.cli.terminal import front_table, simulation_table, status_lines
from search.study.progress import Progress, progress_lines

# (Without the modules of the real states, which take seconds to load.)
STUDY = """
import time
from types import SimpleNamespace
from rich.console import Console
from search.cli.terminal import ProgressPrinter

printer = ProgressPrinter(Console())
state = SimpleNamespace(
    budget=5000, stopped=2012, failed=112, running=16, highest_accuracy=0.95, hypervolume=0.5,
    seconds_left=277506.0,
)
with printer.showing():
    for number in range(6):
        state.trained = 2012 + number
        for state.message in (
            f"trial {number} starts: hgc 1x8g2 1x16g4 2x24g1 b1 c0.5 s16",
            "",
            f"trial {number} finished at 0.9541: hgc 1x8g2+se1 1x16g4+se1 2x24g1+se1 b1 c0.5 s16",
        ):
            printer.take_study(state)
        time.sleep(0.3)
print("end")
"""
TRAININGS = """
from types import SimpleNamespace
from rich.console import Console
from search.cli.terminal import ProgressPrinter

printer = ProgressPrinter(Console())
with printer.showing():
    for number in range(1, 101):
        name = f"hgcnet_42_g4, seed {number}"
        message = f"{name} failed: out of memory" if number == 50 else f"{name}: 0.9000"
        printer.take_training(
            SimpleNamespace(done=number, wanted=100, seconds_left=60.0, message=message)
        )
print("end")
"""
ENVIRONMENT = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "HOME") if key in os.environ}
IN_CI = {"CI": "true", "GITHUB_ACTIONS": "true", "FORCE_COLOR": "1", "TERM": "dumb"}


def in_a_terminal(script: str, columns: int = 80) -> str:
    """What a process writes to a terminal."""
    here, there = pty.openpty()
    environment = ENVIRONMENT | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=there, stderr=there, env=environment
    )
    os.close(there)
    written = b""
    try:
        while chunk := os.read(here, 65536):
            written += chunk
    except OSError:  # as Linux says that the other end is closed
        pass
    os.close(here)
    assert process.wait() == 0, written.decode()
    return written.decode()


def in_a_pipe(script: str, environment: Mapping[str, str] = {}) -> str:
    """What it writes to a log file."""
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env=ENVIRONMENT | dict(environment), capture_output=True, text=True, check=True
    ).stdout


def plain(text: str) -> str:
    """Without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_study_in_a_terminal_keeps_live_lines_that_are_never_broken() -> None:
    written = in_a_terminal(STUDY)
    assert "\x1b[1A" in written  # the cursor goes up: a line is written over
    lines = [plain(line).strip("\r") for line in re.split(r"[\r\n]+", written)]
    assert max(map(len, lines)) <= 80
    assert "2017/5000 trained (2012 stopped), 112 failed, 16 running, 3 days, 5:05:06 left" in lines
    assert "highest accuracy 0.9500, hypervolume 0.5000" in lines
    assert sum(line.startswith("trial 3 finished at 0.9541") for line in lines) == 1
    assert not any("starts" in line for line in lines)
    assert lines[-2] == "end"


def test_a_study_in_a_log_has_one_line_for_each_trial_and_no_control_characters() -> None:
    written = in_a_pipe(STUDY)
    lines = written.splitlines()
    assert len(lines) == 6 + 1
    assert lines[0].startswith("trial 0 finished at 0.9541: hgc 1x8g2+se1 ")
    assert " | 2012/5000 trained (2012 stopped), 112 failed, 16 running, " in lines[0]
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", written)


def test_trainings_in_a_terminal_are_one_place_that_is_written_over() -> None:
    written = in_a_terminal(TRAININGS)
    lines = [plain(line) for line in re.split(r"[\r\n]+", written)]
    assert "hgcnet_42_g4, seed 50 failed: out of memory" in lines  # that should stay
    shown = [
        line for line in lines if line.startswith("hgcnet_42_g4, seed") and "failed" not in line
    ]
    assert len(shown) < 20
    assert "100/100 trained, 0:01:00 left" in lines


@pytest.mark.parametrize("environment", [{}, IN_CI], ids=["file", "CI"])
def test_trainings_in_a_log_have_a_line_now_and_then_their_failures_and_the_last(
    environment: Mapping[str, str],
) -> None:
    written = in_a_pipe(TRAININGS, environment)
    assert written.splitlines() == [
        "hgcnet_42_g4, seed 1: 0.9000 | 1/100 trained, 0:01:00 left",
        "hgcnet_42_g4, seed 50 failed: out of memory | 50/100 trained, 0:01:00 left",
        "hgcnet_42_g4, seed 100: 0.9000 | 100/100 trained, 0:01:00 left",
        "end",
    ]


PROGRESS = Progress(
    budget=20,
    finished=0,
    stopped=0,
    failed=0,
    running=1,
    highest_accuracy=float("nan"),
    hypervolume=float("nan"),
    seconds=1.0,
    seconds_left=float("nan"),
)


def test_progress_leaves_out_what_is_not_known_or_nought() -> None:
    assert progress_lines(PROGRESS) == ("0/20 trained, 1 running", "")
    done = replace(
        PROGRESS, finished=12, stopped=8, running=0, highest_accuracy=0.9836, hypervolume=0.683
    )
    done = replace(done, seconds_left=0.0)
    assert progress_lines(done) == (
        "20/20 trained (8 stopped)",
        "highest accuracy 0.9836, hypervolume 0.6830",
    )


SUMMARY = {
    "study": "small",
    "data_set": "digits",
    "trained": 5,
    "budget": 20,
    "stopped": 2,
    "failed": 0,
    "running": 1,
    "best_trial": 3,
    "best_estimate": 0.8912,
    "best_accuracy": 0.9,
    "hypervolume": 0.5,
    "front_size": 2,
    "seconds_used": 60.0,
    "seconds_left": 180.0,
    "driver": "process 7 on here since 2026-11-24T06:12:31+00:00",
}


def test_status_says_how_a_study_goes_on() -> None:
    _, best, time, driver = status_lines(SUMMARY)
    assert best == "best trial 3: estimated 0.8912, measured 0.9000; front of 2, hypervolume 0.5000"
    assert time == "time used 0:01:00, left about 0:03:00"
    assert driver == "driven by process 7 on here since 2026-11-24T06:12:31+00:00"
    *_, last = status_lines(SUMMARY | {"driver": None})
    assert last == "no driver is running; `hgcnas run STUDY.toml` goes on"
    *_, time, last = status_lines(SUMMARY | {"driver": None, "trained": 20, "seconds_left": 0.0})
    assert time == "time used 0:01:00"
    assert last == "its budget is used; `hgcnas run STUDY.toml --trials N` goes on"
    assert all(len(line) < 80 for line in status_lines(SUMMARY))


def test_only_the_architectures_of_a_front_are_broken_in_80_columns() -> None:
    long = "hgc 15x12g4+se1 15x24g4+se1 14x48g4+se1 b4 c0.5 s24"
    frame = pd.DataFrame(
        {
            "number": [1234, 8],
            "state": "finished",
            "on_front": [True, False],
            "estimated_accuracy": [0.97654, float("nan")],
            "val_accuracy": [0.98765, 0.5],
            "flops": [123_456_789, 45_678],
            "num_params": [1_234_567, 890],
            "architecture": long,
            "origin": ["", "start_with: se_hgcnet_42_g4"],
        }
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(front_table(frame))
    lines = capture.get().splitlines()
    assert lines[1].startswith("     8               0.5000  45.7k     890         hgc 15x12g4+se1")
    rows = [line for line in lines[1:] if not line.startswith(" " * 49)]
    assert len(rows) == 2
    words = " ".join(line[49:] for line in lines[1:]).split()
    assert words == [*long.split(), "(start_with:", "se_hgcnet_42_g4)", *long.split()]


def test_a_sampler_that_never_reached_the_goal_is_said_so() -> None:
    row = {"hypervolume_10": 0.5, "to_reach": 12.0, "worst": float("inf"), "goal": 0.6}
    rows = [row | {"sampler": "random", "epochs": 100.0, "seconds": 60.0}]
    rows.append(rows[0] | {"sampler": "tpe", "to_reach": float("inf")})
    console = Console(width=80)
    with console.capture() as capture:
        console.print(simulation_table(pd.DataFrame(rows)))
    text = capture.get()
    assert "inf" not in text
    assert [line.split().count("never") for line in text.splitlines()] == [0, 1, 2]
