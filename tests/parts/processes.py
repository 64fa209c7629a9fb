"""Processes with all that they start: begun, waited for, and ended."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds; on the busiest machine only what hangs takes so long
HGCNAS = str(Path(sys.executable).with_name("hgcnas"))
# Ray's own: for a minute after the death of the others they try to tell it to the control store.
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")


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

    def wait_until(self, happened: Callable[[], T], what: str) -> T:
        """Waits for a true value, and returns it; fails if the process ends before."""

        def look() -> T:
            has_ended = self.has_ended
            if not (found := happened()) and has_ended:
                pytest.fail(f"it ended before {what}: {self.errors[-2000:]}{self.output[-2000:]}")
            return found

        return wait_until(look, what)

    def end(self, patience: float = PATIENCE) -> int:
        """Waits for the end of the process, for `patience` seconds at most; its exit code."""
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end after {patience:g} s: {self.errors[-2000:]}{self.output[-2000:]}")

    def succeed(self, patience: float = PATIENCE) -> str:
        """Waits for the end of a process without an error; its standard output."""
        code = self.end(patience)
        assert code == 0, f"exit code {code}: {self.errors}{self.output}"
        return self.output

    def send(self, number: signal.Signals) -> None:
        """To the process itself."""
        self._process.send_signal(number)

    def send_to_all(self, number: signal.Signals) -> None:
        """To every process of its group, as a terminal does."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kills the process alone. Ray's daemons are to notice."""
        self._process.kill()
        self._process.wait()

    def kill_everything(self) -> None:
        """Kills all of them."""

        def are_gone() -> bool:
            for pid in (members := self.members()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not members

        wait_until(are_gone, "they die")
        self._process.wait()

    def kill_one(self, title: str, rng: random.Random) -> None:
        """Kills one of those whose command line contains `title`."""
        if members := self.members(title):
            with suppress(ProcessLookupError):
                os.kill(rng.choice(sorted(members)), signal.SIGKILL)


class Processes:
    """Starts processes in a folder, and ends them all with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.families: list[Family] = []

    def start(self, *command: str, **environment: str) -> Family:
        """Any command, with more in its environment."""
        name = f"process-{len(self.families)}"
        self.families.append(Family(command, self.folder, name, environment))
        return self.families[-1]

    def python(self, code: str, *arguments: str, **environment: str) -> Family:
        """This Python with a program."""
        return self.start(sys.executable, "-c", code, *arguments, **environment)

    def script(self, path: str, *arguments: str) -> Family:
        """A file of the tests as a program."""
        found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return self.start(sys.executable, path, *arguments, PYTHONPATH=found)

    def hgcnas(self, *arguments: str, **environment: str) -> Family:
        """A command of ours."""
        return self.start(HGCNAS, *arguments, **environment)

    def clean_up(self) -> None:
        """Kills what is left, and fails if a process that ended by itself left any behind."""
        ended = [family for family in self.families if family.has_ended]
        deadline = time.monotonic() + PATIENCE
        while (left := _members(ended)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for family in self.families:
            family.kill_everything()
        assert not left, f"left behind by a process that ended: {left}"


def _members(families: Sequence[Family]) -> dict[int, str]:
    found = {pid: line for family in families for pid, line in family.members().items()}
    return {pid: line.strip() for pid, line in found.items() if line.strip() not in AGENTS}


def wait_until(happened: Callable[[], T], what: str) -> T:
    """Waits for a true value, and returns it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.02)
    return found
