"""Where a study is kept: URLs without passwords, a folder that knows its storage, a full disk, no power."""

import os
from pathlib import Path

import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import event

from hgcnet.architecture import Architecture, Stage
from hgcnet.errors import RunError
from search.study.run_folder import RunFolder
from search.study.storage import open_storage, open_writer, sqlite_url, without_password
from tests.parts.opened import closed

URL = "postgresql://me:hush@db.example:5433/studies"
SHOWN = "postgresql+psycopg://me:***@db.example:5433/studies"


@pytest.mark.parametrize(
    "url",
    [URL, "postgresql://me@db.example:5433/studies?password=hush", URL + "?sslpassword=hush"],
)
def test_a_storage_is_shown_without_its_passwords(url):
    assert "hush" not in without_password(url)
    assert "db.example:5433/studies" in without_password(url)


def test_a_run_folder_knows_where_its_study_is_kept_but_not_the_password(tmp_path):
    folder = RunFolder(tmp_path / "study")
    folder.create({"name": "study"}, {}, URL)
    assert folder.kept_in == SHOWN
    assert folder.storage_url(URL) == URL
    assert all(b"hush" not in path.read_bytes() for path in folder.path.iterdir())
    with pytest.raises(
        RunError, match=r"the study is kept in postgresql\+psycopg://me:\*\*\*@db.*;"
    ):
        folder.storage_url(None)
    with pytest.raises(RunError, match=r"but postgresql.*@elsewhere/studies was given; if it was"):
        folder.storage_url("postgresql://me:hush@elsewhere/studies")


def test_a_study_in_its_own_folder_stays_there(tmp_path):
    folder = RunFolder(tmp_path / "study")
    folder.create({"name": "study"}, {})
    folder.database.touch()
    assert folder.kept_in is None
    assert folder.storage_url(URL) == folder.storage_url(None) == sqlite_url(folder.path)


def test_a_full_disk_ends_the_writer_in_one_line_and_loses_nothing(tmp_path):
    """SQLite's own error for it, at a size at which the disk is said to be full."""
    storage = open_writer(sqlite_url(tmp_path), "study")
    study = storage.create_new_study([], "study")
    trial = storage.create_new_trial(study)
    storage.set_trial_user_attr(trial, "before", 1)

    @event.listens_for(storage.backend.engine, "connect")
    def _full(connection, _):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    storage.close()
    with pytest.raises(RunError) as caught:
        storage.set_trial_user_attr(trial, "after", "x" * 100_000)
    assert str(caught.value) == "the study's database failed: database or disk is full"
    assert storage.get_trial(trial).user_attrs == {"before": 1}
    storage.close()


def test_a_broken_file_in_the_queue_is_put_aside(tmp_path):
    folder = RunFolder(tmp_path)
    architecture = Architecture(stages=(Stage(depth=1, growth=4, groups=2),))
    folder.put_in_queue("mine", architecture)
    (tmp_path / "queue" / "broken.toml").write_text("what is this?")
    assert folder.next_enqueued() == {"mine": architecture}
    assert folder.next_enqueued() == {}
    assert [path.name for path in (tmp_path / "queue").iterdir()] == ["broken.refused"]


@pytest.mark.long
def test_what_was_told_outlives_a_loss_of_power(tmp_path, monkeypatch):
    """The disk has of SQLite's log what was synced, and nothing else."""
    disk = tmp_path / "disk"
    disk.mkdir()
    sync = os.fsync

    def keep(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        if path.name == "study.db-wal":
            (disk / path.name).write_bytes(path.read_bytes())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", keep)
    storage = open_writer(sqlite_url(tmp_path), "study")
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "study")
    for number in range(3):
        trial = storage.create_new_trial(study)
        storage.set_trial_user_attr(trial, "curve", [0.1 * number])
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [0.1 * number])
        # The power fails here.
        (disk / "study.db").write_bytes((tmp_path / "study.db").read_bytes())
        with closed(open_storage(sqlite_url(disk))) as left:
            rows = left.get_all_trials(study)
            assert [row.state for row in rows] == [TrialState.COMPLETE] * (number + 1)
            assert rows[number].user_attrs == {"curve": [0.1 * number]}
    storage.close()
