"""Predictions: classes by name, prepared as in the training, from paths, images and arrays."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task, write_architecture
from hgcnet.errors import ArchitectureError, DataError, MissingPackageError
from hgcnet.model import HGCNet
from hgcnet.prediction import predict_each
from hgcnet.preparation import Preparation, prepare_each
from tests.parts.odd_images import write_odd_images

SMALL = Architecture(stem_channels=4, bottleneck=2, stages=(Stage(depth=2, growth=4, groups=2),))
NAMES = ("cat", "dog", "猫")
NORMALISATION = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}


@pytest.fixture
def folder(tmp_path: Path, randomise: Callable[[HGCNet, int], HGCNet]) -> Path:
    task = Task(num_classes=3, resolution=16, class_names=NAMES)
    network = randomise(HGCNet(SMALL, task), 5)
    hgcnet.save_model(tmp_path / "model", network, metrics={}, **NORMALISATION)
    return tmp_path / "model"


def test_classes_are_named_with_the_probabilities_of_a_softmax(
    folder: Path, tmp_path: Path
) -> None:
    paths = write_odd_images(tmp_path / "images")
    network = hgcnet.load(folder)

    predictions = network.predict(paths)

    pixels = np.stack(list(prepare_each(paths, Preparation(channels=3, resolution=16))))
    with torch.no_grad():
        logits = network(hgcnet.read_record(folder).normalise(torch.tensor(pixels)))
    for row, found in zip(logits.softmax(1), predictions, strict=True):
        assert list(found.probabilities) == list(NAMES)
        assert list(found.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert found.class_name == NAMES[int(row.argmax())]
        assert found.probability == max(found.probabilities.values())
        assert found.most_probable(1) == [(found.class_name, found.probability)]
        assert [p for _, p in found.most_probable(9)] == sorted(found.probabilities.values())[::-1]


def test_a_path_an_image_and_an_array_are_predicted_alike(folder: Path, tmp_path: Path) -> None:
    (path,) = [p for p in write_odd_images(tmp_path / "images") if p.name == "RGBA-0.webp"]
    network = hgcnet.load(folder)
    with Image.open(path) as image:
        array = np.array(image)
        found = network.predict([path, str(path), image])
    assert found[0] == found[1] == found[2]
    many = network.predict(np.stack([array[..., :3]] * 70))  # more than pass at once
    assert [p.probability for p in many] == pytest.approx([many[0].probability] * 70, abs=1e-6)


def test_a_network_is_left_in_its_mode_and_predicts_in_evaluation(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)
    network = hgcnet.load(folder)
    expected = network.predict(images)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert network.train().predict(images) == expected
    assert network.training
    assert all(torch.equal(state[name], t) for name, t in network.state_dict().items())
    assert network.double().predict(images)[0].probability == pytest.approx(expected[0].probability)


def test_a_folder_from_before_there_were_names_gives_numbers(tmp_path: Path) -> None:
    network = HGCNet(SMALL, Task(num_classes=3, resolution=16))
    hgcnet.save_model(tmp_path / "model", network, metrics={}, **NORMALISATION)
    (found,) = hgcnet.load(tmp_path / "model").predict([np.zeros((9, 9), np.uint8)])
    assert list(found.probabilities) == ["0", "1", "2"]


def test_a_network_without_a_model_folder_says_so(tmp_path: Path) -> None:
    file = hgcnet.ArchitectureFile(architecture=SMALL, task=Task())
    write_architecture(tmp_path / "net.toml", file)
    with pytest.raises(ArchitectureError, match="load the network from a model folder"):
        hgcnet.load(tmp_path / "net.toml").predict([])


@pytest.mark.parametrize(
    "images", ["cat.jpg", Path("cat.jpg"), np.zeros((8, 8, 3), np.uint8), Image.new("L", (8, 8))]
)
def test_one_image_is_given_as_a_list(folder: Path, images: object) -> None:
    with pytest.raises(DataError, match=r"predict takes a list of images; for one"):
        hgcnet.load(folder).predict(images)  # type: ignore[arg-type]


def test_an_image_that_cannot_be_used_is_named_and_the_others_are_predicted(folder: Path) -> None:
    network, good = hgcnet.load(folder), np.zeros((9, 9), np.uint8)
    with pytest.raises(DataError, match=r"^absent\.jpg: does not exist$"):
        network.predict([good, "absent.jpg"])
    first, second, third = predict_each(network, [good, "absent.jpg", good])
    assert isinstance(second, DataError)
    assert first == third


def test_arrays_need_no_pillow_and_files_say_that_they_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    network = hgcnet.load(folder)
    assert network.predict([np.zeros((9, 9), np.uint8)])[0].class_name in NAMES
    with pytest.raises(MissingPackageError, match="needs the package pillow: pip install pillow"):
        network.predict([folder / "metrics.json"])
