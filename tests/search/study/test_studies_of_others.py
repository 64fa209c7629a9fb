"""A database of many: read without a run folder, and a study of the same name that others began."""

from pathlib import Path

import numpy as np
import pytest
import tomli_w

from hgcnet.architecture import ArchitectureFile, write_architecture
from search.study.postgres_lock import own_name
from search.study.run_folder import RunFolder
from search.study.storage import open_storage, open_writer
from search.study.writer import StudyWriter
from tests.parts.commands import file_names, hgcnas, refused
from tests.parts.made_up_table import DOCUMENT, EPOCHS, FILE, SPACE
from tests.parts.opened import closed


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with a study of one trial and one of another program; `mine` is an empty folder."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    run = RunFolder(tmp_path / "theirs" / "runs" / "tiny")
    run.create(FILE.document, {}, url, "1234")
    with closed(open_writer(url, "tiny")) as storage:
        storage.create_new_study([], "another program's")
        writer = StudyWriter(storage, FILE, SPACE, identity=run.identity)
        writer.hypervolume_bounds()
        proposal = writer.ask()
        assert proposal is not None
        writer.tell_finished(proposal, [0.5] * EPOCHS, 1.0)
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("HGCNAS_STORAGE", url)
    return url


@pytest.fixture
def mine(storage: str, tmp_path: Path) -> Path:
    return tmp_path / "mine"


def test_the_url_of_the_storage_alone_is_enough_to_look(mine: Path) -> None:
    assert hgcnas("status", "tiny", "--json", cwd=mine).json["best_accuracy"] == 0.5
    said = hgcnas("status", "tiny", cwd=mine).output
    assert f"last driven by {own_name()}: its run folder is not here" in said  # it may be running
    assert [row["study"] for row in hgcnas("list", "--json", cwd=mine).json] == ["tiny"]
    assert refused(mine, "export", "tiny") == (
        "hgcnas: runs/tiny: the study's run folder is not here; name a file by -o FILE\n"
    )
    assert file_names(mine) == []
    exported = hgcnas("export", "tiny", "-o", "net.toml", "--json", cwd=mine).json
    assert exported["val_accuracy"] == 0.5
    assert refused(mine, "enqueue", "tiny", "net.toml").startswith(
        "hgcnas: net.toml: the study has it already"
    )


@pytest.mark.long  # plotly takes its time to load
def test_a_report_of_a_study_elsewhere_is_written_where_it_is_told(mine: Path) -> None:
    assert refused(mine, "report", "tiny") == (
        "hgcnas: runs/tiny: the study's run folder is not here; name another folder by -o FOLDER\n"
    )
    hgcnas("report", "tiny", "-o", "report", cwd=mine)
    names = [f"report/{name}" for name in ("report.html", "trials.csv", "trials.parquet")]
    assert file_names(mine) == ["report", *names]


def test_a_network_is_enqueued_where_the_study_runs(mine: Path) -> None:
    points = SPACE.space.draw_points(np.random.default_rng(5), 2)
    networks = map(SPACE.space.architecture_at, points)
    with closed(open_storage(f"sqlite:///{mine.parent / 'shared.db'}")) as storage:
        (row,) = storage.get_all_trials(storage.get_study_id_from_name("tiny"))
    network = next(n for n in networks if n.fingerprint != row.user_attrs["fingerprint"])
    write_architecture(mine / "other.toml", ArchitectureFile(architecture=network))
    assert refused(mine, "enqueue", "tiny", "other.toml") == (
        "hgcnas: runs/tiny: the study's run folder is not here; enqueue it where the study runs\n"
    )


def test_a_name_that_the_storage_does_not_have_lists_those_that_it_has(mine: Path) -> None:
    assert refused(mine, "status", "tony") == (
        "hgcnas: runs/tony: there is no such study here, and the storage has no study 'tony'; it has tiny\n"
    )


def test_a_storage_that_is_not_there_is_not_made(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HGCNAS_STORAGE", f"sqlite:///{mine / 'typo.db'}")
    assert refused(mine, "status", "tiny").endswith("typo.db: there is no such file\n")
    assert refused(mine, "list").endswith("typo.db: there is no such file\n")


def write_study(folder: Path, **changes: object) -> None:
    (folder / "tiny.toml").write_text(tomli_w.dumps(DOCUMENT | changes))


def test_a_study_that_others_began_is_not_joined_by_chance(mine: Path) -> None:
    write_study(mine, budget={"trials": 1})
    said = refused(mine, "run", "tiny.toml")
    assert said.startswith(
        "hgcnas: runs/tiny: the storage already has a study 'tiny', started from another folder (last written by process "
    )
    assert said.endswith("); give yours another name, or continue that one with --join\n")


def test_a_folder_of_another_study_of_that_name_does_not_join_it_either(
    mine: Path, storage: str
) -> None:
    write_study(mine, budget={"trials": 1})
    RunFolder(mine / "runs" / "tiny").create(FILE.document, {}, storage, "5678")
    said = hgcnas("run", "tiny.toml", cwd=mine, code=2).errors
    assert "started from another folder" in said


def test_the_folder_that_began_it_goes_on(mine: Path) -> None:
    theirs = mine.with_name("theirs")
    write_study(theirs, budget={"trials": 1})
    assert "Nothing to do" in hgcnas("run", "tiny.toml", "--no-report", cwd=theirs).output


def test_another_study_is_not_joined_even_on_purpose_and_no_folder_is_left(mine: Path) -> None:
    write_study(mine, seed=5)
    said = refused(mine, "run", "tiny.toml", "--join")
    assert "tiny.toml: seed: 5 given, but the study 'tiny' was started with 0" in said


def test_there_must_be_a_study_to_join(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(mine, name="new")
    assert refused(mine, "run", "tiny.toml", "--join") == (
        "hgcnas: --join: the storage has no study 'new'\n"
    )
    monkeypatch.delenv("HGCNAS_STORAGE")
    assert refused(mine, "run", "tiny.toml", "--join") == (
        "hgcnas: --join: needs a database, given by --storage or HGCNAS_STORAGE\n"
    )
