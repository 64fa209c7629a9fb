"""The signals that ask this process to stop: who handles them, and the exit code."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Ctrl-C; what `kill`, systemd, Docker and SLURM send; a terminal that closes; `sbatch --signal=USR1@60`.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))

# Seconds from such a signal to the end of the process, as in Kubernetes and SLURM.
GRACE = 30.0

Tell = Callable[["StopSignal"], None]


class StopSignal(KeyboardInterrupt):
    """A signal asked the process to stop. Its text says so: "stopped by Ctrl-C", "stopped by SIGTERM"."""

    def __init__(self, number: int) -> None:
        self.number = signal.Signals(number)
        name = "Ctrl-C" if self.number is signal.SIGINT else self.number.name
        super().__init__(f"stopped by {name}")

    @property
    def exit_code(self) -> int:
        """As a shell reports it: 130 for Ctrl-C, 143 for SIGTERM, 138 for SIGUSR1."""
        return 128 + self.number


class StoppableCommand:
    """A command while it runs: whether it was asked to stop, and the time that it then has."""

    def __init__(self) -> None:
        self.stop: StopSignal | None = None
        self._asked = threading.Event()
        self._over = threading.Event()

    def allow(self, seconds: float, at_the_end: str) -> None:
        """The process has so many seconds from the first signal; then it prints a line and is ended."""
        # The thread starts before the signal: a handler must not wait for locks of `threading`.
        watch = threading.Thread(target=self._watch, args=(seconds, at_the_end), daemon=True)
        watch.start()

    def take(self, number: int) -> StopSignal:
        """Takes the first signal."""
        self.stop = StopSignal(number)
        self._asked.set()
        return self.stop

    def close(self) -> None:
        """The command is over."""
        self._over.set()
        self._asked.set()

    def _watch(self, seconds: float, at_the_end: str) -> None:
        self._asked.wait()
        if self.stop is not None and not self._over.wait(seconds):
            print(f"hgcnas: {at_the_end}", file=sys.stderr, flush=True)
            os._exit(self.stop.exit_code)


# Signals belong to the process: the one command that it runs records all, whoever handles them.
_command: ContextVar[StoppableCommand | None] = ContextVar("command", default=None)


@contextmanager
def stoppable_command() -> Iterator[StoppableCommand]:
    """Inside, a signal raises StopSignal, except in blocks of `stops_told`."""
    command = StoppableCommand()
    token = _command.set(command)
    try:
        with stops_told(_raise):
            yield command
    finally:
        command.close()
        _command.reset(token)


def allow_seconds(seconds: float, at_the_end: str) -> None:
    """`StoppableCommand.allow` of the running command, if there is one: a notebook is never ended."""
    if (command := _command.get()) is not None:
        command.allow(seconds, at_the_end)


@contextmanager
def stops_told(tell: Tell) -> Iterator[None]:
    """Inside, the first signal calls `tell`, in the main thread; a second Ctrl-C ends the process at once.

    In another thread, which no signal reaches, nothing changes. An ignored signal (SIGHUP by
    `nohup`) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    command = _command.get() or StoppableCommand()

    def take(number: int, frame: object) -> None:
        if command.stop is None:
            tell(command.take(number))
        elif number == signal.SIGINT:
            os._exit(command.stop.exit_code)
        # (Of the others there may be several: `timeout` sends two, SLURM one after another.)

    ignored = {s for s in SIGNALS if s != signal.SIGINT and signal.getsignal(s) is signal.SIG_IGN}
    before = {s: signal.signal(s, take) for s in SIGNALS if s not in ignored}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: it was not set by Python


@contextmanager
def stops_deferred() -> Iterator[None]:
    """Defers a StopSignal to the end of the block, which must not be left half done."""
    came: list[StopSignal] = []
    with stops_told(came.append):
        yield
    if came:
        raise came[0]


@contextmanager
def not_for_children() -> Iterator[None]:
    """Blocks SIGHUP, SIGUSR1 and SIGUSR2 for processes that are started inside, which they would
    end. Ray blocks SIGINT itself."""
    others = set(SIGNALS) - {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, others)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raise(stop: StopSignal) -> None:
    raise stop
