import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hgcnet.errors import DataError
from search.data import file_facts, inspection
from search.data.data_config import DataConfig
from search.data.inspection import DataWarning, check_inspection, inspect_data
from search.data.reading_progress import observing_files
from search.data.splits import DataParts, load_splits, load_test, open_parts
from search.training.quality import QUALITY_METRICS

GENERATOR = np.random.default_rng(0)


def write_images(root: Path, *folders: str, count: int = 10) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = GENERATOR.integers(0, 256, (12, 9, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / folder / f"{number}.png")


def config_of(root: Path, **given: object) -> DataConfig:
    return DataConfig(dataset="image_folder", root=str(root), resolution=8, **given)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_facts, "_seen", {})


def test_all_files_that_cannot_be_read_are_told_at_once_also_of_the_test_part(
    tmp_path: Path,
) -> None:
    root = tmp_path / "images"
    write_images(root, "train/a", "train/b", "test/a", "test/b")
    broken = [
        f"{part}/{name}/{k}.png" for part in ("train", "test") for name in "ab" for k in "123"
    ]
    for name in broken:
        (root / name).write_bytes(b"no image")
    config = config_of(root)
    folder = inspect_data(config).folder
    assert folder is not None
    assert len(folder.unreadable) == 12
    assert all(any(name in line for line in folder.unreadable) for name in broken)
    with pytest.raises(DataError, match=r"^12 files cannot be used: ") as caught:
        check_inspection(config, inspect_data(config))
    assert str(caught.value).count("cannot be read as an image") == 10
    assert "; and 2 more; `hgcnas check-data` lists all" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="files cannot be used: "):  # its training images
        load_splits(config, resolution=8)


def test_unreadable_files_can_be_left_out_and_nothing_else_moves(tmp_path: Path) -> None:
    root = tmp_path / "images"
    write_images(root, "a", "b", count=30)
    whole = load_splits(config_of(root), resolution=8)
    (root / "a" / "7.png").write_bytes(b"no image")
    config = config_of(root, unreadable="skip")
    inspection = inspect_data(config)
    assert inspection.skipped == 1
    with pytest.warns(DataWarning, match="unreadable files left out: 1"):
        check_inspection(config, inspection)
    parts = [load_splits(config, resolution=8).train, load_splits(config, resolution=8).validation]
    assert sum(len(p.labels) for p in [*parts, load_test(config, resolution=8)]) == 59
    for part, before in zip(parts, (whole.train, whole.validation), strict=True):
        now, then = ({image.tobytes() for image in p.images} for p in (part, before))
        assert now <= then
        assert len(then - now) <= 1


def test_a_link_to_nothing_and_a_folder_of_one_broken_file_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "images", "a", "b")
    (tmp_path / "images" / "a" / "x.png").symlink_to(tmp_path / "nowhere.png")
    config = config_of(tmp_path / "images")
    message = f"^{re.escape(str(tmp_path))}/images/a/x.png: is a broken link$"
    with pytest.raises(DataError, match=message):
        check_inspection(config, inspect_data(config))


def test_a_second_look_opens_only_what_changed(tmp_path: Path) -> None:
    root = tmp_path / "images"
    write_images(root, "a", "b")
    config = config_of(root)
    first, opened = looked_at(config)
    assert opened == 20
    assert looked_at(config) == (first, 0)
    file_facts._seen.clear()  # as in another process
    assert looked_at(config) == (first, 0)
    Image.new("L", (40, 50)).save(root / "a" / "3.png")
    second, opened = looked_at(config)
    assert opened == 1
    assert second[0] == ((9, 12), (9, 12), (40, 50))
    assert second[1] == {"RGB": 19, "L": 1}


def looked_at(config: DataConfig) -> tuple[object, int]:
    opened = 0

    def observe(done: int, total: int) -> None:
        nonlocal opened
        opened = done

    with observing_files(observe):
        folder = inspect_data(config).folder
    assert folder is not None
    return (folder.sizes, folder.modes, folder.seconds), opened


