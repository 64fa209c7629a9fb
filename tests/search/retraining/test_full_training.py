"""`hgcnas train`: the images that it uses, and what its model folders say."""

from pathlib import Path

import pytest
import torch

import hgcnet
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test
from tests.parts.commands import hgcnas
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
