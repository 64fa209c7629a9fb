"""A study as its storage has it: while it runs, just after it was made, and where it is gone."""

from pathlib import Path

import pytest

import search
from hgcnet.errors import RunError
from search.study.run_folder import RunFolder
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.workers.protocol import Retry
from tests.parts.commands import refused
from tests.parts.made_up_table import EPOCHS, FILE, SPACE
from tests.parts.opened import closed, opened


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A study of which nothing but the study is stored."""
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.create(FILE.document, {})
    with closed(open_writer(run.storage_url(None), "tiny")) as storage:
        StudyWriter(storage, FILE, SPACE)
    return run


def test_a_study_that_was_only_just_created_says_so(run: RunFolder) -> None:
    with opened(run) as stored:
        assert stored.trials().empty
        with pytest.raises(RunError, match=r"tiny: the study was only just created; try again$"):
            _ = stored.bounds


def test_a_study_without_its_database_says_where_it_may_be(run: RunFolder) -> None:
    run.database.unlink()
    said = refused(run.path.parent.parent, "status", "tiny")
    assert said == (
        "hgcnas: runs/tiny/study.db: is not there; if the study is kept elsewhere, name it by "
        "--storage or HGCNAS_STORAGE\n"
    )


def test_only_what_has_finished_is_exported(run: RunFolder) -> None:
    with closed(open_writer(run.storage_url(None), "tiny")) as storage:
        writer = StudyWriter(storage, FILE, SPACE)
        finished, stopped, failed, _ = proposals = [writer.ask() for _ in range(4)]
        assert None not in proposals
        writer.tell_finished(finished, [0.5] * EPOCHS, 1.0)
        writer.tell_stopped(stopped, [0.1], 1.0)
        writer.tell_failed(failed, "made up", [], 1.0, Retry.NO)
    exported = search.export_architecture(run.path, trial=0)
    assert exported.provenance["val_accuracy"] == 0.5
    for number, state in enumerate(("stopped", "failed", "running"), start=1):
        message = f"trial {number}: it is {state}; only finished trials are exported"
        with pytest.raises(RunError, match=message):
            search.export_architecture(run.path, trial=number)
