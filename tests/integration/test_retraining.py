"""confirm, compare and fidelity as people call them, on one Ray."""

import re
import signal
from pathlib import Path

import pytest

import hgcnet
import search
from search.cli import retraining_commands
from search.cli.terminal import MISSING
from search.retraining.confirmations import read_confirmations
from search.retraining.retraining_loop import RetrainingProgress
from tests.parts.commands import hgcnas, refused
from tests.parts.retrained_study import write_networks

pytestmark = pytest.mark.usefixtures("ray_here")


@pytest.fixture(autouse=True)
def _networks(tmp_path: Path) -> None:
    write_networks(tmp_path, cpus=2)  # one worker: to start another one costs more than it trains


def test_confirm_trains_the_front_again_and_chooses(tmp_path: Path) -> None:
    hgcnas("run", "study.toml", cwd=tmp_path)
    assert not (tmp_path / "runs/tiny/confirm").exists()
    options = ("--epochs", "2", "--seeds", "2", "--json")
    found = hgcnas("confirm", "tiny", *options, cwd=tmp_path).json
    assert len(found["tested"]) == 2
    for tested in found["tested"]:
        model = hgcnet.load(tmp_path / tested["folder"])
        assert model.architecture.stages
    assert found["chosen"] == max(found["networks"], key=lambda row: row["mean"])["name"]
    assert {row["seeds"] for row in found["networks"]} == {2}
    (confirmed,) = read_confirmations(tmp_path / "runs" / "tiny").values()
    networks = confirmed.networks
    one = hgcnas("confirm", "tiny", *options, "--select", "best", cwd=tmp_path).json
    best = hgcnas("status", "tiny", "--json", cwd=tmp_path).json["best_trial"]
    assert [row["name"] for row in one["networks"]] == [f"trial {best}"]
    assert networks["proxy_accuracy"].notna().all()
    hgcnas("report", "tiny", cwd=tmp_path)
    page = (tmp_path / "runs/tiny/report.html").read_text()
    assert "Retrained: 2 epochs on 200 images of 8 px" in page
    assert "The chosen network on the test images, by class" in page
    for tested in found["tested"]:
        recalls = [scores["recall"] for scores in tested["classes"]]
        assert tested["test_balanced_accuracy"] == pytest.approx(sum(recalls) / 10)
    options = ("--epochs", "1", "--seeds", "1", "--select", "best", "--recipe", "strong")
    said = hgcnas("confirm", "tiny", *options, cwd=tmp_path).output
    assert "recipe strong, 1 seeds:" in said
    assert re.search(r"class +images +recall +precision +F1", said)
    assert len(read_confirmations(tmp_path / "runs" / "tiny")) == 2


def test_compare_pairs_the_seeds_of_the_networks_of_a_study_file(tmp_path: Path) -> None:
    options = ("--epochs", "2", "--seeds", "3", "--test", "--json")
    found = hgcnas("compare", "study.toml", *options, cwd=tmp_path).json
    assert [row["name"] for row in found["networks"]] == ["one", "two"]
    assert found["against"] == "one"
    difference = found["differences"]["two"]
    assert difference["pairs"] == 3
    assert found["compared_on"] == "test_accuracy"
    means = {row["name"]: row["test_accuracy"] for row in found["networks"]}
    assert difference["difference"]["mean"] == pytest.approx(means["two"] - means["one"], abs=1e-6)
    assert all(0 <= row["test_accuracy"] <= 1 for row in found["networks"])
    path = tmp_path / "runs/tiny/compare/2-epochs-8px-200-images"
    models = {file: file.stat().st_mtime_ns for file in path.glob("models/*/metrics.json")}
    assert len(models) == 6
    assert re.search("Learning curves", (path / "compare.html").read_text())
    assert hgcnas("compare", "study.toml", *options, cwd=tmp_path).json == found
    assert {file: file.stat().st_mtime_ns for file in models} == models  # they are only read back
    said = refused(tmp_path, "compare", "study.toml", *options, "--against", "three")
    assert said == "hgcnas: --against three: is not one of one, two\n"


@pytest.mark.long
def test_what_ctrl_c_stopped_is_shown_and_nothing_of_it_is_chosen_or_tested(tmp_path: Path) -> None:
    def interrupt(progress: RetrainingProgress) -> None:
        signal.raise_signal(signal.SIGINT)

    study, runs = tmp_path / "study.toml", tmp_path / "runs"
    search.run_study(study, report=False, runs=runs)
    confirmed = search.confirm("tiny", seeds=2, runs=runs, observe=interrupt)
    assert (confirmed.is_complete, confirmed.chosen, confirmed.tested) == (False, None, ())
    compared = search.compare(study, seeds=2, test=True, runs=runs, observe=interrupt)
    assert (compared.is_complete, compared.compared_on) == (False, "val_accuracy")
    assert (len(compared.networks), compared.differences) == (1, {})
    for said in (
        retraining_commands.confirm(confirmed, seeds=2),
        retraining_commands.compare(compared, seeds=2),
    ):
        assert said[1][-1] == MISSING
    assert not [*runs.rglob("models")]


def test_fidelity_ranks_scores_against_a_longer_training(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(study.read_text().replace("epochs = 1", "epochs = 2"))
    options = ("--proxy", "epochs=1", "--networks", "5", "--reference-epochs", "4")
    command = ("fidelity", "study.toml", *options, "--reference-seeds", "2", "--json")
    found = hgcnas(*command, cwd=tmp_path).json
    scores = {row["score"]: row for row in found["correlations"]}
    assert list(scores) == [
        *("FLOPs", "params", "synflow"),
        *("2 epochs on 200 images of 8 px", "1 epochs on 200 images of 8 px"),
        "epoch 1 of 2 epochs on 200 images of 8 px",
        "one seed of 4 epochs on 200 images of 8 px",
    ]
    assert all(
        -1 <= row["tau.low"] <= row["tau.mean"] <= row["tau.high"] <= 1 for row in scores.values()
    )
    assert scores["FLOPs"]["seconds"] < scores["1 epochs on 200 images of 8 px"]["seconds"]
    assert (tmp_path / "runs/tiny/fidelity/fidelity.html").stat().st_size > 1e6
    again = hgcnas(*command, cwd=tmp_path).json
    assert [row["tau.mean"] for row in again["correlations"]] == [
        row["tau.mean"] for row in found["correlations"]
    ]
