"""The commands, as people call them: processes, exit codes, and what they print."""

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import tomli_w

import hgcnet
from hgcnet.complexity import count
from search.cli.app import main
from search.workers.ray_cluster import joined_ray

QUICKSTART = Path(__file__).parents[3] / "studies" / "quickstart.toml"


def hgcnas(*arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A study in a process of its own; the commands that only look in this one, which is faster."""
    command = [sys.executable, "-c", "from search.cli.app import main; main()", *arguments]
    if arguments[0] == "run":
        result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    else:
        out, err = StringIO(), StringIO()
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as ended:
                code = ended.code
        result = subprocess.CompletedProcess(
            command, int(code or 0), out.getvalue(), err.getvalue()
        )
    assert not check or result.returncode == 0, result.stderr
    return result


def file_names(folder: Path) -> list[str]:
    """All but the two files that SQLite keeps beside a database while it is open."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path, *args: str
) -> str:
    """What the command says, in this process, when it exits with 2 and leaves the folder as it was."""
    monkeypatch.chdir(folder)
    before = file_names(folder)
    with pytest.raises(SystemExit) as exit_:
        main(args)
    output = capsys.readouterr()
    assert exit_.value.code == 2, output
    assert file_names(folder) == before
    return output.err


def write_study(folder: Path, **changes: object) -> Path:
    """A quickstart of a few epochs; `proxy__epochs=2` sets a key of a table."""
    document = tomllib.loads(QUICKSTART.read_text())
    document["name"] = "small"
    document["proxy"] = {"epochs": 2, "batch_size": 128, "train_images": 400}
    document["early_stopping"] = {"kind": "moasha", "min_epochs": 1}
    document["budget"]["trials"] = 5
    document["limits"]["flops"] = 100e3
    for path, value in changes.items():
        table = document
        *parents, key = path.split("__")
        for parent in parents:
            table = table[parent]
        table[key] = value
    path = folder / "small.toml"
    path.write_text(tomli_w.dumps(document))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished study in it."""
    folder = tmp_path_factory.mktemp("finished")
    write_study(folder)
    result = hgcnas("run", "small.toml", cwd=folder)
    assert "5/5 trained" in result.stdout
    assert result.stderr == ""
    return folder


@pytest.mark.slow
def test_a_second_run_does_nothing_and_says_so(finished: Path) -> None:
    again = hgcnas("run", "small.toml", cwd=finished).stdout
    assert "Nothing to do: its budget of 5 trials is used. --trials N raises it." in again


@pytest.mark.slow
def test_more_trials_go_on_with_what_was_enqueued(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hgcnas("export", "small", "--trial", "0", "-o", "mine.toml", cwd=finished)
    document = tomllib.loads((finished / "mine.toml").read_text())
    del document["provenance"]
    document["architecture"]["stages"][0]["depth"] = 2
    (finished / "mine.toml").write_text(tomli_w.dumps(document))
    hgcnas("enqueue", "small", "mine.toml", cwd=finished)
    more = json.loads(hgcnas("run", "small.toml", "--trials", "7", "--json", cwd=finished).stdout)
    assert (more["trained"], more["running"], more["nothing_to_do"]) == (7, 0, False)
    hgcnas("report", "small", cwd=finished)
    rows = (finished / "runs" / "small" / "trials.csv").read_text().splitlines()
    assert len(rows) == 1 + 7
    assert "enqueued: mine" in rows[1 + 5]  # trials 0 to 4 were there
    said = refused(capsys, monkeypatch, finished, "enqueue", "small", "mine.toml")
    assert said == "hgcnas: mine.toml: the study has it already, as trial 5\n"


@pytest.mark.slow
def test_status_list_and_report(finished: Path) -> None:
    status = json.loads(hgcnas("status", "small", "--json", cwd=finished).stdout)
    (row,) = json.loads(hgcnas("list", "--json", cwd=finished).stdout)
    assert row == status
    assert status["finished"] + status["stopped"] == status["trained"] >= 5
    assert status["driver"] is None
    hgcnas("report", "small", cwd=finished)
    for name in ("report.html", "trials.csv", "trials.parquet"):
        assert (finished / "runs" / "small" / name).stat().st_size > 500


@pytest.mark.slow
def test_an_exported_network_is_the_one_that_was_trained(finished: Path) -> None:
    chosen = json.loads(hgcnas("export", "small", "-o", "net.toml", "--json", cwd=finished).stdout)
    model = hgcnet.load(finished / "net.toml")
    assert model.architecture.fingerprint == chosen["fingerprint"]
    assert count(model.architecture, model.task).flops == chosen["flops"]
    assert (model.task.in_channels, model.task.resolution) == (1, 8)
    layers = json.loads(hgcnas("describe", "net.toml", "--json", cwd=finished).stdout)
    assert layers["flops"] == chosen["flops"] == sum(row["flops"] for row in layers["layers"])
    for rule in ("knee", "max-flops=1e9"):
        hgcnas("export", "small", "--select", rule, cwd=finished)


@pytest.mark.slow
def test_a_changed_study_file_is_refused_by_its_key(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(finished, proxy__batch_size=64)
    said = refused(capsys, monkeypatch, finished, "run", "small.toml", "--trials", "50")
    write_study(finished)
    assert "proxy.batch_size: 64 given, but the study 'small' was started with 128" in said


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    facts = json.loads(hgcnas("run", str(study), "--dry-run", "--json", cwd=tmp_path).stdout)
    assert facts["points"] == 118_098
    assert 0 < facts["feasible_share"] < 1
    assert facts["hours"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


# What people type wrong: arguments, and the one line that they get for it.
WRONG_COMMANDS = [
    (["run", "absent.toml"], "absent.toml: there is no such file"),
    (["run", "small.toml", "--trials", "0"], "greater than or equal to 1"),
    (["run", "small.toml", "--trials", "many"], "valid integer"),
    (["run", "small.toml", "--ray-address", "ray://head:10001"], "ray:// would move the search"),
    (["run", "."], "cannot be read: Is a directory"),
    (["run"], "Missing argument 'STUDY.toml'"),
    (["fly"], "No such command 'fly'"),
    (
        ["status", "nobody"],
        "nobody: there is no such study in runs, which has none; `hgcnas run STUDY.toml` starts one",
    ),
    (["report", "nobody"], "nobody: there is no such study"),
    (["export", "nobody"], "nobody: there is no such study"),
    (["enqueue", "nobody", "hgcnet_42_g4"], "nobody: there is no such study"),
    (
        ["dashboard", "nobody", "--port", "70000"],
        "'--port': Input should be less than or equal to 65535",
    ),
    (["describe", "hgcnet_42_g5"], "hgcnet_42_g4"),
    (["describe", "absent.toml"], "absent.toml: cannot be read: No such file or directory"),
    (["describe", "small.toml"], "is not an architecture file: it has no [architecture] table"),
    (
        ["describe", "hgcnet_42_g4", "--resolution", "2"],
        "'--resolution': Input should be greater than or equal to 8",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "message"), WRONG_COMMANDS, ids=[" ".join(row[0]) for row in WRONG_COMMANDS]
)
def test_a_wrong_command_line_gets_one_line_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    write_study(tmp_path)
    said = refused(capsys, monkeypatch, tmp_path, *arguments)
    assert message in said
    assert len(said.splitlines()) == 1


# Study files that read well and still cannot be run: (changes, message).
WRONG_STUDIES = [
    (
        {"limits__flops": 10.0},
        "limits: no architecture of the space meets flops = 10: the fewest FLOPs of one are",
    ),
    ({"limits__num_params": 1.0}, "limits: no architecture of the space meets"),
    ({"data__dataset": "npz", "data__root": "absent.npz"}, "absent.npz"),
    ({"data__dataset": "image_folder", "data__root": "absent"}, "absent"),
    ({"proxy__train_images": 5}, "proxy.train_images: 5 is not between 10"),
    ({"proxy__train_images": 10_000}, "proxy.train_images: 10000 is not between 10"),
    ({"sampler__start_with": ["nothing"]}, "sampler.start_with[0]: nothing is neither a file nor"),
    ({"sampler__start_with": ["hgcnet_42_g4"]}, "sampler.start_with[0]: hgcnet_42_g4: "),
    ({"budget__trials": 0}, "budget.trials: 0 is not above 0"),
    ({"space__depht": 3}, "space.depht: unknown key"),
]


@pytest.mark.parametrize(
    ("changes", "message"), WRONG_STUDIES, ids=[str(row[0]) for row in WRONG_STUDIES]
)
def test_a_study_that_cannot_run_is_refused_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    message: str,
) -> None:
    write_study(tmp_path, **changes)
    said = refused(capsys, monkeypatch, tmp_path, "run", "small.toml")
    assert message in said
    assert len(said.splitlines()) == 1


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """For what is only found with a Ray at hand."""
    with joined_ray(None):
        yield


@pytest.mark.parametrize("resource", ["cpus", "gpus"])
@pytest.mark.slow
def test_resources_that_are_not_there_are_refused_and_leave_nothing(
    ray: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    resource: str,
) -> None:
    write_study(tmp_path, **{f"workers__{resource}": 4096})
    said = refused(capsys, monkeypatch, tmp_path, "run", "small.toml")
    assert f"small.toml: workers.{resource}: 4096 asked for each trial; " in said
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_named(
    ray: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    write_study(tmp_path)
    (tmp_path / "runs").write_text("in the way")
    said = refused(capsys, monkeypatch, tmp_path, "run", "small.toml")
    assert "runs/small: cannot be written: Not a directory" in said


def test_a_damaged_study_does_not_hide_the_others_of_its_folder(finished, tmp_path):
    shutil.copytree(finished / "runs", tmp_path / "runs")
    shutil.copytree(tmp_path / "runs" / "small", tmp_path / "runs" / "broken")
    for path in (tmp_path / "runs" / "broken").glob("study.db*"):
        path.unlink()
    (tmp_path / "runs" / "broken" / "study.db").write_bytes(b"what is this? " * 1000)
    (tmp_path / "runs" / "small" / "driver.json").write_text("{")
    result = hgcnas("list", cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert "small" in result.stdout
    assert result.stderr == (
        "hgcnas: runs/broken: the study's database cannot be opened: file is not a database\n"
    )
