"""What progress looks like: in a terminal of 80 columns, and in a log file."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

import pytest

# (Without the modules of the real states, which take seconds to load.)
STUDY = """
import time
from types import SimpleNamespace
from rich.console import Console
from search.cli.terminal import ProgressPrinter

printer = ProgressPrinter(Console())
state = SimpleNamespace(
    budget=5000, stopped=2012, failed=112, running=16, highest_accuracy=0.95, hypervolume=0.5,
    quality="accuracy",
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
# (The last is what `make coverage` measures processes by.)
KEPT = ("PATH", "PYTHONPATH", "HOME", "COVERAGE_PROCESS_CONFIG")
ENVIRONMENT = {key: os.environ[key] for key in KEPT if key in os.environ}
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
        with suppress(OSError):  # as Linux says that the other end is closed
            while chunk := os.read(here, 65536):
                written += chunk
        assert process.wait() == 0, written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(here)
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
