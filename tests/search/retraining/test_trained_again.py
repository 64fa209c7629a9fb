"""train, confirm, compare and fidelity as people call them: gone on with after kill -9, to the same result."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import hgcnet
from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task, write_architecture
from search.cli.app import main
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test
from search.retraining.confirmations import read_confirmations
from search.workers.ray_cluster import joined_ray

pytestmark = pytest.mark.slow

STUDY = """
name = "tiny"
objectives = ["val_accuracy", "flops"]
[budget]
trials = 2
[data]
dataset = "digits"
resolution = 8
[space]
operator = { choice = ["hgc", "sgc"] }
stem_channels = 4
bottleneck = 1
depth = { low = 1, high = 2 }
groups = { choice = [1, 2] }
growth = [4, 4, 4]
[limits]
flops = 1e6
[sampler]
kind = "random"
start_with = ["one.toml", "two.toml"]
[proxy]
epochs = 1
train_images = 200
val_images = 100
batch_size = 32
[workers]
checkpoint_minutes = 1e-6
"""


def network(operator: Any) -> Architecture:
    stage = Stage(depth=2, growth=4, groups=2)
    return Architecture(operator=operator, stem_channels=4, bottleneck=1, stages=(stage,) * 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(STUDY)
    for name, operator in (("one", "hgc"), ("two", "sgc")):
        file = ArchitectureFile(architecture=network(operator), task=Task(resolution=8))
        write_architecture(tmp_path / f"{name}.toml", file)
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        "from search.cli.app import main; main()",
        *arguments,
        "--json",
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """One Ray for all commands of this process; those that are killed have their own."""
    with joined_ray(None):
        yield


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs a command in this process; what it printed."""
    monkeypatch.chdir(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def run(*arguments: str) -> dict[str, Any]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return dict(json.loads(out))

    yield run
    torch.set_num_threads(threads)


def kill_when(process: subprocess.Popen[str], is_time: Callable[[], bool]) -> None:
    """Kills a process and all that it started, once a condition holds."""
    deadline = time.monotonic() + 100
    while not is_time():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def timeless(value: Any) -> Any:
    """Without what is never the same twice: seconds."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key != "seconds"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def test_a_killed_train_goes_on_to_the_same_model(folder: Path, run: Any) -> None:
    options = ("train", "one.toml", "--dataset", "digits", "--epochs", "12", "--seeds", "2")
    options += ("--train-images", "400", "--batch-size", "32", "--hold-out")
    whole = run(*options, "-o", "whole")
    killed = start(folder, *options, "-o", "killed")
    states = folder / "killed" / "states"
    kill_when(killed, lambda: states.is_dir() and any(states.glob("[0-9a-f]*")))
    resumed = run(*options, "-o", "killed")
    assert resumed["test_accuracy"] == whole["test_accuracy"]
    assert not list(states.iterdir())
    for seed in (0, 1):
        ours, theirs = (folder / name / f"seed-{seed}" for name in ("killed", "whole"))
        weights = [(path / "model.safetensors").read_bytes() for path in (ours, theirs)]
        assert weights[0] == weights[1]
        metrics = [json.loads((path / "metrics.json").read_text()) for path in (ours, theirs)]
        assert timeless(metrics[0]) == timeless(metrics[1])
        assert len(metrics[0]["metrics"]["curve"]) == 12
    with pytest.raises(
        AssertionError, match="holds models of another network; name another folder by -o"
    ):
        run("train", "two.toml", *options[2:], "-o", "killed")
    # What a model folder says of itself is true of the network that is read from it.
    record = hgcnet.read_record(ours)
    test = load_test(DataConfig(dataset="digits", resolution=8), resolution=8)
    with torch.inference_mode():
        logits = hgcnet.load(ours)(record.normalise(torch.tensor(test.images)))
    accuracy = float((logits.argmax(1).numpy() == test.labels).mean())
    assert accuracy == pytest.approx(resumed["test_accuracy"][1])
    assert accuracy > 0.5


def test_train_uses_the_validation_images_unless_they_are_held_out() -> None:
    config = DataConfig(dataset="digits", resolution=8)
    splits, all_of_them = (load_splits(config, resolution=8, hold_out=out) for out in (True, False))
    sizes = [len(part.labels) for part in (splits.train, splits.validation)]
    assert len(all_of_them.train.labels) == sum(sizes)
    assert len(all_of_them.validation.labels) == 0


@pytest.mark.timeout(300)
def test_a_killed_confirm_goes_on_to_the_same_result(folder: Path, run: Any, ray: None) -> None:
    run("run", "study.toml")
    assert not (folder / "runs/tiny/confirm").exists()
    shutil.copytree(folder / "runs", folder / "whole")
    options = ("confirm", "tiny", "--epochs", "8", "--seeds", "2")
    whole = run(*options, "--runs", "whole")
    killed = start(folder, *options)
    states = folder / "runs/tiny/confirm/8-epochs-8px-200-images/states"
    kill_when(killed, lambda: states.is_dir() and any(states.glob("[0-9a-f]*")))
    resumed = run(*options)
    assert len(whole["tested"]) == 2
    for tested in whole["tested"] + resumed["tested"]:
        model = hgcnet.load(folder / tested.pop("folder"))
        assert model.architecture.stages
    assert timeless(resumed) == timeless(whole)
    assert resumed["chosen"] == max(resumed["networks"], key=lambda row: row["mean"])["name"]
    assert {row["seeds"] for row in resumed["networks"]} == {2}
    (networks,) = read_confirmations(folder / "runs" / "tiny").values()
    assert networks["proxy_accuracy"].notna().all()
    run("report", "tiny")
    page = (folder / "runs/tiny/report.html").read_text()
    assert "Trained again: 8 epochs on 200 images of 8 px" in page


def test_compare_pairs_the_seeds_of_the_networks_of_a_study_file(
    folder: Path, run: Any, ray: None
) -> None:
    found = run("compare", "study.toml", "--epochs", "2", "--seeds", "3", "--test")
    assert [row["name"] for row in found["networks"]] == ["one", "two"]
    assert found["against"] == "one"
    difference = found["differences"]["two"]
    assert difference["pairs"] == 3
    assert found["compared_on"] == "test_accuracy"
    means = {row["name"]: row["test_accuracy"] for row in found["networks"]}
    assert difference["difference"]["mean"] == pytest.approx(means["two"] - means["one"], abs=1e-6)
    assert all(0 <= row["test_accuracy"] <= 1 for row in found["networks"])
    path = folder / "runs/tiny/compare/2-epochs-8px-200-images"
    assert len(list((path / "models").iterdir())) == 6
    assert re.search("Learning curves", (path / "compare.html").read_text())


def test_fidelity_ranks_scores_against_a_longer_training(folder: Path, run: Any, ray: None) -> None:
    options = ("--proxy", "epochs=2", "--networks", "5", "--reference-epochs", "4")
    found = run("fidelity", "study.toml", *options, "--reference-seeds", "2")
    scores = {row["score"]: row for row in found["correlations"]}
    assert list(scores) == [
        *("FLOPs", "params", "synflow"),
        *("1 epochs on 200 images of 8 px", "2 epochs on 200 images of 8 px"),
        "one seed of 4 epochs on 200 images of 8 px",
    ]
    assert all(
        -1 <= row["tau.low"] <= row["tau.mean"] <= row["tau.high"] <= 1 for row in scores.values()
    )
    assert scores["FLOPs"]["seconds"] < scores["1 epochs on 200 images of 8 px"]["seconds"]
    assert (folder / "runs/tiny/fidelity/fidelity.html").stat().st_size > 1e6
    again = run("fidelity", "study.toml", *options, "--reference-seeds", "2")
    assert [row["tau.mean"] for row in again["correlations"]] == [
        row["tau.mean"] for row in found["correlations"]
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch=2", "'epoch=2' is not KEY=NUMBER with a KEY of epochs,"),
        ("epochs=2,", "'' is not KEY=NUMBER"),
        ("epochs=two", "'epochs=two' is not KEY=NUMBER"),
        ("epochs=0", "epochs: 0 is not between 1 and"),
        ("resolution=99999999", "resolution: 99999999 is not between 8 and 1024"),
        ("train_images=1000000", "train_images: 1000000 is more than the"),
    ],
)
def test_a_wrong_proxy_is_refused_in_one_line(text: str, said: str, run: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        run("fidelity", "study.toml", "--proxy", text, "--networks", "3")
    lines = [line for line in str(caught.value).splitlines() if line.startswith("hgcnas: ")]
    assert len(lines) == 1
    assert said in lines[0]


def test_fidelity_starts_nothing_more_after_ctrl_c(folder: Path) -> None:
    options = ("fidelity", "study.toml", "--networks", "3", "--proxy", "epochs=300")
    first = start(folder, *options)
    states = folder / "runs/tiny/fidelity/300-epochs-8px-200-images/states"
    deadline = time.monotonic() + 100
    while not (states.is_dir() and any(states.iterdir())):
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    found = json.loads(out)
    assert not found["complete"]
    scores = {row["score"]: row["tau.mean"] for row in found["correlations"]}
    assert scores["300 epochs on 200 images of 8 px"] is None
    assert not list((folder / "runs/tiny/fidelity").glob("3-epochs-*/states"))
