"""What is printed of studies and searches, in 80 columns."""

import time
from dataclasses import replace
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

from search.cli.terminal import (
    ProgressPrinter,
    front_table,
    showing_files,
    showing_searches,
    simulation_table,
    status_lines,
)
from search.data.reading_progress import map_files
from search.study.progress import Progress, progress_lines

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
    "driven_elsewhere": None,
    "driver": "process 7 on here since 2026-11-24T06:12:31+00:00",
}


def test_status_says_how_a_study_goes_on() -> None:
    _, best, time, driver = status_lines(SUMMARY)
    assert best == "best trial 3: estimated 0.8912, measured 0.9000; front of 2, hypervolume 0.5000"
    assert time == "time used 0:01:00, left about 0:03:00"
    assert driver == "driven by process 7 on here since 2026-11-24T06:12:31+00:00"
    *_, last = status_lines(SUMMARY | {"driver": None})
    assert last == "no driver is running; `hgcnas run STUDY.toml` resumes it"
    *_, time, last = status_lines(SUMMARY | {"driver": None, "trained": 20, "seconds_left": 0.0})
    assert time == "time used 0:01:00"
    assert last == "its budget is used; `hgcnas run STUDY.toml --trials N` raises it"
    assert all(len(line) < 80 for line in status_lines(SUMMARY))


def test_status_of_a_study_in_which_nothing_has_finished_says_no_best() -> None:
    nothing = {"best_trial": None, "trained": 0, "seconds_used": 0.0, "seconds_left": None}
    said = [*status_lines(SUMMARY | nothing)]
    assert said[0] == "study small on digits: 0/20 trained (2 stopped), 0 failed, 1 running"
    assert said[1] == "time used 0:00:00, left unknown"
    assert len(said) == 3


class Terminal(StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("file", [Terminal(), StringIO()], ids=["terminal", "log"])
def test_simulated_searches_are_counted_in_a_terminal_alone(file: StringIO) -> None:
    console = Console(file=file, force_terminal=True, width=80)  # (CI forces it, too)
    with showing_searches(console, ["random", "tpe"], 2) as observe:
        for sampler in ("random", "tpe", "tpe"):
            observe(sampler, 0)
    assert ("3/4 searches, " in file.getvalue()) == file.isatty()


def test_only_the_architectures_of_a_front_are_broken_in_80_columns() -> None:
    long = "hgc 15x12g4+se1 15x24g4+se1 14x48g4+se1 b4 c0.5 s24"
    frame = pd.DataFrame(
        {
            "number": [1234, 8],
            "state": "finished",
            "on_front": [True, False],
            "estimated_accuracy": [0.97654, float("nan")],
            "quality": [0.98765, 0.5],
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


def test_how_far_the_reading_of_images_is_stands_in_a_log_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console = Console(file=StringIO())
    with showing_files(console):
        for file in map_files(lambda second: second, range(1, 101)):
            clock[0] = float(file)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 9  # in a hundred seconds
    assert lines[0] == "11/100 images read, 0:01:21 left"


def test_reading_of_a_moment_says_nothing() -> None:
    console = Console(file=StringIO())
    with showing_files(console):
        assert list(map_files(str, range(1000))) == [str(n) for n in range(1000)]
    assert console.file.getvalue() == ""


def test_images_that_are_read_within_a_study_are_told_where_its_progress_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console = Console(file=StringIO())
    with showing_files(Console(file=StringIO())), ProgressPrinter(console).showing():
        for file in map_files(lambda second: second, range(1, 31)):
            clock[0] = float(file)
    assert "images read, 0:00:" in console.file.getvalue()
