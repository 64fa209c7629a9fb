"""Options and fixtures of the fault tests: how often, on what study."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.studies import NETWORKS, TRIALS, Curves, Study, run_undisturbed

OPTIONS = {  # of `make test-all`; `make faults` asks for more
    "--rounds": (
        1,
        "how many studies are killed on SQLite, twice each; a third as many on PostgreSQL",
    ),
    "--preemptions": (3, "how often a study of long trainings is preempted"),
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
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line with figures, to be shown after all tests."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda text: figures.append(f"{request.node.name}: {text}")


@pytest.fixture
def num_preemptions(request: pytest.FixtureRequest) -> int:
    return option(request.config, "--preemptions")


@pytest.fixture
def num_soaked(request: pytest.FixtureRequest) -> int:
    return option(request.config, "--soak")


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
