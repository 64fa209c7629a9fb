import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hgcnet.errors import DataError
from search.data.data_config import DataConfig
from search.data.splits import ImageSet, Splits, load_splits, load_test, summarise_data

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
LABELS = np.arange(40) % 4
GOOD = {"images": IMAGES, "labels": LABELS}
COLOUR = np.stack([IMAGES] * 3, axis=-1)


def test_digits_in_an_npz_are_the_digits(
    digits: tuple[np.ndarray, np.ndarray], write_npz: Callable[..., DataConfig]
) -> None:
    images, labels = digits
    config = write_npz(images=images, labels=labels.astype(np.uint8))
    direct = DataConfig(dataset="digits", resolution=8)
    ours, theirs = load_splits(config, resolution=8), load_splits(direct, resolution=8)
    assert np.array_equal(ours.train.images, theirs.train.images)
    assert np.array_equal(ours.validation.labels, theirs.validation.labels)
    assert np.array_equal(
        load_test(config, resolution=8).images, load_test(direct, resolution=8).images
    )


def test_channels_come_last_in_the_file_and_first_in_the_splits(
    write_npz: Callable[..., DataConfig],
) -> None:
    images = COLOUR.copy()
    images[..., 1] = 7
    splits = load_splits(write_npz(images=images, labels=LABELS), resolution=8)
    assert splits.train.images.shape[1:] == (3, 8, 8)
    assert (splits.train.images[:, 1] == 7).all()


BAD_ARRAYS = [
    ({}, "images and labels: missing; it has nothing"),
    ({"images": IMAGES}, "labels: missing; it has images"),
    ({"x": IMAGES, "labels": LABELS}, "images: missing; it has labels, x"),
    ({**GOOD, "test_images": IMAGES}, "test_labels: missing; it has images, labels, test_images"),
    (
        {**GOOD, "images": IMAGES / 1},
        "images: dtype float64 is not uint8 (values 0 to 255); floats must be in [0, 1], "
        "and these are 0 to 255",
    ),
    ({**GOOD, "images": IMAGES / 127.5 - 1}, "must be in [0, 1], and these are -1 to 1"),
    ({**GOOD, "images": np.full((40, 8, 8), np.nan)}, "and these are nan to nan"),
    ({**GOOD, "images": np.rint(IMAGES / 255)}, "all values are 0 or 1, so white may be 1 or 255"),
    ({**GOOD, "images": IMAGES.astype(np.int64)}, "images: dtype int64 is not uint8"),
    ({**GOOD, "images": IMAGES.reshape(40, 64)}, "images: shape (40, 64) is not (N, H, W)"),
    ({**GOOD, "images": IMAGES[:0]}, "images: shape (0, 8, 8) is not (N, H, W)"),
    (
        {**GOOD, "images": np.stack([IMAGES] * 5, axis=1)},
        "images: shape (40, 5, 8, 8) has more channels than rows or columns",
    ),
    (
        {**GOOD, "images": COLOUR[:, :, :3].transpose(0, 2, 1, 3)},
        "images: shape (40, 3, 8, 3) is ambiguous: (N, H, W, C) or (N, C, H, W)",
    ),
    ({**GOOD, "images": IMAGES.astype(object)}, "images or labels cannot be read: Object arrays"),
    ({**GOOD, "labels": LABELS / 1}, "labels: float64 of shape (40,) are not integers"),
    (
        {**GOOD, "labels": np.arange(120).reshape(40, 3) % 2},
        "labels: int64 of shape (40, 3) are neither integers (N,) nor one-hot rows of 3 classes; "
        "images of several classes are not supported",
    ),
    (
        {**GOOD, "train_images": IMAGES, "train_labels": LABELS},
        "the training images may be images or train_images",
    ),
    ({**GOOD, "val_images": IMAGES}, "val_labels: missing; it has images, labels, val_images"),
    (
        {**GOOD, "labels": np.array(["cat", "dog"] * 20, dtype=object)},
        "Object arrays cannot be loaded when allow_pickle=False; save text labels as labels.astype(str)",
    ),
    ({**GOOD, "labels": LABELS[:39]}, "images has 40 images, but labels has 39 labels"),
    ({**GOOD, "labels": LABELS - 1}, "labels: -1 is negative"),
    ({**GOOD, "labels": LABELS + 1}, "labels: 1 of the classes 0 to 4 have no image"),
    ({**GOOD, "labels": LABELS * 0}, "has 1 class, '0'; two or more are needed"),
    (
        {"images": IMAGES[:11], "labels": LABELS[:11]},
        "class '3' has 2 images; each class needs 3 or more to be split into training, validation",
    ),
]
BAD_TEST_ARRAYS = [
    ({"test_images": IMAGES[:5], "test_labels": LABELS[:4]}, "test_images has 5 images, but test_"),
    ({"test_images": COLOUR, "test_labels": LABELS}, "test_images: 3 channels, but images has 1"),
    ({"test_images": IMAGES, "test_labels": LABELS + 1}, "test_labels: 4 is not a class of labels"),
    ({"test_images": IMAGES[:0], "test_labels": LABELS[:0]}, "test_images: shape (0, 8, 8) is not"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused_in_one_line(
    arrays: dict[str, np.ndarray], message: str, write_npz: Callable[..., DataConfig]
) -> None:
    config = write_npz(**arrays)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_splits(config, resolution=8)
    assert "\n" not in str(caught.value)
    assert config.root in str(caught.value)


@pytest.mark.parametrize(("arrays", "message"), BAD_TEST_ARRAYS)
def test_test_arrays_that_do_not_fit_are_refused_in_one_line(
    arrays: dict[str, np.ndarray], message: str, write_npz: Callable[..., DataConfig]
) -> None:
    config = write_npz(**GOOD, **arrays)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_test(config, resolution=8)
    assert "\n" not in str(caught.value)


def load_both(config: DataConfig) -> tuple[Splits, ImageSet]:
    return load_splits(config, resolution=8), load_test(config, resolution=8)


WORDS = np.array(["dog", "cat", "ant", "bee"])


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": IMAGES / 255, "labels": LABELS},
        {"images": (IMAGES / 255).astype(np.float32), "labels": LABELS},
        {"images": IMAGES[:, None], "labels": LABELS},  # (N, 1, H, W)
        {"images": IMAGES, "labels": LABELS[:, None].astype(np.uint8)},
        {"images": IMAGES, "labels": np.eye(4)[LABELS]},
        {"images": IMAGES, "labels": np.eye(4, dtype=np.bool_)[LABELS]},
        {"train_images": IMAGES, "train_labels": LABELS},
        {"x_train": IMAGES, "y_train": LABELS},
        {"X": IMAGES, "y": LABELS},
    ],
)
def test_what_can_be_meant_in_one_way_only_is_read(
    arrays: dict[str, np.ndarray], write_npz: Callable[..., DataConfig]
) -> None:
    (expected, expected_test), (found, test) = (
        load_both(write_npz(**GOOD)),
        load_both(write_npz(**arrays)),
    )
    for ours, theirs in (
        *((found.train, expected.train), (found.validation, expected.validation)),
        (test, expected_test),
    ):
        assert np.array_equal(ours.images, theirs.images)
        assert np.array_equal(ours.labels, theirs.labels)


