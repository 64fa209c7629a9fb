"""A process together with everything that it started, and how they end."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


class Family:
    """A process and all that it started: they share its session. What they print goes to files."""

    def __init__(
        self, command: Sequence[str], folder: Path, name: str, environment: Mapping[str, str]
    ) -> None:
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    @property
    def output(self) -> str:
        """Its standard output so far."""
        return self._out.read_text()

    @property
    def errors(self) -> str:
        """Its standard error so far."""
        return self._err.read_text()

    @property
    def has_ended(self) -> bool:
        """Whether the process itself ended; what it started may still be there."""
        return self._process.poll() is not None

    def members(self, title: str = "") -> dict[int, str]:
        """The processes that are alive and whose command line contains `title`; with that line."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it died meanwhile
                state, _, _, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.pid and state != "Z":
                    line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found |= {int(path.name): line} if title in line else {}
        return found

    def end(self, seconds: float = 150) -> int:
        """Waits for the end of the process; its exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end after {seconds:g} s: {self.errors[-2000:]}{self.output[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """To the process itself."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kills the process alone. Ray's daemons are to notice."""
        self._process.kill()
        self._process.wait()

    def kill_everything(self) -> None:
        """Kills all of them."""
        deadline = time.monotonic() + 20
        while members := self.members():
            assert time.monotonic() < deadline, f"they do not die: {members}"
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def kill_one(self, title: str, rng: random.Random) -> None:
        """Kills one of those whose command line contains `title`."""
        if members := self.members(title):
            with suppress(ProcessLookupError):
                os.kill(rng.choice(sorted(members)), signal.SIGKILL)


def wait_until(happened: Callable[[], T], what: str, seconds: float = 120) -> T:
    """Waits for a true value, and returns it."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
    return found
