"""A study on a Ray cluster of two nodes that have only what is installed, and one of which dies."""

import secrets
import socket
import subprocess
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.processes import Family

NO_PATH = {"PYTHONPATH": ""}


class Cluster:
    """Two nodes on loopback with one CPU each."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.environment = {
            "TMPDIR": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_health_check_period_ms": "500",  # a dead node is seen after seconds
            "RAY_health_check_timeout_ms": "1000",
        }
        self._folder = folder
        self._python = create_bare_python(folder)
        self.nodes: list[Family] = []

    def start(self) -> None:
        """Both nodes; returns when they answer."""
        port = self.address.partition(":")[2]
        self._start_node("head", "--head", "--port", port)
        self._start_node("node", "--address", self.address)

    def _start_node(self, name: str, *options: str) -> None:
        command = [self._python, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1"]
        options += ("--node-ip-address", "127.0.0.1", "--disable-usage-stats")
        options += ("--dashboard-agent-listen-port", "0", "--include-log-monitor", "false")
        node = Family([*command, *options], self._folder, name, self.environment | NO_PATH)
        self.nodes.append(node)
        node.wait_until(lambda: "Ray runtime started" in node.output, f"the {name} is there")
        assert not node.has_ended, node.output + node.errors

    def stop(self) -> None:
        """Kills what is left of it."""
        for node in self.nodes:
            node.kill_everything()


def create_bare_python(folder: Path) -> str:
    """A Python that has all packages that are installed here, but not this repository's.

    Its environment lists our site-packages as a plain path, and so the .pth file in there that
    puts the repository on the path is not read.
    """
    venv.create(folder / "bare", symlinks=True, with_pip=False)
    python = str(folder / "bare" / "bin" / "python")
    (packages,) = (folder / "bare" / "lib").glob("python*/site-packages")
    (packages / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_a_node_has_only_what_is_installed(folder: Path) -> None:
    python = create_bare_python(folder)
    code = "import ray.tune, torch, importlib.util as u; print(*map(u.find_spec, {}))"
    command = [python, "-c", code.format(("hgcnet", "space", "search"))]
    found = subprocess.run(command, env=NO_PATH, cwd=folder, capture_output=True, text=True)
    assert found.stdout == "None None None\n", found.stderr


def test_a_study_outlives_the_death_of_one_of_two_nodes(
    cluster: Cluster, create_study: Any, reference: Any, note: Callable[[str], None]
) -> None:
    study = create_study(**cluster.environment)
    driver = study.run("--ray-address", cluster.address)
    driver.wait_until(
        lambda: all(node.members("ray::ProxyTrainable") for node in cluster.nodes),
        "there is a worker on each node",
    )
    study.wait_for(driver, 2)
    cluster.nodes[1].kill_everything()
    trained = study.trained_rows()
    driver.succeed()
    study.check_ended(trained, reference)
    failures = [row.user_attrs.get("failure") for row in study.rows() if row.state.name == "FAIL"]
    note(f"{len(trained)} were trained when the node died; failed: {failures}")


def test_a_cluster_that_asks_for_a_token_is_refused_with_the_names_of_its_variables(
    cluster: Cluster, create_study: Any
) -> None:
    secret = cluster.environment["RAY_AUTH_TOKEN"]
    for given, said in (
        ({}, "requires a token, and none is given here"),
        ({"RAY_AUTH_TOKEN": secret}, "RAY_AUTH_MODE is '' here"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another"}, "is not its own"),
    ):
        driver = create_study(**given).run("--ray-address", cluster.address)
        assert driver.end() == 2
        assert said in driver.errors
        assert "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in driver.errors
        assert secret not in driver.errors
