"""Torchvision's sets, from small files laid out as the downloads are: nothing is downloaded here."""

import socket
import struct
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from hgcnet.errors import DataError
from search.data.data_config import DataConfig, DatasetName
from search.data.splits import load_splits, load_test, summarise_data
from search.data.torchvision_sets import TORCHVISION_SETS

GENERATOR = np.random.default_rng(0)


def config_of(name: str, root: Path) -> DataConfig:
    dataset: Any = f"torchvision:{name}"
    return DataConfig(dataset=dataset, root=str(root), resolution=28)


def write_idx(path: Path, array: np.ndarray) -> None:
    """As MNIST's files are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_pictures(folder: Path, count: int, suffix: str = ".jpg") -> list[str]:
    folder.mkdir(parents=True)
    names = [f"{folder.name}_{number}{suffix}" for number in range(count)]
    for name in names:
        Image.fromarray(GENERATOR.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(folder / name)
    return names


def test_every_set_has_a_name_in_study_files() -> None:
    named = {name for name in get_args(DatasetName) if name.startswith("torchvision:")}
    assert named == {f"torchvision:{name}" for name in TORCHVISION_SETS}


def test_arrays_are_as_they_are(tmp_path: Path) -> None:
    labels = np.arange(200) % 10
    for part, count in (("train", 200), ("t10k", 30)):
        images = np.repeat(np.arange(count), 784).reshape(count, 28, 28)
        write_idx(tmp_path / f"FashionMNIST/raw/{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"FashionMNIST/raw/{part}-labels-idx1-ubyte", labels[:count])
    config = config_of("FashionMNIST", tmp_path)
    splits, test = load_splits(config, resolution=28), load_test(config, resolution=28)
    assert splits.class_names[:2] == ("T-shirt/top", "Trouser")
    assert (len(splits.train.labels), len(splits.validation.labels)) == (160, 40)
    for part in (splits.train, splits.validation, test):
        assert part.images.shape[1:] == (1, 28, 28)
        assert np.array_equal(part.images[:, 0, 0, 0] % 10, part.labels)
    assert splits.mirror
    assert len(test.labels) == 30


def test_files_of_one_part_are_split(tmp_path: Path) -> None:
    for name in ("Forest", "River"):
        write_pictures(tmp_path / "eurosat/2750" / name, 20)
    config = config_of("EuroSAT", tmp_path)
    splits, test = load_splits(config, resolution=16), load_test(config, resolution=16)
    assert splits.class_names == ("Forest", "River")
    sizes = [len(part.labels) for part in (splits.train, splits.validation, test)]
    assert sizes == [27, 7, 6]
    assert splits.train.images.shape[1:] == (3, 16, 16)


def test_a_validation_part_is_used(tmp_path: Path) -> None:
    written = {
        name: write_pictures(tmp_path / "dtd/dtd/images" / name, 9) for name in ("dotted", "woven")
    }
    (tmp_path / "dtd/dtd/labels").mkdir()
    for part, rows in (("train", slice(5)), ("val", slice(5, 7)), ("test", slice(7, 9))):
        lines = [f"{name}/{file}\n" for name, files in written.items() for file in files[rows]]
        (tmp_path / f"dtd/dtd/labels/{part}1.txt").write_text("".join(lines))
    config = config_of("DTD", tmp_path)
    summary = summarise_data(config)
    assert (summary.train_images, summary.val_images) == (10, 4)
    splits, test = load_splits(config, resolution=16), load_test(config, resolution=16)
    assert splits.validation.labels.tolist() == test.labels.tolist() == [0, 0, 1, 1]
    with Image.open(tmp_path / "dtd/dtd/images/woven/woven_5.jpg") as image:
        middle = np.asarray(image)[5:35].transpose(2, 0, 1)
    assert np.abs(splits.validation.images[2].mean((1, 2)) - middle.mean((1, 2))).max() < 1


def test_what_is_not_there_and_cannot_be_downloaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(
        DataError, match=r"torchvision's SVHN is missing .* download failed"
    ) as said:
        summarise_data(config_of("SVHN", tmp_path))
    assert "\n" not in str(said.value)
