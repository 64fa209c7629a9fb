"""The dashboard over a real study, in a real browser."""

import shutil
import subprocess
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hgcnet.architecture import Task
from hgcnet.errors import RunError
from search.dashboard import create_server, study_address
from search.loop import SearchLoop, Wait
from search.run_folder import RunFolder
from search.samplers.parameters import OptunaSpace
from search.storage import open_storage, sqlite_url
from search.stored_study import read_study
from search.study import StudyWriter
from search.study_file import parse_study_file
from space.search_space import SearchSpace

QUICKSTART = Path(__file__).parents[2] / "studies" / "quickstart.toml"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A study of six trials whose accuracy is made up; what is tested is how it is shown."""
    document = tomllib.loads(QUICKSTART.read_text()) | {"name": "shown"}
    document["budget"]["trials"] = 6
    document["sampler"] = {"kind": "random"}
    document["early_stopping"] = {"kind": "none"}
    document["proxy"]["epochs"] = 1
    file = parse_study_file(document, "shown.toml")
    task = Task(in_channels=1, num_classes=10, resolution=8)
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    folder = RunFolder(tmp_path / "shown")
    folder.create(file.document, {})
    storage = open_storage(sqlite_url(folder.path))
    loop = SearchLoop(file, space, StudyWriter(storage, file, space), {})
    while not isinstance(proposal := loop.next(), Wait):
        loop.on_epoch(proposal.number, 1, 0.5 + proposal.number / 20, 1.0)
        loop.on_end(proposal.number)
    storage.engine.dispose()
    return folder


@pytest.fixture
def address(folder: RunFolder) -> Iterator[str]:
    stored = read_study(folder)
    with create_server(stored, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield study_address(stored, server)
        server.shutdown()
        thread.join()
    stored.storage.engine.dispose()


def test_it_is_served_on_this_machine_only_and_has_the_study(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address.replace("/dashboard/", "/api/")) as response:
        text = response.read().decode()
    assert '"objective_names": ["val_accuracy", "flops"]' in text


def test_a_taken_port_is_named(folder: RunFolder, address: str) -> None:
    port = int(address.split(":")[2].split("/")[0])
    stored = read_study(folder)
    with pytest.raises(RunError, match=rf"--port {port}: .* cannot be used: .*; try another one"):
        create_server(stored, port)
    stored.storage.engine.dispose()


@pytest.mark.slow
def test_a_browser_shows_the_front_with_its_axes_named(address: str, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --dump-dom "
    options += "--disable-background-networking --disable-component-update --disable-sync"
    command = [chromium, *options.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=20000", "--window-size=1400,1400", address]
    deadline = time.monotonic() + 90
    page = ""
    while "Pareto Front" not in page and time.monotonic() < deadline:
        page = subprocess.run(command, capture_output=True, text=True, timeout=90).stdout
    assert "Pareto Front" in page
    front = page.partition("Objective X")[2].partition(">History<")[0]
    assert ">val_accuracy<" in front
    assert ">flops<" in front
    assert front.count('<path class="point"') == 6