def test_a_look_needs_no_place_to_keep_what_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_images(tmp_path / "images", "a", "b")
    first = inspect_data(config_of(tmp_path / "images"))
    assert first == inspect_data(config_of(tmp_path / "images"))


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1, 2", b'{"made_by": 3, "files": 4}'])
def test_what_an_earlier_look_left_may_be_damaged(damage: bytes, tmp_path: Path) -> None:
    write_images(tmp_path / "images", "a", "b")
    first = inspect_data(config_of(tmp_path / "images"))
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_bytes(damage)
    file_facts._seen.clear()
    second = inspect_data(config_of(tmp_path / "images"))
    assert second.counts == first.counts
    assert looked_at(config_of(tmp_path / "images"))[1] == 0


def test_the_same_picture_in_two_parts_or_classes_is_told_by_name(tmp_path: Path) -> None:
    root = tmp_path / "images"
    write_images(root, "train/a", "train/b", "test/a", "test/b")
    assert inspect_data(config_of(root)).warnings() == []
    shutil.copy(root / "train/a/3.png", root / "test/a/copy.png")
    with Image.open(root / "train/a/4.png") as image:  # the same picture in another file
        image.save(root / "train/b/other.bmp")
    shutil.copy(root / "test/b/1.png", root / "test/b/again.png")  # harmless
    (line,) = inspect_data(config_of(root)).warnings()
    assert line.startswith("4 images have the same pixels as one of another part or class")
    for name in ("a/3.png = test a/copy.png", "a/4.png", "b/other.bmp"):
        assert name in line


def test_what_lies_more_than_once_in_an_archive_is_told(
    write_npz: Callable[..., DataConfig],
) -> None:
    images = GENERATOR.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    test = {"test_images": images[:3], "test_labels": labels[:3]}
    (line,) = inspect_data(write_npz(images=images, labels=labels, **test)).warnings()
    assert line.startswith("6 images have the same pixels as one of another part or class")


def test_an_archive_is_looked_at_once_as_long_as_it_is_the_same(
    write_npz: Callable[..., DataConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_and_note(config: DataConfig) -> DataParts:
        opened.append(config)
        return open_parts(config)

    monkeypatch.setattr(inspection, "open_parts", open_and_note)
    images = GENERATOR.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    config = write_npz(images=images, labels=np.arange(40) % 2)
    assert inspect_data(config) == inspect_data(config)
    assert opened == [config]
    inspect_data(replace(config, channels="rgb"))
    assert len(opened) == 2
    write_npz(images=images, labels=np.arange(40) % 4)
    assert len(inspect_data(config).class_names) == 4
    with pytest.raises(DataError, match="does not exist"):
        inspect_data(replace(config, root="nowhere.npz"))


def test_one_class_of_most_images_is_said_to_mislead(tmp_path: Path) -> None:
    root = tmp_path / "images"
    write_images(root, "train/a", "train/b", "val/a", "val/b", "test/a", count=3)
    write_images(root, "val/b", count=95)
    inspection = inspect_data(config_of(root))
    assert inspection.largest_class == ("b", 98 / 104)
    first, second = inspection.warnings()
    assert first.startswith("94.2% of the images are of one class, 'b': always predicting it")
    assert all(way_out in first for way_out in (*QUALITY_METRICS[1:], 'class_weights = "balanced"'))
    assert second == "classes without test images: 'b'"


def test_an_odd_file_that_can_be_read_is_read_without_a_word(tmp_path: Path) -> None:
    root = tmp_path / "images"
    write_images(root, "a", "b")
    png = (root / "a" / "0.png").read_bytes()
    chunk = b"acTL" + bytes(8)  # of an animation of no frames: Pillow warns of it
    chunk = (8).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    (root / "a" / "0.png").write_bytes(png[:33] + chunk + png[33:])
    with pytest.warns(UserWarning, match="Invalid APNG"), Image.open(root / "a" / "0.png") as image:
        image.load()
    folder = inspect_data(config_of(root)).folder
    assert folder is not None
    assert folder.unreadable == ()
