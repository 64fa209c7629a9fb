import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.data_config import DataConfig
from search.data.data_record import DataRecord, data_difference, read_files, record_data
from search.data.splits import open_parts

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
LABELS = np.arange(40) % 4


def config_of(root: Path) -> DataConfig:
    return DataConfig(dataset="image_folder", root=str(root), resolution=8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(40):
            image = np.full((8, 8), number, dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / "images" / name / f"{number:02}.png")
    return tmp_path / "images"


def difference(before: DataRecord, root: Path, *, with_files: bool = True) -> str | None:
    files = before.files if with_files else {}
    return data_difference(before.summary(), record_data(config_of(root)), files)


def test_the_same_files_in_another_folder_are_the_same_data(root: Path, tmp_path: Path) -> None:
    before = record_data(config_of(root))
    shutil.copytree(root, tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere" / "cat" / "03.png", (0, 0))
    assert difference(before, tmp_path / "elsewhere") is None


def test_what_was_lost_found_and_changed_is_said_by_class_and_name(root: Path) -> None:
    before = record_data(config_of(root))
    for number in range(4):
        (root / "cat" / f"{number:02}.png").unlink()
    (root / "dog" / "07.png").write_bytes(b"x" * 999)
    shutil.copy(root / "dog" / "08.png", root / "dog" / "more.png")
    files = "train/cat/00.png, train/cat/01.png, train/cat/02.png, ..."
    dogs = "class 'dog': 1 new (train/dog/more.png), 1 changed (train/dog/07.png)"
    assert difference(before, root) == f"class 'cat': 4 lost ({files}); {dogs}"
    told = difference(before, root, with_files=False)
    assert told == "class 'cat': 40 images before, 36 now; class 'dog': 40 images before, 41 now"


def test_another_class_or_another_name_of_one_is_said(root: Path) -> None:
    before = record_data(config_of(root))
    shutil.copytree(root / "cat", root / "cow")
    assert difference(before, root) == "the class 'cow' is new"
    shutil.rmtree(root / "dog")
    (root / "cow").rename(root / "dog")
    assert difference(before, root) is None  # they have the same sizes
    (root / "dog").rename(root / "hound")
    assert difference(before, root) == "the class 'dog' is gone; the class 'hound' is new"


def test_files_of_a_record_that_cannot_be_read_name_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    for content in (b"", b"[]", b'{"files": [1]}', b'{"files": {"a": 1}}'):
        path.write_bytes(content)
        assert read_files(path) == {}


def test_an_archive_is_known_by_its_content(write_npz: Callable[..., DataConfig]) -> None:
    config = write_npz(images=IMAGES, labels=LABELS)
    before = record_data(config)
    np.savez_compressed(config.root, images=IMAGES, labels=LABELS)
    assert record_data(config) == before
    other = IMAGES.copy()
    other[7, 3, 3] += 1
    now = record_data(write_npz(images=other, labels=LABELS))
    words = "as many images of each class, but different ones"
    assert data_difference(before.summary(), now, {}) == words


def parts_of(root: Path) -> dict[str, str]:
    parts = open_parts(config_of(root)).parts
    return {
        source.files[index].name: part
        for part, (source, indices) in parts.items()
        for index in indices
    }


def test_a_file_more_or_less_moves_no_other_one_to_another_part(root: Path) -> None:
    before = parts_of(root)
    assert set(before.values()) == {"train", "validation", "test"}
    for name in ("cat/04.png", "cat/20.png", "dog/11.png"):
        (root / name).unlink()
    shutil.copy(root / "dog" / "08.png", root / "dog" / "a new one.png")
    now = parts_of(root)
    assert len(now) == 78
    assert all(before.get(name, part) == part for name, part in now.items())


@pytest.mark.parametrize("count", [3, 4, 6])
def test_every_class_has_an_image_in_every_part_however_few_there_are(
    count: int, tmp_path: Path
) -> None:
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.png").write_bytes(b"never opened")
    parts = open_parts(config_of(tmp_path))
    assert all(min(parts.class_counts(part).values()) > 0 for part in parts.parts)
    assert sum(sum(parts.class_counts(part).values()) for part in parts.parts) == 8 * count


def test_a_set_by_name_is_known_without_a_look(tmp_path: Path) -> None:
    here, there = (
        record_data(DataConfig(dataset="cifar10", root=str(root), resolution=32))
        for root in (tmp_path, tmp_path / "nowhere")
    )
    assert here == there
    assert here != record_data(DataConfig(dataset="cifar100", resolution=32))
