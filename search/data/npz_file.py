"""The npz data set: images and labels in one NumPy archive; malformed ones are refused in one line."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from hgcnet.arrays import Images, Ints
from hgcnet.errors import DataError, one_line, shown
from search.data.source import Part, Source, array_source

_WANTED = (
    "an .npz archive with images, uint8 (N, H, W) or (N, H, W, C), and labels, integers (N,); "
    "optionally with test_images and test_labels"
)
# The names that images and labels of the training, validation and test part have; MedMNIST has the
# second, Keras the third.
_Pair = tuple[str, str]
_NAMES: tuple[tuple[_Pair, _Pair, _Pair], ...] = (
    (("images", "labels"), ("val_images", "val_labels"), ("test_images", "test_labels")),
    (
        ("train_images", "train_labels"),
        ("val_images", "val_labels"),
        ("test_images", "test_labels"),
    ),
    (("x_train", "y_train"), ("x_val", "y_val"), ("x_test", "y_test")),
    (("X", "y"), ("X_val", "y_val"), ("X_test", "y_test")),
)
_CHANNELS = (1, 3, 4)  # that images have, first or last


def open_npz(path: Path, part: Part) -> Source:
    """Reads the training images, followed by the validation images if there are any, or the test images.

    Raises:
        DataError: the file is missing, is not such an archive, or its arrays do not fit together.
    """
    with _open_file(path) as file, _open_archive(path, file) as archive:
        train, validation, test = _find_keys(path, archive)
        _check_size(path, archive)
        images, given = _read_part(path, archive, *train)
        names, labels = _name_classes(path, train[1], given)
        if part == "test" and test is not None:
            images, labels = _read_more(path, archive, test, train, images, names)
            return array_source(images, labels, names, has_test=True)
        source = array_source(images, labels, names, has_test=test is not None)
        if validation is None:
            return source
        more, more_labels = _read_more(path, archive, validation, train, images, names)
        if more.shape[2:] != images.shape[2:]:
            raise DataError(
                f"{path}: {validation[0]}: {more.shape[2:]} pixels, but {train[0]} has {images.shape[2:]}"
            )
        images, labels = np.concatenate([images, more]), np.concatenate([labels, more_labels])
        source = array_source(images, labels, names, has_test=test is not None)
        return replace(source, validation=np.arange(len(labels) - len(more), len(labels)))


def _read_more(
    path: Path,
    archive: NpzFile[Any],
    keys: _Pair,
    train_keys: _Pair,
    train_images: Images,
    names: tuple[str, ...],
) -> tuple[Images, Ints]:
    """Another part, whose channels and classes must be those of the training part."""
    images, given = _read_part(path, archive, *keys)
    if images.shape[1] != train_images.shape[1]:
        raise DataError(
            f"{path}: {keys[0]}: {images.shape[1]} channels, "
            f"but {train_keys[0]} has {train_images.shape[1]}"
        )
    if given.dtype.kind == "U":
        if unknown := sorted(set(given.tolist()) - set(names)):
            raise DataError(
                f"{path}: {keys[1]}: {shown(unknown[0])} is not a class of {train_keys[1]}"
            )
        return images, np.searchsorted(np.array(names), given).astype(np.int64)
    labels = given.astype(np.int64)
    if labels.max() >= len(names):
        raise DataError(
            f"{path}: {keys[1]}: {labels.max()} is not a class of {train_keys[1]}, "
            f"which are 0 to {len(names) - 1}"
        )
    return images, labels


def _name_classes(path: Path, key: str, given: Any) -> tuple[tuple[str, ...], Ints]:
    """The classes of the training labels, and the labels as numbers; words are numbered in their order."""
    if given.dtype.kind == "U":
        words, labels = np.unique(given, return_inverse=True)
        return tuple(words.tolist()), labels.astype(np.int64)
    labels = given.astype(np.int64)
    num_classes = int(labels.max()) + 1
    if (absent := num_classes - len(np.unique(labels))) > 0:
        raise DataError(
            f"{path}: {key}: {absent} of the classes 0 to {num_classes - 1} have no image; "
            "labels must be 0 to the number of classes - 1"
        )
    return tuple(str(label) for label in range(num_classes)), labels


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


def _find_keys(path: Path, archive: NpzFile[Any]) -> tuple[_Pair, _Pair | None, _Pair | None]:
    """The keys of the training, validation and test part; all that belong together must be there."""
    keys = set(archive.files)
    there = one_line(", ".join(sorted(keys)) or "nothing")
    found = [names for names in _NAMES if keys.issuperset(names[0])]
    if len(found) > 1:
        either = " or ".join(names[0][0] for names in found)
        raise DataError(f"{path}: the training images may be {either}; keep one: it has {there}")
    train, validation, test = found[0] if found else _NAMES[0]
    pairs = [train, *(pair for pair in (validation, test) if not keys.isdisjoint(pair))]
    if absent := [key for pair in pairs for key in pair if key not in keys]:
        raise DataError(f"{path}: {' and '.join(absent)}: missing; it has {there}")
    return (
        train,
        validation if validation in pairs else None,
        test if test in pairs else None,
    )


def _check_size(path: Path, archive: NpzFile[Any]) -> None:
    """Refuses arrays larger than the memory, by their sizes in the archive's directory."""
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
) -> tuple[Images, Any]:
    """Images as (N, C, H, W) uint8 and labels (N,), integers or words, checked."""
    try:
        images, labels = archive[images_key], archive[labels_key]
    except Exception as error:  # zipfile, its decompressors and NumPy raise errors of many kinds
        words = "; save text labels as labels.astype(str)" if "Object arrays" in str(error) else ""
        raise DataError(
            f"{path}: {images_key} or {labels_key} cannot be read: {one_line(error)}{words}"
        ) from error
    for key, array in ((images_key, images), (labels_key, labels)):
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of a member that is none
            raise DataError(f"{path}: {key}: is not an array")
    labels = _one_label_each(labels)
    if (wrong := _error_of(images, labels, images_key, labels_key)) is not None:
        raise DataError(f"{path}: {wrong}")
    if images.dtype.kind == "f":
        images = np.rint(images.astype(np.float32) * 255).astype(np.uint8)
    if images.ndim == 3:
        return images[:, None], labels
    return images if _has_channels_first(images) else np.moveaxis(images, -1, 1), labels


