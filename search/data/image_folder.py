"""The image_folder data set: a folder for each class; images are decoded only when they are asked for.

Read are ROOT/train/<class>/... and, if there is one, ROOT/test/<class>/...; without a train folder
ROOT/<class>/... `hgcnet.preparation` says what becomes of an image.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hgcnet.arrays import Images, Ints
from hgcnet.errors import DataError, one_line
from hgcnet.preparation import RGB, Preparation, count_channels, prepare_each
from search.data.source import Part, Source

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_WANTED = (
    "image_folder is ROOT/train/<class>/*.png and ROOT/test/<class>/*.png, or ROOT/<class>/*.png"
)


def open_image_folder(root: Path, part: Part) -> Source:
    """Lists the files of one part; classes are the folders of the training part, in order of name.

    Raises:
        DataError: a folder that is absent or holds no classes, or a class without images.
    """
    if not root.is_dir():
        raise DataError(f"{root}: is not a folder; {_WANTED}")
    has_train, has_test = (root / "train").is_dir(), (root / "test").is_dir()
    if has_test and not has_train:
        raise DataError(f"{root}: has test/ but no train/; {_WANTED}")
    class_folders = _folders(root / "train" if has_train else root)
    names = tuple(folder.name for folder in class_folders)
    if part == "test":
        class_folders = _folders(root / "test")
        if unknown := [folder.name for folder in class_folders if folder.name not in names]:
            raise DataError(f"{root / 'test'}: {unknown[0]!r} is no class of {root / 'train'}")

    files: list[Path] = []
    labels: list[int] = []
    for folder in class_folders:
        # In an order that does not depend on the file system.
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not images:
            raise DataError(f"{one_line(folder)}: has no images ({', '.join(sorted(SUFFIXES))})")
        files += images
        labels += [names.index(folder.name)] * len(images)
    return Source(
        labels=np.array(labels, dtype=np.int64),
        # (Names of folders may be no UTF-8, which files that leave must be.)
        class_names=tuple(name.encode("utf-8", "backslashreplace").decode() for name in names),
        # Those of the training part decide.
        in_channels=count_channels(files) if part == "train" else RGB,
        has_test=has_test,
        read=partial(_read, files),
    )


def _folders(parent: Path) -> list[Path]:
    folders = sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise DataError(f"{parent}: has no class folders; {_WANTED}")
    return folders


def _read(files: Sequence[Path], indices: Ints, preparation: Preparation) -> Images:
    side = preparation.resolution
    images = np.empty((len(indices), preparation.channels, side, side), dtype=np.uint8)
    prepared = prepare_each((files[index] for index in indices), preparation)
    for row, image in enumerate(prepared):
        if isinstance(image, DataError):
            raise image
        images[row] = image
    return images
