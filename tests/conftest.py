"""What tests may start, and how long they may take, goes by the folder in which they lie."""

import gc
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.parts.postgres import Postgres, find_binaries
from tests.parts.processes import Processes

# Ray starts its workers at nice 15: beside any other test they would stand still.
os.environ.setdefault("RAY_worker_niceness", "0")
# What a look at images leaves goes to no person's folder.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="hgcnas-cache-")
# The sums of floats depend on it, and two processes of tests have two cores.
torch.set_num_threads(1)
# Off while the tests are imported, and it then leaves alone what they imported: a tenth of the time.
gc.disable()

# A shell's background process ignores Ctrl-C, and what the tests start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
STARTING = ("integration", "faults")  # the folders of tests that start processes
# Seconds for one test. But for the first, only what hangs takes so long.
TIMEOUTS = {"fast": 20, "integration": 900, "long": 3600}


def folder_of(item: pytest.Item) -> str:
    """Of `tests/`, the folder that a test lies in."""
    return item.path.relative_to(TESTS).parts[0]


def kind_of(item: pytest.Item) -> str:
    """A key of TIMEOUTS."""
    if folder_of(item) == "faults" or item.get_closest_marker("long"):
        return "long"
    return "integration" if folder_of(item) == "integration" else "fast"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: of two processes none then waits for the other's last studies."""
    for item in items:
        item.add_marker(pytest.mark.timeout(TIMEOUTS[kind_of(item)]))
        if folder_of(item) == "faults":
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: folder_of(item) not in STARTING)
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _starts_nothing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process outside of the two folders that are for it; nor does a test wait for a disk there."""
    if folder_of(request.node) not in STARTING:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)

        def refuse(self: object, command: object, *args: object, **options: object) -> None:
            pytest.fail(f"what starts a process lies in tests/integration: {command}")

        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Of torch, again after a test that took more."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary one with a short path: Ray's sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="hgcnas-test-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)  # a dying process may still write


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    """Starts processes in that folder; nothing of them outlives the test."""
    started = Processes(folder)
    yield started
    started.clean_up()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL. Skips where none is installed."""
    server = Postgres(find_binaries())
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def cifar10_root() -> str:
    """The genuine CIFAR-10. Skips where it is not."""
    if "HGCNAS_CIFAR10" not in os.environ:
        pytest.skip("HGCNAS_CIFAR10 does not name a folder that holds cifar-10-batches-py")
    return os.environ["HGCNAS_CIFAR10"]
