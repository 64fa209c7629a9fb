"""confirm, compare and fidelity as people call them, on one Ray."""

import re
from pathlib import Path

import pytest

import hgcnet
from search.retraining.confirmations import read_confirmations
from tests.parts.commands import hgcnas
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
    assert networks["proxy_accuracy"].notna().all()
    hgcnas("report", "tiny", cwd=tmp_path)
    page = (tmp_path / "runs/tiny/report.html").read_text()
    assert "Trained again: 2 epochs on 200 images of 8 px" in page
    assert "The chosen network on the test images, class by class" in page
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
    assert len(list((path / "models").iterdir())) == 6
    assert re.search("Learning curves", (path / "compare.html").read_text())


def test_fidelity_ranks_scores_against_a_longer_training(tmp_path: Path) -> None:
    options = ("--proxy", "epochs=2", "--networks", "5", "--reference-epochs", "4")
    command = ("fidelity", "study.toml", *options, "--reference-seeds", "2", "--json")
    found = hgcnas(*command, cwd=tmp_path).json
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
    assert (tmp_path / "runs/tiny/fidelity/fidelity.html").stat().st_size > 1e6
    again = hgcnas(*command, cwd=tmp_path).json
    assert [row["tau.mean"] for row in again["correlations"]] == [
        row["tau.mean"] for row in found["correlations"]
    ]
