"""The npz data set: images and labels in one NumPy archive, every malformed one refused in one line."""

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from hgcnet.arrays import Images, Ints
from hgcnet.errors import DataError, one_line
from search.data.source import Part, Source, array_source

_WANTED = (
    "an .npz archive with images, uint8 (N, H, W) or (N, H, W, C), and labels, integers (N,); "
    "test_images and test_labels may be there too"
)


def open_npz(path: Path, part: Part) -> Source:
    """Reads `images`, `labels` and, for the test part, `test_images`, `test_labels`.

    Raises:
        DataError: the file is absent, is no such archive, or its arrays do not fit each other.
    """
    with _open_file(path) as file, _open_archive(path, file) as archive:
        has_test = _check_keys(path, archive)
        _check_size(path, archive)
        images, labels = _read_part(path, archive, "images", "labels")
        num_classes = int(labels.max()) + 1
        if (absent := num_classes - len(np.unique(labels))) > 0:
            raise DataError(
                f"{path}: labels: {absent} of the classes 0 to {num_classes - 1} have no image; "
                "labels must be 0 to the number of classes - 1"
            )
        names = tuple(str(label) for label in range(num_classes))
        if part == "train":
            return array_source(images, labels, names, has_test=has_test)

        test_images, test_labels = _read_part(path, archive, "test_images", "test_labels")
        if test_images.shape[1] != images.shape[1]:
            raise DataError(
                f"{path}: test_images: {test_images.shape[1]} channels, "
                f"but images has {images.shape[1]}"
            )
        if test_labels.max() >= num_classes:
            raise DataError(
                f"{path}: test_labels: {test_labels.max()} is no class of labels, "
                f"which are 0 to {num_classes - 1}"
            )
        return array_source(test_images, test_labels, names, has_test=has_test)


def _open_file(path: Path) -> BinaryIO:
    if not path.exists():
        raise DataError(f"{path}: does not exist; the npz data set is {_WANTED}")
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error


def _open_archive(path: Path, file: BinaryIO) -> NpzFile[Any]:
    try:
        archive = np.load(file, allow_pickle=False)
    except Exception as error:  # BadZipFile, and whatever else damage leads to
        raise DataError(f"{path}: cannot be read as {_WANTED}") from error
    if not isinstance(archive, NpzFile):
        raise DataError(f"{path}: holds a single array; the npz data set is {_WANTED}")
    return archive


def _check_keys(path: Path, archive: NpzFile[Any]) -> bool:
    """Whether there are test images; all keys that belong together must be there."""
    keys = set(archive.files)
    has_test = not keys.isdisjoint({"test_images", "test_labels"})
    needed = ["images", "labels"] + ["test_images", "test_labels"] * has_test
    if absent := [key for key in needed if key not in keys]:
        there = one_line(", ".join(sorted(keys)) or "nothing")
        raise DataError(f"{path}: {' and '.join(absent)}: missing; it has {there}")
    return has_test


def _check_size(path: Path, archive: NpzFile[Any]) -> None:
    """The archive's directory says how large its arrays are once they are unpacked."""
    assert archive.zip is not None  # it is open
    size = sum(member.file_size for member in archive.zip.infolist())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise DataError(
            f"{path}: its arrays take {size / 1e9:,.0f} GB, more than the {memory / 1e9:,.0f} GB "
            "of this machine's memory"
        )


def _read_part(
    path: Path, archive: NpzFile[Any], images_key: str, labels_key: str
) -> tuple[Images, Ints]:
    """Images as (N, C, H, W) and labels (N,), checked."""
    try:
        images, labels = archive[images_key], archive[labels_key]
    except Exception as error:  # zipfile, its decompressors and NumPy raise errors of many kinds
        raise DataError(
            f"{path}: {images_key} or {labels_key} cannot be read: {one_line(error)}"
        ) from error
    if (wrong := _error_of(images, labels, images_key, labels_key)) is not None:
        raise DataError(f"{path}: {wrong}")
    images = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
    return images, labels.astype(np.int64)


def _error_of(images: Any, labels: Any, images_key: str, labels_key: str) -> str | None:
    """What is wrong with the two members of an archive; None if nothing is."""
    for key, array in ((images_key, images), (labels_key, labels)):
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of a member that is none
            return f"{key}: is not an array"
    if images.dtype != np.uint8:
        return f"{images_key}: dtype {images.dtype} is not uint8 (values 0 to 255)"
    if images.ndim not in (3, 4) or 0 in images.shape:
        return f"{images_key}: shape {images.shape} is not (N, H, W) or (N, H, W, C)"
    if images.ndim == 4 and images.shape[3] > min(images.shape[1:3]):
        more = f"shape {images.shape} has more channels than rows or columns"
        return f"{images_key}: {more}; channels come last: (N, H, W, C)"
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        return f"{labels_key}: {labels.dtype} of shape {labels.shape} are not integers (N,)"
    if len(images) != len(labels):
        return f"{images_key} has {len(images)} images, but {labels_key} has {len(labels)} labels"
    if labels.min() < 0:
        return f"{labels_key}: {labels.min()} is negative; labels start at 0"
    if labels.max() > np.iinfo(np.int64).max:
        return f"{labels_key}: {labels.max()} is no number of a class"
    return None
