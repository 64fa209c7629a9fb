"""Options of the test command."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--architectures",
        type=int,
        default=40,
        help="how many random architectures of each study file's space are built and counted",
    )


@pytest.fixture
def num_architectures(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--architectures"))
