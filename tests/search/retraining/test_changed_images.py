"""Images that are broken, or change between two calls, are told before anything is trained on them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import hgcnet
from tests.parts.commands import hgcnas
from tests.parts.image_folders import FLAT, PARTS, write_image_folder
from tests.parts.retrained_study import write_networks

TRAIN = ("train", "one.toml", "--dataset", "image_folder", "-o", "models", "--batch-size", "8")


def train(folder: Path, *options: str, root: str = "images", code: int = 0) -> str:
    ended = hgcnas(*TRAIN, "--root", root, *options, cwd=folder, code=code)
    return ended.errors if code else ended.output


def _break_a_test_image(root: Path) -> None:
    (root / "test/circle/003.png").write_bytes(b"no image")


def _break_a_training_image(root: Path) -> None:
    (root / "train/square/003.png").write_bytes(b"no image")


def _add_a_class_to_the_test_part(root: Path) -> None:
    write_image_folder(root, "test/triangle")


def _take_the_labels_away(root: Path) -> None:
    shutil.rmtree(root / "test/circle")
    (root / "test/square").rename(root / "images")
    for path in (root / "images").iterdir():
        path.rename(root / "test" / path.name)


def _empty_a_class_of_the_test_part(root: Path) -> None:
    for path in (root / "test/circle").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_break_a_test_image, "images/test/circle/003.png: cannot be read as an image"),
        (_break_a_training_image, "images/train/square/003.png: cannot be read as an image"),
        (_add_a_class_to_the_test_part, "images/test: 'triangle' is not a class of images/train"),
        (_take_the_labels_away, "images/test: has no class folders"),
        (_empty_a_class_of_the_test_part, "images/test/circle: has no images"),
    ],
)
def test_what_is_wrong_with_the_images_is_said_before_the_first_epoch(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    write_networks(tmp_path)
    spoil(write_image_folder(tmp_path / "images", *PARTS))
    said = train(tmp_path, "--epochs", "1", code=2)
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "models").exists()


def test_images_that_are_mended_as_told_before_the_first_epoch_are_those_it_begins_with(
    tmp_path: Path,
) -> None:
    write_networks(tmp_path)
    root = write_image_folder(tmp_path / "images", *PARTS)
    (tmp_path / "models").mkdir()
    _break_a_test_image(root)
    train(tmp_path, "--epochs", "1", code=2)
    (root / "test/circle/003.png").unlink()
    train(tmp_path, "--epochs", "1")
    assert hgcnet.read_record(tmp_path / "models/seed-0").metrics["test_accuracy"] is not None


def test_unreadable_images_that_are_left_out_are_counted_in_the_model_folder(
    tmp_path: Path,
) -> None:
    write_networks(tmp_path)
    root = write_image_folder(tmp_path / "images", *PARTS)
    _break_a_test_image(root)
    _break_a_training_image(root)
    ended = hgcnas(
        *(*TRAIN, "--root", "images", "--epochs", "1", "--unreadable", "skip"), cwd=tmp_path
    )
    assert ended.errors == "hgcnas: image_folder images: unreadable files left out: 2\n"
    assert hgcnet.read_record(tmp_path / "models/seed-0").metrics["skipped_files"] == 2


def test_trainings_go_on_with_the_images_that_they_began_with_and_no_others(
    tmp_path: Path,
) -> None:
    write_networks(tmp_path)
    root = write_image_folder(tmp_path / "images", *FLAT, count=30)
    train(tmp_path, "--epochs", "1")
    shutil.move(root, tmp_path / "moved")
    train(tmp_path, "--epochs", "1", "--seeds", "2", root="moved")  # the same, elsewhere
    (tmp_path / "moved/circle/005.png").unlink()
    said = train(tmp_path, "--epochs", "1", "--seeds", "3", root="moved", code=2)
    assert said == (
        "hgcnas: models: its trainings began with other data than moved has now: class 'circle': 1 lost "
        "(train/circle/005.png); restore the data, delete the folder, or name another one\n"
    )
    write_image_folder(tmp_path / "others", *FLAT, count=31, seed=1)
    said = train(tmp_path, "--epochs", "1", root="others", code=2)
    assert "began with other data than others has now: class 'circle': " in said


def test_trainings_that_set_other_images_aside_are_not_gone_on_with(tmp_path: Path) -> None:
    write_networks(tmp_path)
    write_image_folder(tmp_path / "images", *FLAT, count=30)
    train(tmp_path, "--epochs", "1")
    recipe = tmp_path / "models/recipe.json"
    document = json.loads(recipe.read_bytes())
    del document["data_began_with"]  # as before there was this key
    recipe.write_text(json.dumps(document))
    train(tmp_path, "--epochs", "1")  # there is nothing left to train
    said = train(tmp_path, "--epochs", "1", "--seeds", "2", code=2)
    assert (
        "models: was begun by an earlier hgcnas, which set other images of the folder aside" in said
    )
