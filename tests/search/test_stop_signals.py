"""Signals that ask a process to stop, sent to this one."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from search import api
from search.stop_signals import (
    SIGNALS,
    StopSignal,
    stoppable_command,
    stops_deferred,
    stops_told,
)
from tests.parts.commands import hgcnas

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 138, "SIGUSR2": 140}


@pytest.fixture(autouse=True)
def _same_handlers() -> Iterator[None]:
    """Whoever takes signals for a while gives them back."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("name", CODES)
def test_a_command_is_left_by_any_of_them_and_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        api, "list_studies", lambda **given: signal.raise_signal(signal.Signals[name])
    )
    ended = hgcnas("list", cwd=tmp_path, code=CODES[name])
    # Who pressed Ctrl-C knows.
    assert ended.errors.strip() == ("" if name == "SIGINT" else f"hgcnas: stopped by {name}")


def test_a_command_that_ends_by_itself_after_a_signal_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def list_studies(**given: object) -> tuple[list[object], list[object]]:
        with stops_told(lambda stop: told.append(str(stop))):
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)  # as SLURM does, later
        return [], []

    monkeypatch.setattr(api, "list_studies", list_studies)
    assert "No studies" in hgcnas("list", cwd=tmp_path, code=138).output
    assert told == ["stopped by SIGUSR1"]


def test_what_may_not_be_left_half_done_is_done_first() -> None:
    done = []

    def work() -> None:
        with stops_deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("half")
        done.append("more")

    with stoppable_command() as command:
        with pytest.raises(StopSignal, match=r"^stopped by Ctrl-C$"):
            work()
        assert done == ["half"]
        assert command.stop is not None
        assert command.stop.exit_code == 130


def test_without_a_command_it_is_told_all_the_same_and_only_within() -> None:
    told: list[str] = []
    with stops_told(lambda stop: told.append(str(stop))):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert told == ["stopped by SIGTERM"]


def test_what_is_ignored_stays_ignored() -> None:
    """As SIGHUP by `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable_command() as command:
            signal.raise_signal(signal.SIGHUP)
        assert command.stop is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_changes() -> None:
    """No signal reaches it, and Python lets none be taken there."""
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        with stops_told(lambda stop: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
