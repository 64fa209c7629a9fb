"""`hgcnas train --from`: which weights are taken, and what is said where none are."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.errors import RunError
from search.retraining.starting_weights import take_weights
from tests.parts.commands import hgcnas, refused
from tests.parts.retrained_study import network, write_networks

NETWORK, TASK = network("hgc"), Task(in_channels=1, num_classes=10, resolution=8)
OPTIONS = ("--dataset", "digits", "--epochs", "1", "--train-images", "100", "--json")


def save(folder: Path, architecture: Architecture = NETWORK, seed: int = 3) -> str:
    model = hgcnet.HGCNet(architecture, TASK, generator=torch.Generator().manual_seed(seed))
    hgcnet.save_model(folder, model, metrics={}, mean=[0.5], std=[0.5])
    return str(folder)


def test_the_same_network_takes_every_tensor(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    taken = take_weights(model, NETWORK, TASK)
    assert taken.fresh == ()
    assert taken.text.endswith(f"{len(taken.tensors)} of {len(taken.tensors)} tensors are taken")
    state = hgcnet.load(model).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in taken.tensors.items())
    assert not any("num_batches" in name for name in taken.tensors)


def test_a_classifier_of_other_classes_and_a_stem_for_other_channels_are_left_out(
    tmp_path: Path,
) -> None:
    model = save(tmp_path / "model")
    five = take_weights(model, NETWORK, replace(TASK, num_classes=5))
    assert five.fresh == ("classifier.weight", "classifier.bias")
    assert "fresh are classifier.weight, classifier.bias" in five.text
    colour = take_weights(model, NETWORK, replace(TASK, in_channels=3))
    assert colour.fresh == ("stem.weight",)


def test_of_another_network_the_layers_that_agree_are_taken_whole(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    stages = (replace(NETWORK.stages[0], depth=3), *NETWORK.stages[1:])
    taken = take_weights(model, replace(NETWORK, stages=stages), TASK)
    assert "stem.weight" in taken.tensors
    layers = [{name.rpartition(".")[0] for name in of} for of in (taken.tensors, taken.fresh)]
    assert not layers[0] & layers[1]


def test_what_has_no_weights_that_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    stage = Stage(depth=1, growth=8, groups=4)
    other = Architecture(stem_channels=12, bottleneck=3, stages=(stage,) * 3)
    with pytest.raises(RunError, match="none of its layers has the name and the shapes"):
        take_weights(model, other, replace(TASK, num_classes=5))
    write_networks(tmp_path)
    for name in ("one.toml", "hgcnet_42_g4", "nowhere"):
        said = refused(tmp_path, "train", "one.toml", *OPTIONS, "-o", "m", "--from", name)
        assert f"--from {name}: is not a model folder" in said


def test_a_training_begins_with_the_weights_and_refuses_others_when_it_goes_on(
    tmp_path: Path,
) -> None:
    write_networks(tmp_path)
    save(tmp_path / "first")
    save(tmp_path / "other", seed=4)
    options = (*OPTIONS, "--learning-rate", "1e-9", "--weight-decay", "0", "-o", "models")
    ended = hgcnas("train", "one.toml", *options, "--from", "first", cwd=tmp_path)
    assert "first: " in ended.errors
    assert "tensors are taken" in ended.errors
    found = hgcnet.load(tmp_path / "models" / "seed-0")
    before = hgcnet.load(tmp_path / "first")
    for kept, given in zip(found.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(kept, given, atol=1e-5, rtol=0)
    metrics = hgcnet.read_record(tmp_path / "models" / "seed-0").metrics
    digest = json.loads((tmp_path / "first" / "metrics.json").read_text())["sha256"]
    assert metrics["start"] == {"model": "first", "sha256": digest["model.safetensors"]}
    assert metrics["tensors_taken"][1] == 0

    shutil.move(tmp_path / "first", tmp_path / "moved")  # the same weights, elsewhere
    hgcnas("train", "one.toml", *options, "--from", "moved", cwd=tmp_path)
    said = refused(tmp_path, "train", "one.toml", *options, "--from", "other")
    assert "models: its trainings began with the weights of first" in said
    said = refused(tmp_path, "train", "one.toml", *options)
    assert "models: its trainings began with the weights of first" in said


def test_a_strong_training_is_recorded_and_a_paper_one_does_not_go_on_with_it(
    tmp_path: Path,
) -> None:
    write_networks(tmp_path)
    options = (*OPTIONS, "-o", "models")
    found = hgcnas("train", "one.toml", *options, "--recipe", "strong", cwd=tmp_path).json
    assert found["recipe"].endswith("recipe strong")
    recipe = json.loads((tmp_path / "models" / "recipe.json").read_text())
    assert recipe["proxy"]["recipe"] == "strong"
    record = hgcnet.read_record(tmp_path / "models" / "seed-0")
    assert record.metrics["proxy"]["recipe"] == "strong"
    said = refused(tmp_path, "train", "one.toml", *options)
    assert "proxy.recipe = 'strong', not 'paper'" in said

    scores, confusion = record.metrics["test_classes"], record.metrics["test_confusion"]
    assert [row["name"] for row in scores] == [str(digit) for digit in range(10)]
    assert [row["images"] for row in scores] == np.sum(confusion, axis=1).tolist()
    recalls = [row["recall"] for row in scores]
    assert record.metrics["test_balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert found["test_balanced_accuracy"] == [record.metrics["test_balanced_accuracy"]]
    assert [row["recall"] for row in found["classes"]] == pytest.approx(recalls)
