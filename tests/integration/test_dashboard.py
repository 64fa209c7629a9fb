"""The dashboard over a real study, in a real browser."""

import json
import signal
import socket
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import optuna
import pytest

from hgcnet.architecture import Task
from hgcnet.errors import RunError
from search.dashboard.content import DashboardContent
from search.dashboard.server import REFUSAL, create_server
from search.optuna_space import OptunaSpace
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_storage, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.workers.protocol import Wait
from space.search_space import SearchSpace
from tests.parts.browser import seen_by_browser
from tests.parts.commands import file_names
from tests.parts.opened import closed, opened, served
from tests.parts.processes import Processes, wait_until
from tests.parts.rights import only_looking
from tests.parts.small_study import QUICKSTART


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A study of six trials whose accuracy is made up, and a seventh that runs; what is tested is how
    it is shown."""
    document = tomllib.loads(QUICKSTART.read_text()) | {"name": "shown"}
    document["budget"]["trials"] = 7
    document["sampler"] = {"kind": "random"}
    document["early_stopping"] = {"kind": "none"}
    document["proxy"]["epochs"] = 1
    file = parse_study_file(document, "shown.toml")
    task = Task(in_channels=1, num_classes=10, resolution=8)
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    run = RunFolder(tmp_path_factory.mktemp("runs") / "shown")
    run.create(file.document, {})
    with closed(open_storage(sqlite_url(run.path))) as storage:
        writer = StudyWriter(storage, file, space)
        loop = SearchLoop(file, space, writer, {})
        for number in range(7):
            assert not isinstance(loop.next(), Wait)
            if number < 6:
                loop.on_epoch(number, 1, 0.5 + number / 20, 1.0)
                loop.on_end(number)
        DashboardContent(writer, file, space, run.artifacts, say=pytest.fail).write()
    return run


@pytest.fixture(scope="module")
def address(run: RunFolder) -> Iterator[str]:
    with opened(run) as stored, served(stored) as address:
        yield address


def get(
    address: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    """Status and content of what a request is answered with."""
    request = urllib.request.Request(address, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def detail(address: str) -> dict[str, Any]:
    """All that the study's page is made of."""
    return dict(json.loads(get(address.replace("/dashboard/", "/api/"))[1]))


def test_it_is_served_on_this_machine_only_and_has_the_study(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    shown = detail(address)
    assert shown["objective_names"] == ["val_accuracy", "flops"]
    assert [trial["state"] for trial in shown["trials"]] == ["Complete"] * 6 + ["Running"]


def test_it_gives_the_notes_the_graphs_and_the_files_of_the_front(address: str) -> None:
    shown = detail(address)
    assert {graph["id"] for graph in shown["plotly_graph_objects"]} == {"pareto", "hypervolume"}
    assert shown["note"]["body"].startswith("# shown\n")
    server = address.partition("/dashboard")[0]
    assert len(shown["best_trials"]) > 1
    for trial in shown["best_trials"]:
        assert "hgcnas export shown --trial" in trial["note"]["body"]
        place = f"{server}/artifacts/{trial['study_id']}/{trial['trial_id']}"
        files = {file["filename"]: file["artifact_id"] for file in trial["artifacts"]}
        architecture, curve = (get(f"{place}/{identity}")[1] for identity in files.values())
        assert tomllib.loads(architecture.decode())["provenance"]["trial"] == trial["number"]
        assert curve.decode() == f"epoch,val_accuracy\n1,{trial['values'][0]}\n"


def test_the_command_prints_the_address_serves_it_and_ends_by_ctrl_c(
    run: RunFolder, processes: Processes
) -> None:
    command = processes.hgcnas("dashboard", "shown", "--port", "0", "--runs", str(run.path.parent))
    command.wait_until(lambda: "HERE\n" in command.errors, "it serves")
    address, _, rest = command.output.partition("   ")
    assert rest == "(Ctrl-C ends it)\n"
    assert len(detail(address)["trials"]) == 7
    hint, port = command.errors, address.split(":")[2].partition("/")[0]
    assert hint.startswith("Read-only, and for this machine only: there is no login.")
    assert f"ssh -L {port}:127.0.0.1:{port} HERE" in hint
    command.send_to_all(signal.SIGINT)
    assert command.end() == 130
    assert command.errors == hint  # no traceback


CHANGES = [  # all that the dashboard can do to a study
    ("DELETE", "/api/studies/1", {"remove_associated_artifacts": True}),
    ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
    ("POST", "/api/studies/1/rename", {"study_name": "renamed"}),
    ("PUT", "/api/studies/1/note", {"version": 2, "body": "mine"}),
    ("PUT", "/api/studies/1/2/note", {"version": 1, "body": "mine"}),
    ("POST", "/api/trials/7/tell", {"state": "Fail"}),
    ("POST", "/api/trials/7/user-attrs", {"user_attrs": {"a": 1}}),
    ("POST", "/api/artifacts/1/7", {"file": "data:text/plain,a", "filename": "x" * 10**6}),
    ("DELETE", "/api/artifacts/1/1/00000000-0000-0000-0000-000000000000", {}),
    ("PATCH", "/api/studies/1", {}),
]


@pytest.mark.parametrize(
    ("method", "path", "body"), CHANGES, ids=[f"{method} {path}" for method, path, _ in CHANGES]
)
def test_it_changes_nothing_and_says_so(
    address: str, run: RunFolder, method: str, path: str, body: dict[str, Any]
) -> None:
    before, artifacts = detail(address), sorted(run.artifacts.iterdir())
    server = address.partition("/dashboard")[0]
    status, said = get(server + path, method, json.dumps(body).encode())
    assert (status, json.loads(said)) == (403, REFUSAL)
    assert said.count(b"\n") == 1
    with opened(run) as stored:
        assert stored.frozen_trials[6].state == optuna.trial.TrialState.RUNNING
        assert [study.study_name for study in stored.storage.get_all_studies()] == ["shown"]
    assert detail(address) == before
    assert sorted(run.artifacts.iterdir()) == artifacts


def test_a_name_or_an_origin_of_the_web_is_refused(address: str) -> None:
    shown = address.replace("/dashboard/", "/api/")
    assert get(shown, Host="evil.example")[0] == 403
    assert get(shown, Origin="http://evil.example")[0] == 403
    assert get(shown, Host="localhost:9000")[0] == 200  # by a tunnel of ssh


def test_where_other_machines_reach_it_nothing_is_answered_without_the_token(
    run: RunFolder,
) -> None:
    with opened(run) as stored, served(stored, host="0.0.0.0") as printed:
        address = printed.replace(socket.gethostname(), "127.0.0.1")
        bare, _, token = address.partition("?token=")
        assert len(token) >= 32
        for path in (bare, bare.replace("/dashboard/", "/api/"), f"{bare}?token={token[:-1]}x"):
            status, said = get(path)
            assert (status, b"token" in said) == (403, True)
            assert token.encode() not in said
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address) as page:
            assert page.url == bare  # no token is left in it
            assert page.status == 200
        with browser.open(bare.replace("/dashboard/", "/api/")) as shown:
            assert len(json.load(shown)["trials"]) == 7


