"""Options and fixtures of the fault tests: how often, where, on what storage."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .postgres import Postgres, find_binaries
from .studies import NETWORKS, TRIALS, Curves, Study, run_undisturbed

OPTIONS = {  # of the normal test run; `make faults` asks for more
    "--rounds": (
        1,
        "how many studies are killed on SQLite, twice each; a third as many on PostgreSQL",
    ),
    "--soak": (200, "how many empty trials the soak runs"),
}
FIGURES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, (default, text) in OPTIONS.items():
        parser.addoption(name, type=int, default=default, help=text)


def option(config: pytest.Config, name: str) -> int:
    """Its value; the default where the command line was read before this file."""
    return int(config.getoption(name, OPTIONS[name][0]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rounds = option(metafunc.config, "--rounds")
    if "kill_round" in metafunc.fixturenames:
        on_sqlite = [("sqlite", 5 + number) for number in range(rounds)]
        on_postgres = [("postgresql", 110 + number) for number in range(-(-rounds // 3))]
        metafunc.parametrize(("storage", "kill_round"), on_sqlite + on_postgres)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)


@pytest.fixture
def only_in_make_faults(request: pytest.FixtureRequest) -> None:
    """Skips in the normal run, which has no time for it."""
    if option(request.config, "--rounds") == 1:
        pytest.skip("left to `make faults`: it takes a minute")


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line with figures, to be shown after all tests."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda text: figures.append(f"{request.node.name}: {text}")


@pytest.fixture
def num_soaked(request: pytest.FixtureRequest) -> int:
    return option(request.config, "--soak")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary one with a short path: Ray's sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)  # a dying process may still write


@pytest.fixture
def create_study(folder: Path) -> Iterator[Callable[..., Study]]:
    """Makes the test's study; nothing that it started outlives the test."""
    studies: list[Study] = []

    def create(storage_url: str | None = None, trials: int = TRIALS, **environment: str) -> Study:
        if storage_url is not None:
            environment["HGCNAS_STORAGE"] = storage_url
        studies.append(Study(folder, trials=trials, environment=environment))
        return studies[-1]

    yield create
    for study in studies:
        study.clean_up()


@pytest.fixture(scope="session")
def reference() -> Curves:
    """The curve of every network of the space, from a study that nothing can happen to."""
    with tempfile.TemporaryDirectory(prefix="faults-") as path:
        curves = run_undisturbed(Path(path))
    assert len(curves) == NETWORKS
    return curves


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL. Skips where none is installed."""
    server = Postgres(find_binaries())
    try:
        server.start()
        yield server
    finally:
        server.remove()
