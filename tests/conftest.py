"""Options and environment of the test command."""

import os

import pytest

# Ray starts its workers at nice 15: beside any other test they would stand still.
os.environ.setdefault("RAY_worker_niceness", "0")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--architectures",
        type=int,
        default=40,
        help="how many random architectures of each study file's space are built and counted",
    )
    parser.addoption(
        "--mutations",
        type=int,
        default=200,
        help="how many study files are made wrong at random; other kinds of files: a quarter of it",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: of two processes none then waits for the other's last studies."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def num_architectures(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--architectures"))


@pytest.fixture
def num_mutations(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--mutations"))
