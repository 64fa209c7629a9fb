"""Studies on a real PostgreSQL: written, shown, gone on with after its absence; no password anywhere."""

import gc
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import tomli_w
from optuna.testing.pytest_storages import StorageTestCase

import search
from hgcnet.errors import RunError
from search.dashboard.content import DashboardContent
from search.prepare import prepare
from search.study.retrying_storage import RetryingStorage
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.workers.protocol import Proposal
from search.workers.ray_cluster import Resources
from tests.parts.commands import hgcnas, refused
from tests.parts.opened import closed, opened, served
from tests.parts.studies import DOCUMENT


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # the suite deletes studies as nobody here does
class TestOptunasSuiteOnPostgres(StorageTestCase):
    @pytest.fixture
    def storage(self, postgres: Any, request: pytest.FixtureRequest) -> Iterator[RetryingStorage]:
        url = postgres.create_database(request.node.name)
        with closed(open_writer(url, "study")) as storage:
            yield storage
        gc.collect()  # the suite drops a storage that it has unpickled


def test_a_server_that_stays_away_ends_the_writer_after_its_patience(postgres: Any) -> None:
    url = postgres.create_database("away")
    with closed(open_writer(url, "away", patience=3.0)) as storage:
        study = optuna.create_study(storage=storage, study_name="away")
        postgres.stop()
        begin = time.monotonic()
        try:
            with pytest.raises(RunError, match="the storage failed") as caught:
                study.set_user_attr("key", 1)
        finally:
            postgres.start()  # others use it, too
        assert time.monotonic() - begin > 1  # it was patient
        assert postgres.secret not in str(caught.value)
        study.set_user_attr("key", 2)  # the same storage works again
        assert study.user_attrs == {"key": 2}


def test_a_study_on_a_server_shows_its_graphs_notes_and_files_while_it_is_written(
    postgres: Any, folder: Path
) -> None:
    url = postgres.create_database("shown")
    prepared = prepare(parse_study_file({**DOCUMENT, "budget": {"trials": 9}}, source="study.toml"))
    file, space, epochs = prepared.file, prepared.space, prepared.file.proxy.epochs
    run = RunFolder(folder / str(DOCUMENT["name"]))
    run.create(file.document, {}, url)
    with closed(open_writer(url, file.name)) as storage:
        writer = StudyWriter(storage, file, space)
        content = DashboardContent(writer, file, space, run.artifacts, say=pytest.fail)
        loop = SearchLoop(file, space, writer, {})
        with opened(run, url) as stored, served(stored) as page:
            for number in range(9):
                assert isinstance(loop.next(), Proposal)
                for epoch in range(1, epochs + 1):
                    loop.on_epoch(number, epoch, (0.5 + number / 20) * epoch / epochs, 1.0)
                loop.on_end(number)
                content.write()
                with urllib.request.urlopen(page.replace("/dashboard/", "/api/")) as response:
                    shown = json.load(response)
                for graph in shown["plotly_graph_objects"]:
                    json.loads(graph["graph_object"])  # whole
                assert all(trial["note"]["body"] for trial in shown["best_trials"])
                assert all(len(trial["artifacts"]) == 2 for trial in shown["best_trials"])
    assert shown["note"]["body"].startswith("# tiny\n")
    assert not [p for p in folder.rglob("*") if p.is_file() and postgres.secret in p.read_text()]


def test_a_study_on_a_server_is_seen_from_anywhere_and_joined_on_purpose_alone(
    postgres: Any, folder: Path, ray_here: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = folder / "theirs", folder / "mine"
    for place, trials in ((theirs, 2), (mine, 3)):
        place.mkdir()
        document = {**DOCUMENT, "budget": {"trials": trials}}
        (place / "study.toml").write_text(tomli_w.dumps(document))
    monkeypatch.setenv("HGCNAS_STORAGE", postgres.create_database("others"))
    hgcnas("run", "study.toml", "--no-report", cwd=theirs)

    # By a role that may do nothing but look.
    url = postgres.url("others")
    postgres.allow_to_look("others", "colleague")
    looking = {"storage": postgres.url("others", "colleague"), "runs": mine / "runs"}
    assert search.study_status("tiny", **looking)["finished"] == 2
    assert [row["study"] for row in search.list_studies(**looking)[0]] == ["tiny"]
    assert search.export_architecture("tiny", **looking).provenance["study"] == "tiny"
    with (
        opened(RunFolder(mine / "runs" / "tiny"), postgres.url("others", "colleague")) as stored,
        served(stored) as page,
        urllib.request.urlopen(page) as response,
    ):
        assert response.status == 200

    said = refused(mine, "run", "study.toml", "--no-report")
    assert (
        "the storage already has a study 'tiny', started from another folder (last written by process "
        in said
    )
    assert "3/3 trained" in hgcnas("run", "study.toml", "--no-report", "--join", cwd=mine).output
    assert "Nothing to do" in hgcnas("run", "study.toml", "--no-report", cwd=mine).output
    assert search.study_status("tiny", storage=url, runs=theirs / "runs")["finished"] == 3
