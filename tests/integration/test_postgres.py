"""Studies on a real PostgreSQL: written, shown, gone on with after its absence; no password anywhere."""

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest

from hgcnet.errors import RunError
from search.dashboard.content import DashboardContent
from search.dashboard.server import create_server, study_address
from search.prepare import prepare
from search.results.stored_study import read_study
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.workers.protocol import Proposal
from tests.parts.studies import DOCUMENT


def test_a_server_that_stays_away_ends_the_writer_after_its_patience(postgres: Any) -> None:
    storage = open_writer(postgres.create_database("away"), "away", patience=3.0)
    study = optuna.create_study(storage=storage, study_name="away")
    postgres.stop()
    begin = time.monotonic()
    with pytest.raises(RunError, match="the storage failed") as caught:
        study.set_user_attr("key", 1)
    assert time.monotonic() - begin > 1  # it was patient
    assert postgres.secret not in str(caught.value)
    postgres.start()
    study.set_user_attr("key", 2)  # the same storage works again
    assert study.user_attrs == {"key": 2}
    storage.engine.dispose()


def test_a_study_on_a_server_shows_its_graphs_notes_and_files_while_it_is_written(
    postgres: Any, folder: Path
) -> None:
    url = postgres.create_database("shown")
    prepared = prepare(parse_study_file({**DOCUMENT, "budget": {"trials": 9}}, source="study.toml"))
    file, space, epochs = prepared.file, prepared.space, prepared.file.proxy.epochs
    run = RunFolder(folder / str(DOCUMENT["name"]))
    run.create(file.document, {}, url)
    storage = open_writer(url, file.name)
    writer = StudyWriter(storage, file, space)
    content = DashboardContent(writer, file, space, run.artifacts, say=pytest.fail)
    loop = SearchLoop(file, space, writer, {})
    stored = read_study(run, url)
    with create_server(stored, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = study_address(stored, server).replace("/dashboard/", "/api/")
        for number in range(9):
            assert isinstance(loop.next(), Proposal)
            for epoch in range(1, epochs + 1):
                loop.on_epoch(number, epoch, (0.5 + number / 20) * epoch / epochs, 1.0)
            loop.on_end(number)
            content.write()
            with urllib.request.urlopen(address) as response:
                shown = json.load(response)
            for graph in shown["plotly_graph_objects"]:
                json.loads(graph["graph_object"])  # whole
            assert all(trial["note"]["body"] for trial in shown["best_trials"])
            assert all(len(trial["artifacts"]) == 2 for trial in shown["best_trials"])
        server.shutdown()
        thread.join()
    assert shown["note"]["body"].startswith("# tiny\n")
    stored.storage.engine.dispose()
    storage.engine.dispose()
    assert not [p for p in folder.rglob("*") if p.is_file() and postgres.secret in p.read_text()]
