import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hgcnet.errors import DataError
from search.data.data_config import DataConfig
from search.data.folder_listing import (
    FolderListing,
    image_suffixes,
    left_out_text,
    list_image_folder,
)
from search.data.splits import summarise_data


def write(root: Path, *names: str, content: bytes = b"something") -> Path:
    """Files by name; a name that ends in / is a folder."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


def pictures(*folders: str, count: int = 4) -> Iterable[str]:
    return (f"{folder}/{number}.png" for folder in folders for number in range(count))


def names_of(listing: FolderListing) -> dict[str, list[str]]:
    return {part: [file.name for file in files] for part, files in listing.parts.items()}


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "validation", "Testing"),
        ("training", None, "testing"),
        ("train", "val", None),
        ("train", None, None),
    ],
)
def test_parts_are_known_by_their_usual_names_in_any_case(
    train: str, val: str | None, test: str | None, tmp_path: Path
) -> None:
    given = {"train": train, "validation": val, "test": test}
    expected: dict[str, list[str]] = {}
    for part, folder in given.items():
        if folder is not None:
            names = [f"{name}/{part}-{k}.png" for name in ("a", "b") for k in range(2)]
            write(tmp_path, *(f"{folder}/{name}" for name in names))
            expected[part] = names
    listing = list_image_folder(tmp_path)
    assert listing.class_names == ("a", "b")
    assert names_of(listing) == expected


def test_classes_may_lie_under_the_root_also_where_one_is_called_train(tmp_path: Path) -> None:
    write(tmp_path, *pictures("bus", "train", "n01440764"))
    assert list_image_folder(tmp_path).class_names == ("bus", "n01440764", "train")


def test_what_systems_leave_behind_is_left_out_at_every_depth_and_counted(tmp_path: Path) -> None:
    write(tmp_path, *pictures("a", "b/deeper/still", count=1))
    for folder in ("", "a/", "b/deeper/"):
        write(tmp_path, f"{folder}._0.png", f"{folder}.ipynb_checkpoints/0.png")
        write(tmp_path, f"{folder}__MACOSX/0.png", f"{folder}@eaDir/0.png/thumb.png")
    write(tmp_path, "a/Thumbs.db", "a/desktop.ini", "a/1.heic", "a/2.HEIC", "b/drawing.svg")
    write(tmp_path, "b/README", "b/1.png", content=b"")
    listing = list_image_folder(tmp_path)
    assert names_of(listing) == {"train": ["a/0.png", "b/deeper/still/0.png"]}
    assert listing.left_out == {
        "hidden": 5,  # of the root only folders are looked at
        "system": 8,
        ".heic": 2,
        ".svg": 1,
        "without a suffix": 1,
        "empty": 1,
    }
    assert left_out_text(listing.left_out).startswith("8 system, 5 hidden, 2 .heic, ")


def test_every_format_whose_pixels_pillow_reads_is_an_image() -> None:
    assert {".png", ".jpg", ".gif", ".jfif", ".webp", ".jp2", ".tga", ".mpo"} <= image_suffixes()
    assert not image_suffixes() & {".svg", ".heic", ".pdf", ".eps", ".mpg", ".h5", ".txt", ""}


def test_links_to_files_and_classes_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    write(tmp_path / "there", *pictures("b", count=2))
    root = write(tmp_path / "root", *pictures("a", count=2))
    (root / "b").symlink_to(tmp_path / "there" / "b")
    (root / "a" / "link.png").symlink_to(tmp_path / "there" / "b" / "0.png")
    (root / "a" / "circle").symlink_to(root)
    (root / "a" / "nowhere.png").symlink_to(tmp_path / "nowhere.png")
    listing = list_image_folder(root)
    assert names_of(listing)["train"] == [
        *("a/0.png", "a/1.png", "a/link.png", "a/nowhere.png", "b/0.png", "b/1.png")
    ]
    assert listing.left_out == {"link to a folder": 1}


BAD = {
    "seg_train seg_test": (
        [*pictures("seg_train/a", "seg_train/b", "seg_test/a", "seg_test/b")],
        "'seg_test', 'seg_train' look like parts of a data set, not classes; name parts train",
    ),
    "unlabelled": ([*pictures("train", "test")], "'test', 'train' look like parts of a data set"),
    "two spellings": (
        [*pictures("Train/a", "Train/b", "training/a", "training/b")],
        "'Train' and 'training' both hold the train images",
    ),
    "no train": ([*pictures("val/a", "test/a")], "has test/ and val/ but no train/"),
    "class in test alone": (
        [*pictures("train/a", "train/b", "test/a", "test/c")],
        "test: 'c' is not a class of",
    ),
    "class in val alone": (
        [*pictures("train/a", "train/b", "val/a", "val/c")],
        "val: 'c' is not a class of",
    ),
    "other spelling in test": (
        [*pictures("train/cat", "train/dog", "test/Cat")],
        "test: 'Cat' is not a class of {root}/train, which has 'cat'",
    ),
    "alike": ([*pictures("cat", "Cat ")], "the classes 'Cat ' and 'cat' differ only in spelling"),
    "alike in accents": (
        [*pictures("caf\u00e9", "cafe\u0301")],
        "differ only in spelling",
    ),
    "parts below classes": (
        [*pictures("a/train", "a/test", "b/train", "b/test")],
        "every class holds folders of parts, such as a/train",
    ),
    "one level too high": (
        [*pictures("images/a", "images/b")],
        "has 1 class folder, 'images', with the folders 'a', 'b' in it; did you mean {root}/images?",
    ),
    "train is a class or a part": (
        [*pictures("train/steam", "train/diesel", "bus")],
        "train/ holds folders, and bus/ beside it holds images",
    ),
    "test without classes": (
        [*pictures("train/a", "train/b", "test")],
        "test: has no class folders, but 4 images; image_folder is ROOT/train/<class>/",
    ),
    "one class": (
        [*pictures("images"), "labels.csv"],
        "{root}: has 1 class, 'images'; two or more are needed: image_folder is ROOT/train/<class>/",
    ),
    "empty class in test": (
        [*pictures("train/a", "train/b", "test/a"), "test/b/notes.txt"],
        "test/b: has no images: 1 .txt is left out",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_may_be_laid_out_otherwise_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    files, message = BAD[case]
    write(tmp_path, *files)
    with pytest.raises(DataError, match=re.escape(message.format(root=tmp_path))) as caught:
        list_image_folder(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("folder", ["", "a", "a/deeper", "test"])
def test_a_folder_that_may_not_be_read_is_never_an_empty_one(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, *pictures("train/a", "train/b", "train/a/deeper", "test/a", "test/b"))
    denied = tmp_path if folder in ("", "test") else tmp_path / "train"
    denied = denied / folder

    def refuse(path: str | os.PathLike[str] = ".") -> object:
        if Path(path) == denied:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    scandir = os.scandir  # root may read everything, and tests may run as root
    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", lambda path=".": [e.name for e in refuse(path)])  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=f"^{denied}: cannot be read: Permission denied$"):
        list_image_folder(tmp_path)


def test_a_validation_folder_is_the_validation_part(tmp_path: Path) -> None:
    sizes: Mapping[str, int] = {"train": 6, "val": 2, "test": 3}
    for part, count in sizes.items():
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                image = np.full((8, 8), number, dtype=np.uint8)
                Image.fromarray(image).save(tmp_path / part / name / f"{number}.png")
    config = DataConfig(dataset="image_folder", root=str(tmp_path), resolution=8)
    summary = summarise_data(config)
    assert (summary.train_images, summary.val_images) == (12, 4)
