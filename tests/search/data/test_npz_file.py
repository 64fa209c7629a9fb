import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hgcnet.errors import DataError
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test, summarise_data

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
    ({**GOOD, "images": IMAGES / 255}, "images: dtype float64 is not uint8"),
    ({**GOOD, "images": IMAGES.reshape(40, 64)}, "images: shape (40, 64) is not (N, H, W)"),
    ({**GOOD, "images": IMAGES[:0]}, "images: shape (0, 8, 8) is not (N, H, W)"),
    (
        {**GOOD, "images": COLOUR.transpose(0, 3, 1, 2)},
        "images: shape (40, 3, 8, 8) has more channels than rows or columns",
    ),
    ({**GOOD, "images": IMAGES.astype(object)}, "images or labels cannot be read: Object arrays"),
    ({**GOOD, "labels": LABELS / 1}, "labels: float64 of shape (40,) are not integers"),
    ({**GOOD, "labels": LABELS[:, None]}, "labels: int64 of shape (40, 1) are not integers"),
    ({**GOOD, "labels": LABELS > 1}, "labels: bool of shape (40,) are not integers"),
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
    ({"test_images": IMAGES, "test_labels": LABELS + 1}, "test_labels: 4 is no class of labels"),
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
