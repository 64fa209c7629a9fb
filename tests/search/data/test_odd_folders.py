"""Folders made odd at random: what is trained on is the truth of each class's files, or there is one line."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hgcnet.errors import DataError
from search.data.data_config import DataConfig
from search.data.inspection import inspect_data
from search.data.splits import load_splits, load_test

PARTS = {
    "train": ("train", "Train", "TRAINING", "training"),
    "validation": ("val", "Valid", "validation"),
    "test": ("test", "Test", "testing"),
}
SUFFIXES = (".png", ".PNG", ".bmp", ".gif", ".tif", ".webp", ".jfif")
# As a person names classes; the last three are refused beside some other.
CLASSES = (
    "cat",
    "dog",
    "n01440764",
    "train",
    "Überraschung 猫",
    "a\nb",
    "x [bold]",
    "Cat",
    "cat ",
    "test",
)
JUNK = (
    *("._0.png", ".DS_Store", "Thumbs.db", "notes.txt", "old.heic", "drawing.svg", "no suffix"),
    *("__MACOSX/0.png", "@eaDir/0.png/thumb.jpg", ".ipynb_checkpoints/0.png", "nothing.png"),
)


# The folder of each part, the classes, (part, class, colour) of each picture, and (part, class, name) of junk.
Made = tuple[dict[str, str], list[str], list[tuple[str, str, int]], list[tuple[str, str, str]]]


def save(path: Path, colour: int) -> None:
    """A picture whose colour says which it is, whatever becomes of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    value = (colour // 256, colour % 256, 7)
    kind = {".jfif": "PNG", ".webp": "WEBP"}.get(path.suffix.lower())
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.new("RGB", (8, 8), value).save(path, format=kind, **options)


@st.composite
def folders(draw: st.DrawFn) -> Made:
    given_parts = draw(st.sampled_from([(), ("train",), ("train", "test"), tuple(PARTS)]))
    named = {part: draw(st.sampled_from(PARTS[part])) for part in given_parts}
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=4, unique=True))
    pictures = [
        (part, name, 1 + colour)
        for colour, (part, name) in enumerate(
            (part, name)
            for part in given_parts or ("train",)
            for name in classes
            for _ in range(draw(st.integers(2, 5)))
        )
    ]
    places = st.tuples(
        st.sampled_from([*named.values(), ""]),
        st.sampled_from([*classes, ""]),
        st.sampled_from(JUNK),
    )
    return named, classes, pictures, draw(st.lists(places, max_size=8))


def write(root: Path, made: Made, suffixes: list[str]) -> None:
    named, _, pictures, junk = made
    for number, (part, name, colour) in enumerate(pictures):
        inner = "deeper/still" if number % 5 == 0 else ""
        suffix = suffixes[number % len(suffixes)]
        save(root / named.get(part, "") / name / inner / f"{number}{suffix}", colour)
    for part, name, junk_name in junk:
        folder = root / part / name
        if not folder.is_dir():
            continue
        path = folder / junk_name
        if junk_name.endswith((".jpg", "s/0.png", "X/0.png")):
            save(path, 0)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"" if junk_name == "nothing.png" else b"no picture")


def check(made: Made, suffixes: list[str], root: Path) -> bool:
    """Whether the folder was read."""
    _, classes, pictures, _ = made
    config = DataConfig(dataset="image_folder", root=str(root), resolution=8)
    said = None
    try:
        inspection = inspect_data(config)
        splits, test = load_splits(config, resolution=8), load_test(config, resolution=8)
    except DataError as error:
        said = str(error)
    if said is not None:
        assert "\n" not in said
        assert str(root) in said
        return False
    assert inspection.folder is not None
    assert inspection.folder.unreadable == ()
    assert splits.class_names == tuple(sorted(classes))
    found: dict[int, tuple[str, str]] = {}
    for part, images in (
        *(("train", splits.train), ("validation", splits.validation)),
        ("test", test),
    ):
        for image, label in zip(images.images, images.labels, strict=True):
            colour = int(image[0, 0, 0]) * 256 + int(image[1, 0, 0])
            assert colour not in found
            found[colour] = (part, splits.class_names[label])
    assert {colour: name for colour, (_, name) in found.items()} == {
        colour: name for _, name, colour in pictures
    }
    given_parts = {part for part, _, _ in pictures}
    for part, _, colour in pictures:
        if part != "train":
            assert found[colour][0] == part
        else:
            assert found[colour][0] not in given_parts - {"train"}
    return True


@pytest.mark.parametrize("examples", [15, pytest.param(1000, marks=pytest.mark.long)])
def test_a_folder_made_odd_is_read_as_it_is_meant_or_refused_in_one_line(examples: int) -> None:
    read: list[bool] = []

    @settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck]
    )
    @given(folders(), st.lists(st.sampled_from(SUFFIXES), min_size=1, max_size=4))
    def every(made: Made, suffixes: list[str]) -> None:
        root = Path(tempfile.mkdtemp(prefix="hgcnas-odd-"))
        try:
            write(root, made, suffixes)
            read.append(check(made, suffixes, root))
        finally:
            shutil.rmtree(root)

    every()
    assert 0.2 < np.mean(read) < 1.0
