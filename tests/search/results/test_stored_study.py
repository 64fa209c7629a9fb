"""A study as its storage has it: while it runs, just after it was made, and where it is gone."""

from pathlib import Path

import pytest

import search
from hgcnet.errors import RunError
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.workers.protocol import Proposal, Retry
from tests.parts.commands import hgcnas, refused
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
        with pytest.raises(
            RunError, match=r"tiny: the study was only just created; retry in a moment$"
        ):
            _ = stored.bounds


def test_a_study_without_its_database_says_where_it_may_be(run: RunFolder) -> None:
    run.database.unlink()
    said = refused(run.path.parent.parent, "status", "tiny")
    assert said == (
        "hgcnas: runs/tiny/study.db: does not exist; if the study is in a database, name it by "
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
        message = f"trial {number}: is {state}; only finished trials can be exported"
        with pytest.raises(RunError, match=message):
            search.export_architecture(run.path, trial=number)


@pytest.mark.parametrize("reference", [0.3, None])
def test_a_study_in_which_nothing_has_finished_has_a_status(
    reference: float | None, tmp_path: Path
) -> None:
    """With a reference that is given, or chance, as the cheapest network failed."""
    objectives = [{"metric": "val_accuracy", "reference": reference}, "flops"]
    file = (
        FILE
        if reference is None
        else parse_study_file(FILE.document | {"objectives": objectives}, "")
    )
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.create(file.document, {})
    with closed(open_writer(run.storage_url(None), "tiny")) as storage:
        loop = SearchLoop(file, SPACE, StudyWriter(storage, file, SPACE), {})
        cheapest = loop.next()
        assert isinstance(cheapest, Proposal)
        if reference is None:
            loop.on_failure(cheapest.number, "Diverged: nan")
    summary = hgcnas("status", "tiny", "--json", cwd=tmp_path).json
    assert (summary["hypervolume"], summary["best_trial"], summary["front"]) == (0.0, None, [])
    assert summary["failed"] == (reference is None)
    said = hgcnas("status", "tiny", cwd=tmp_path).output
    assert said.startswith("study tiny on digits: 0/")
    assert "0/12" in hgcnas("list", cwd=tmp_path).output