def test_words_are_classes_in_their_order(write_npz: Callable[..., DataConfig]) -> None:
    test = {"test_images": IMAGES[:3], "test_labels": np.array(["cat", "dog", "ant"])}
    config = write_npz(images=IMAGES, labels=WORDS[LABELS], **test)
    splits, tested = load_both(config)
    assert splits.class_names == ("ant", "bee", "cat", "dog")
    assert tested.labels.tolist() == [2, 3, 0]
    test["test_labels"] = np.array(["cat", "cow", "ant"])
    config = write_npz(images=IMAGES, labels=WORDS[LABELS], **test)
    with pytest.raises(DataError, match="test_labels: 'cow' is not a class of labels"):
        load_test(config, resolution=8)


def test_an_archive_of_medmnist_is_read_as_it_is(write_npz: Callable[..., DataConfig]) -> None:
    parts = {"train": slice(0, 24), "val": slice(24, 32), "test": slice(32, 40)}
    arrays = {f"{part}_images": COLOUR[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": LABELS[rows, None] for part, rows in parts.items()}
    splits, test = load_both(write_npz(**arrays))
    for part, rows in zip((splits.train, splits.validation, test), parts.values(), strict=True):
        assert np.array_equal(part.images, COLOUR[rows].transpose(0, 3, 1, 2))
        assert np.array_equal(part.labels, LABELS[rows])


def _write_garbage(path: Path) -> None:
    path.write_bytes(b"not an archive")


def _write_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, IMAGES)


def _write_half(path: Path) -> None:
    np.savez(path, **GOOD)
    path.write_bytes(path.read_bytes()[:2000])


def _write_damaged(path: Path) -> None:
    np.savez_compressed(path, **GOOD)
    content = bytearray(path.read_bytes())
    content[600:700] = bytes(100)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "does not exist; the npz data set is an .npz archive with images"),
        (Path.touch, "cannot be read as an .npz archive"),
        (Path.mkdir, "cannot be opened: Is a directory"),
        (_write_garbage, "cannot be read as an .npz archive"),
        (_write_half, "cannot be read as an .npz archive"),
        (_write_array, "holds a single array"),
        (_write_damaged, "images or labels cannot be read"),
    ],
)
def test_a_file_that_is_no_archive_is_refused_in_one_line(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.npz"
    write(path)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {message}')}") as caught:
        summarise_data(DataConfig(dataset="npz", root=str(path), resolution=8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_labels_that_are_true_or_false_are_two_classes(
    shape: tuple[int, ...], write_npz: Callable[..., DataConfig]
) -> None:
    expected = load_both(write_npz(images=IMAGES, labels=(LABELS > 1).astype(int)))
    found = load_both(write_npz(images=IMAGES, labels=(LABELS > 1).reshape(shape)))
    assert found[0].class_names == ("0", "1")
    assert np.array_equal(found[0].train.labels, expected[0].train.labels)
    assert np.array_equal(found[1].images, expected[1].images)