def _one_label_each(labels: Any) -> Any:
    """(N, 1) and one-hot (N, K) labels as (N,), False and True as 0 and 1; others as they are."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 1 and labels.dtype == np.bool_:
        return labels.astype(np.int64)
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "iufb":
        is_one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
        return labels.argmax(axis=1) if is_one_hot else labels
    return labels


def _has_channels_first(images: Any) -> bool:
    return images.shape[1] in _CHANNELS and images.shape[3] not in _CHANNELS


def _error_of(images: Any, labels: Any, images_key: str, labels_key: str) -> str | None:
    """What is wrong with the two members of an archive; None if nothing is."""
    return _error_of_images(images, images_key) or _error_of_labels(
        labels, labels_key, len(images), images_key
    )


def _error_of_images(images: Any, key: str) -> str | None:
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        return f"{key}: dtype {images.dtype} is not uint8 (values 0 to 255)"
    if images.ndim not in (3, 4) or 0 in images.shape:
        return f"{key}: shape {images.shape} is not (N, H, W) or (N, H, W, C)"
    if images.ndim == 4:
        if images.shape[1] in _CHANNELS and images.shape[3] in _CHANNELS:
            return f"{key}: shape {images.shape} is ambiguous: (N, H, W, C) or (N, C, H, W)"
        if images.shape[3] > min(images.shape[1:3]) and not _has_channels_first(images):
            more = f"shape {images.shape} has more channels than rows or columns"
            return f"{key}: {more}; channels come last: (N, H, W, C)"
    if images.dtype.kind == "f":
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):  # NaN, too
            return (
                f"{key}: dtype {images.dtype} is not uint8 (values 0 to 255); floats must be in [0, 1], "
                f"and these are {low:g} to {high:g}"
            )
        if ((images == 0) | (images == 1)).all():
            return (
                f"{key}: dtype {images.dtype} is not uint8 (values 0 to 255), and all values are 0 or 1, "
                "so white may be 1 or 255; save them as uint8"
            )
    return None


def _error_of_labels(labels: Any, key: str, num_images: int, images_key: str) -> str | None:
    if labels.ndim == 2 and labels.dtype.kind in "iufb" and labels.shape[1] > 1:
        return (
            f"{key}: {labels.dtype} of shape {labels.shape} are neither integers (N,) nor one-hot rows of "
            f"{labels.shape[1]} classes; images of several classes are not supported"
        )
    if labels.dtype.kind not in "iuU" or labels.ndim != 1:
        return f"{key}: {labels.dtype} of shape {labels.shape} are not integers (N,)"
    if num_images != len(labels):
        return f"{images_key} has {num_images} images, but {key} has {len(labels)} labels"
    if labels.dtype.kind == "U":
        return None
    if labels.min() < 0:
        return f"{key}: {labels.min()} is negative; labels start at 0"
    if labels.max() > np.iinfo(np.int64).max:
        return f"{key}: {labels.max()} is too large for the number of a class"
    return None
