"""What is done with a study by commands: run, read, gone on with, exported."""

import shutil
import socket
import tomllib
from pathlib import Path

import optuna_dashboard
import pytest
import tomli_w

import hgcnet
from hgcnet.complexity import count
from search.workers.resources import Resources
from tests.parts.commands import hgcnas, refused
from tests.parts.small_study import write_study


def test_a_second_run_does_nothing_and_says_so(finished: Path) -> None:
    again = hgcnas("run", "small.toml", cwd=finished).output
    assert "Nothing to do: its budget of 5 trials is used. --trials N raises it." in again
    assert again.endswith(
        "Next: hgcnas dashboard small · hgcnas train runs/small/best.toml --dataset digits\n"
    )


def test_a_library_that_has_moved_is_named_in_one_line(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(optuna_dashboard, "get_note")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = hgcnas("dashboard", "small", "--port", port, cwd=finished, code=2)
    moved, refusal = ended.errors.splitlines()
    assert moved.startswith(
        f"hgcnas: optuna-dashboard {optuna_dashboard.__version__} has no note in "
    )
    assert refusal.startswith(f"hgcnas: --port {port}: ")


def test_more_trials_go_on_with_what_was_enqueued(finished: Path, ray_here: Resources) -> None:
    hgcnas("export", "small", "--trial", "0", "-o", "mine.toml", cwd=finished)
    document = tomllib.loads((finished / "mine.toml").read_text())
    del document["provenance"]
    document["architecture"]["stages"][0]["depth"] = 2
    (finished / "mine.toml").write_text(tomli_w.dumps(document))
    hgcnas("enqueue", "small", "mine.toml", cwd=finished)
    more = hgcnas("run", "small.toml", "--trials", "7", "--json", cwd=finished).json
    assert (more["trained"], more["running"], more["nothing_to_do"]) == (7, 0, False)
    hgcnas("report", "small", cwd=finished)
    rows = (finished / "runs" / "small" / "trials.csv").read_text().splitlines()
    assert len(rows) == 1 + 7
    assert "enqueued: mine" in rows[1 + 5]  # trials 0 to 4 were there
    said = refused(finished, "enqueue", "small", "mine.toml")
    assert said == "hgcnas: mine.toml: the study has it already, as trial 5\n"


def test_status_list_and_report(finished: Path) -> None:
    status = hgcnas("status", "small", "--json", cwd=finished).json
    (row,) = hgcnas("list", "--json", cwd=finished).json
    assert row == status
    assert status["finished"] + status["stopped"] == status["trained"] >= 5
    assert status["driver"] is None
    hgcnas("report", "small", cwd=finished)
    for name in ("report.html", "trials.csv", "trials.parquet"):
        assert (finished / "runs" / "small" / name).stat().st_size > 500


def test_an_exported_network_is_the_one_that_was_trained(finished: Path) -> None:
    chosen = hgcnas("export", "small", "-o", "net.toml", "--json", cwd=finished).json
    model = hgcnet.load(finished / "net.toml")
    assert model.architecture.fingerprint == chosen["fingerprint"]
    assert count(model.architecture, model.task).flops == chosen["flops"]
    assert (model.task.in_channels, model.task.resolution) == (1, 8)
    layers = hgcnas("describe", "net.toml", "--json", cwd=finished).json
    assert layers["flops"] == chosen["flops"] == sum(row["flops"] for row in layers["layers"])
    for rule in ("knee", "max-flops=1e9"):
        hgcnas("export", "small", "--select", rule, cwd=finished)


def test_a_changed_study_file_is_refused_by_its_key(finished: Path) -> None:
    write_study(finished, proxy__batch_size=64)
    said = refused(finished, "run", "small.toml", "--trials", "50")
    write_study(finished)
    assert "proxy.batch_size: 64 given, but the study 'small' was started with 128" in said


@pytest.mark.parametrize("resource", ["cpus", "gpus"])
def test_resources_that_are_not_there_are_refused_and_leave_nothing(
    ray_here: Resources,
    tmp_path: Path,
    resource: str,
) -> None:
    write_study(tmp_path, **{f"workers__{resource}": 4096})
    said = refused(tmp_path, "run", "small.toml")
    assert f"small.toml: workers.{resource}: each trial asks for 4096; " in said
    assert len(said.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_named(
    ray_here: Resources,
    tmp_path: Path,
) -> None:
    write_study(tmp_path)
    (tmp_path / "runs").write_text("in the way")
    said = refused(tmp_path, "run", "small.toml")
    assert "runs/small: cannot be written: Not a directory" in said


def test_a_damaged_study_does_not_hide_the_others_of_its_folder(finished, tmp_path):
    shutil.copytree(finished / "runs", tmp_path / "runs")
    shutil.copytree(tmp_path / "runs" / "small", tmp_path / "runs" / "broken")
    for path in (tmp_path / "runs" / "broken").glob("study.db*"):
        path.unlink()
    (tmp_path / "runs" / "broken" / "study.db").write_bytes(b"what is this? " * 1000)
    (tmp_path / "runs" / "small" / "driver.json").write_text("{")
    result = hgcnas("list", cwd=tmp_path, code=2)
    assert "small" in result.output
    assert result.errors == (
        "hgcnas: runs/broken: the study's database cannot be opened: file is not a database\n"
    )
