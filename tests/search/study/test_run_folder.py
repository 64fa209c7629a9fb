"""The run folder: its lock, its queue, and how it is found."""

import json
import os
from pathlib import Path

import pytest

from hgcnet.errors import RunError
from hgcnet.presets import preset
from search.study.run_folder import RunFolder, find_run, list_runs


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "mine")
    folder.create({"name": "mine"}, {"python": "3.11"})
    return folder


def test_a_queued_architecture_survives_a_driver_that_dies_before_it_is_stored(
    folder: RunFolder,
) -> None:
    folder.put_in_queue("first", preset("hgcnet_42_g4"))
    assert list(RunFolder(folder.path).next_enqueued()) == ["first"]
    again = RunFolder(folder.path)
    assert again.next_enqueued() == {"first": preset("hgcnet_42_g4")}
    assert again.next_enqueued() == {}
    assert list((folder.path / "queue").iterdir()) == []


def test_a_run_is_found_by_name_and_by_path(folder: RunFolder) -> None:
    runs = folder.path.parent
    assert find_run("mine", runs).path == find_run(str(folder.path), Path("elsewhere")).path
    assert [found.name for found in list_runs(runs)] == ["mine"]
    with pytest.raises(RunError, match=r"yours: there is no such study in .*, which has mine$"):
        find_run("yours", runs)


def test_the_stored_study_file_stays_as_the_study_was_started(folder: RunFolder) -> None:
    before = folder.study_file.read_text()
    folder.create({"name": "other"}, {})
    assert folder.study_file.read_text() == before
    assert 'name = "mine"' in before
    assert "# python 3.11" in before


def test_a_driver_that_died_here_is_none_and_one_elsewhere_is_named(folder: RunFolder) -> None:
    with folder.locked():
        assert f"process {os.getpid()} on " in (folder.driver or "")
        holder = folder.path / "driver.json"
        document = json.loads(holder.read_bytes()) | {
            "pid": 2**22 + 1
        }  # no process has so high a one
        holder.write_text(json.dumps(document))
        assert folder.driver is None
        holder.write_text(json.dumps(document | {"host": "elsewhere"}))
        assert folder.driver == f"process {2**22 + 1} on elsewhere since {document['since']}"
    assert folder.driver is None
