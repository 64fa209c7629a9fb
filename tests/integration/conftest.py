"""One Ray for all tests of a process, and a folder with a finished study for all that only read."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from search.workers.ray_cluster import joined_ray
from search.workers.resources import Resources
from tests.parts.processes import Processes
from tests.parts.small_study import write_study


class SharedRay:
    """A Ray of this process that is started when a test asks for it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._resources: Resources | None = None

    def start(self) -> Resources:
        """Its resources. The GPU is not there; nothing but Ray's arithmetic asks for it."""
        if self._resources is None:
            self._resources = self._stack.enter_context(joined_ray(None, num_cpus=2, num_gpus=1))
        return self._resources

    def stop(self) -> None:
        """For a test that needs to start its own."""
        self._stack.close()
        self._resources = None


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[SharedRay]:
    shared = SharedRay()
    yield shared
    shared.stop()


@pytest.fixture
def ray_here(shared_ray: SharedRay) -> Resources:
    """A Ray that whatever this process runs will use."""
    return shared_ray.start()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with one finished study in it, made by the command in a process and a Ray of its own."""
    folder = tmp_path_factory.mktemp("finished")
    write_study(folder)
    processes = Processes(folder)
    try:
        run = processes.hgcnas("run", "small.toml")
        assert "5/5 trained" in run.succeed()
        assert run.errors == ""
        yield folder
    finally:
        processes.clean_up()
