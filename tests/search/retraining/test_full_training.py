"""`hgcnas train`: the images that it uses, and what its model folders say."""

import re
from pathlib import Path

import pytest
import torch

import hgcnet
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test
from tests.parts.commands import hgcnas, refused
from tests.parts.retrained_study import write_networks


def test_a_model_folder_says_what_is_true_of_the_network_in_it(tmp_path: Path) -> None:
    write_networks(tmp_path)
    options = ("--dataset", "digits", "--epochs", "8", "--seeds", "2", "--train-images", "400")
    options += ("--batch-size", "32", "--hold-out", "-o", "models", "--json")
    found = hgcnas("train", "one.toml", *options, cwd=tmp_path).json
    assert not list((tmp_path / "models" / "states").iterdir())
    record = hgcnet.read_record(tmp_path / "models" / "seed-1")
    assert len(record.metrics["curve"]) == 8
    test = load_test(DataConfig(dataset="digits", resolution=8), resolution=8)
    with torch.inference_mode():
        network = hgcnet.load(tmp_path / "models" / "seed-1")
        logits = network(record.normalise(torch.tensor(test.images)))
    accuracy = float((logits.argmax(1).numpy() == test.labels).mean())
    assert accuracy == pytest.approx(found["test_accuracy"][1])
    assert accuracy > 0.5
    said = hgcnas("train", "two.toml", *options, cwd=tmp_path, code=2).errors
    assert "holds models of another network; name another folder by -o" in said


def test_train_uses_the_validation_images_unless_they_are_held_out() -> None:
    config = DataConfig(dataset="digits", resolution=8)
    splits, all_of_them = (load_splits(config, resolution=8, hold_out=out) for out in (True, False))
    sizes = [len(part.labels) for part in (splits.train, splits.validation)]
    assert len(all_of_them.train.labels) == sum(sizes)
    assert len(all_of_them.validation.labels) == 0


def test_without_held_out_images_a_training_has_no_accuracies_but_the_test(tmp_path: Path) -> None:
    write_networks(tmp_path)
    options = ("--dataset", "digits", "--epochs", "2", "--train-images", "100", "-o", "models")
    said = hgcnas("train", "one.toml", *options, cwd=tmp_path).output.splitlines()
    assert said[0] == "one.toml on digits: 2 epochs, 1 seed"
    assert re.fullmatch(r"seed 0, epoch 2/2: loss \d\.\d{4}, \S+ left", said[2])
    assert re.fullmatch(r"models/seed-0: test accuracy 0\.\d{4}, error .* %, after .*", said[3])
    assert said[4].startswith("class by class: balanced accuracy ")  # one seed has no mean
    metrics = tmp_path / "models/seed-0/metrics.json"
    assert hgcnet.read_record(tmp_path / "models/seed-0").metrics["curve"] == []
    before = metrics.stat().st_mtime_ns
    again = hgcnas("train", "one.toml", *options, cwd=tmp_path).output.splitlines()
    assert again == [said[0], *said[3:]]  # it is only read back
    assert metrics.stat().st_mtime_ns == before


def test_a_training_that_diverges_is_an_error_with_advice(tmp_path: Path) -> None:
    write_networks(tmp_path)
    options = ("--dataset", "digits", "--epochs", "9", "--train-images", "100")
    options += ("--batch-size", "10", "--learning-rate", "1000")
    said = hgcnas("train", "one.toml", *options, cwd=tmp_path, code=2).errors
    assert re.fullmatch(r"hgcnas: seed 0: the .* loss .*; a lower --learning-rate may help\n", said)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")
def test_a_gpu_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    write_networks(tmp_path)
    said = refused(tmp_path, "train", "one.toml", "--dataset", "digits", "--device", "cuda")
    assert said == ("hgcnas: --device cuda: torch sees no GPU here; use --device cpu\n")