def test_a_host_that_is_not_here_is_named(run: RunFolder) -> None:
    with opened(run) as stored, pytest.raises(RunError, match=r"--host 203\.0\.113\.7: .*"):
        create_server(stored, 0, "203.0.113.7")


def test_a_study_in_which_nothing_can_be_written_is_shown_with_its_files(run: RunFolder) -> None:
    before = file_names(run.path)
    with only_looking(run.path), opened(run) as stored, served(stored) as address:
        shown = detail(address)
        (trial, *_), server = shown["best_trials"], address.partition("/dashboard")[0]
        identity = trial["artifacts"][0]["artifact_id"]
        place = f"{server}/artifacts/{trial['study_id']}/{trial['trial_id']}/{identity}"
        assert get(place)[0] == 200
    assert file_names(run.path) == before


def test_a_head_request_is_answered(address: str) -> None:
    assert get(address, "HEAD") == (200, b"")


def test_a_taken_port_is_named(run: RunFolder, address: str) -> None:
    port = int(address.split(":")[2].split("/")[0])
    refusal = rf"--port {port}: .* cannot be used: .*; try another one"
    with opened(run) as stored, pytest.raises(RunError, match=refusal):
        create_server(stored, port)


def browse(address: str, until: str, processes: Processes) -> str:
    """The page as a browser has it; looked at again until it holds a text."""
    page = ""

    def holds_it() -> bool:
        nonlocal page
        page = seen_by_browser(address, processes)
        return until in page

    wait_until(holds_it, f"the page has {until!r}")
    return page


def test_a_browser_shows_the_front_and_our_two_graphs_with_their_traces(
    address: str, processes: Processes
) -> None:
    page = browse(address, "Hypervolume: ", processes)
    front = page.partition("Objective X")[2].partition(">History<")[0]
    assert ">val_accuracy<" in front
    assert ">flops<" in front
    assert front.count('<path class="point"') == 6
    graphs = page.split('id="user-defined-plot:')
    drawn = {graph.partition('"')[0]: graph for graph in graphs[1:]}
    size = len(detail(address)["best_trials"])
    assert f"Pareto front: {size} networks" in drawn["pareto"]
    assert drawn["pareto"].count('<path class="point') == 6 + 1  # the ring of the cheapest
    assert '<path class="js-line"' in drawn["pareto"]
    assert '<path class="js-line"' in drawn["hypervolume"]


def test_a_browser_shows_the_note_and_the_files_of_a_trial_and_the_note_of_the_study(
    address: str, processes: Processes
) -> None:
    number = detail(address)["best_trials"][0]["number"]
    page = browse(f"{address}/trials?numbers={number}", "export shown", processes)
    for text in (f"hgcnas export shown --trial {number}", f"trial_{number}.toml", "_curve.csv"):
        assert text in page
    page = browse(f"{address}/note", "The study file", processes)
    assert "in a space of 118,098 points" in page
