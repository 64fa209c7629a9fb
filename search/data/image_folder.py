"""The image_folder data set: a folder for each class; images are decoded only when they are asked for.

Read are ROOT/train/<class>/... and, if there is one, ROOT/test/<class>/...; without a train folder
ROOT/<class>/... Every image becomes RGB, is cropped to its largest centred square and resized by area.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hgcnet.arrays import Ints
from hgcnet.errors import DataError, one_line
from search.data.resize import Images, resize_area
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
        class_names=names,
        in_channels=3,
        has_test=has_test,
        read=lambda indices, resolution: _decode_all(files, indices, resolution),
    )


def _folders(parent: Path) -> list[Path]:
    folders = sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise DataError(f"{parent}: has no class folders; {_WANTED}")
    return folders


def _decode_all(files: Sequence[Path], indices: Ints, resolution: int) -> Images:
    images = np.empty((len(indices), 3, resolution, resolution), dtype=np.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(
            lambda index: resize_area(_decode(files[index])[None], resolution), indices
        )
        for row, image in enumerate(decoded):
            images[row] = image[0]
    return images


def _decode(path: Path) -> Images:
    """(3, H, W), turned as the camera's orientation tag says."""
    from PIL import Image, ImageOps

    if not path.is_file():  # a folder, or a pipe that would be waited for
        raise DataError(f"{one_line(path)}: is not a file")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):
                raise DataError(
                    f"{one_line(path)}: has more than 8 bits a channel; 8-bit images are read"
                )
            if "transparency" in upright.info:
                upright = upright.convert("RGBA")
            return np.asarray(upright.convert("RGB")).transpose(2, 0, 1)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        reason = one_line(error)
        raise DataError(f"{one_line(path)}: cannot be read as an image: {reason}") from error
