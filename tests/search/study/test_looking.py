"""Who only looks: a run folder in which nothing can be written, and every commit that is in it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.study.run_folder import RunFolder
from search.study.storage import open_storage, open_writer, sqlite_url
from search.study.writer import StudyWriter
from tests.parts.commands import file_names, hgcnas, refused
from tests.parts.made_up_table import EPOCHS, FILE, SPACE
from tests.parts.opened import closed, trials_of
from tests.parts.rights import closed_to_all, only_looking


def train_one(writer: StudyWriter) -> None:
    proposal = writer.ask()
    assert proposal is not None
    writer.tell_finished(proposal, [0.1 * (1 + proposal.number)] * EPOCHS, 1.0)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StudyWriter]:
    """Of a study of one trial, which goes on; its database has a log and that log's index."""
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.create(FILE.document, {})
    with closed(open_writer(run.storage_url(None), "tiny")) as storage:
        writer = StudyWriter(storage, FILE, SPACE)
        writer.hypervolume_bounds()
        train_one(writer)
        yield writer


@pytest.fixture
def run(tmp_path: Path, writer: StudyWriter) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "tiny")


def copied(run: RunFolder, *suffixes: str) -> RunFolder:
    """The run folder as a driver leaves it that is killed now; beside the database the files that are named."""
    copy = RunFolder(run.path.with_name("copy") / "tiny")
    copy.path.mkdir(parents=True)
    for name in ("study.toml", "study.db", *(f"study.db{suffix}" for suffix in suffixes)):
        shutil.copyfile(run.path / name, copy.path / name)
    return copy


def test_a_folder_in_which_nothing_can_be_written_is_read_by_all_who_only_look(
    run: RunFolder, writer: StudyWriter, tmp_path: Path
) -> None:
    writer._storage.close()  # type: ignore[attr-defined]  # as a driver that has ended: there is no log
    before = sorted(tmp_path.rglob("*"))
    with only_looking(run.path):
        assert hgcnas("status", "tiny", "--json", cwd=tmp_path).json["finished"] == 1
        assert [row["study"] for row in hgcnas("list", "--json", cwd=tmp_path).json] == ["tiny"]
        hgcnas("export", "tiny", "-o", "net.toml", cwd=tmp_path)
        assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "net.toml"])
        assert refused(tmp_path, "export", "tiny") == (
            "hgcnas: runs/tiny/best.toml: cannot be written: Permission denied\n"
        )


@pytest.mark.long  # plotly takes its time to load
def test_a_report_of_such_a_folder_goes_elsewhere(run: RunFolder, tmp_path: Path) -> None:
    with only_looking(run.path):
        assert refused(tmp_path, "report", "tiny") == (
            "hgcnas: runs/tiny: cannot be written: Permission denied\n"
        )
        hgcnas("report", "tiny", "-o", "shown/here", cwd=tmp_path)
    assert file_names(tmp_path / "shown/here") == ["report.html", "trials.csv", "trials.parquet"]


@pytest.mark.parametrize("suffixes", [("-wal", "-shm"), ("-wal",)])
def test_commits_in_the_log_of_a_driver_that_died_are_seen(
    run: RunFolder, writer: StudyWriter, suffixes: tuple[str, ...]
) -> None:
    assert (run.path / "study.db-wal").stat().st_size
    copy = copied(run, *suffixes)
    before = {path: path.read_bytes() for path in copy.path.iterdir()}
    with only_looking(copy.path):
        assert trials_of(copy)["state"].tolist() == ["finished"]
    assert {path: path.read_bytes() for path in copy.path.iterdir()} == before


def test_a_reader_follows_a_driver_that_writes_and_ends_and_begins_again(
    run: RunFolder, writer: StudyWriter
) -> None:
    def num_seen() -> int:
        with only_looking(run.path):
            return len(storage.get_all_trials(study))

    with only_looking(run.path):
        storage = open_storage(sqlite_url(run.path))
        study = storage.get_study_id_from_name("tiny")
    with closed(storage):
        assert num_seen() == 1
        train_one(writer)
        assert num_seen() == 2
        writer._storage.close()  # type: ignore[attr-defined]
        assert not (run.path / "study.db-wal").exists()
        assert num_seen() == 2
        train_one(writer)
        assert num_seen() == 3


def test_a_folder_into_which_one_may_not_look_hides_no_other_one(
    run: RunFolder, tmp_path: Path
) -> None:
    secret = RunFolder(run.path.with_name("secret"))
    secret.create(FILE.document, {})
    with closed_to_all(secret.path):
        ended = hgcnas("list", "--json", cwd=tmp_path, code=2)
        assert [row["study"] for row in ended.json] == ["tiny"]
        assert ended.errors == "hgcnas: runs/secret: cannot be read: Permission denied\n"
        assert refused(tmp_path, "status", "secret") == ended.errors
