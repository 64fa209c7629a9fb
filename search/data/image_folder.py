"""The image_folder data set: a folder for each class; images are decoded only when they are asked for.

`folder_listing` finds the files, and `hgcnet.preparation` prepares an image.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np

from hgcnet.arrays import Images, Ints
from hgcnet.decoding import count_channels, decode_file
from hgcnet.errors import DataError
from hgcnet.preparation import Preparation, prepare_image
from search.data.file_facts import FileFacts, look_at_files
from search.data.folder_listing import FolderListing, ListedFile, list_image_folder
from search.data.reading_progress import map_files
from search.data.source import Part, Source

_NAMED = 10  # unreadable files to name in one line


def open_image_folder(root: Path, part: Part) -> Source:
    """Lists the files of one part: the test images, or all others.

    Raises:
        DataError: as `list_image_folder`, for whichever part.
    """
    listing = list_image_folder(root)
    own, given = listing.parts["train"], listing.parts.get("validation", ())
    test = listing.parts.get("test")
    channels = count_channels(file.path for file in own)  # those of the training part decide
    test_part = None if test is None else _source(listing, test, channels, None)
    if part == "test" and test_part is not None:
        return test_part
    source = _source(listing, own + given, channels, len(own) if given else None)
    return replace(source, test_part=test_part)


def _source(
    listing: FolderListing, files: tuple[ListedFile, ...], channels: int, first_given: int | None
) -> Source:
    """A source over files, of which those from `first_given` on are the validation part."""
    validation = None if first_given is None else np.arange(first_given, len(files))
    return Source(
        labels=np.array([file.label for file in files], dtype=np.int64),
        class_names=listing.class_names,
        in_channels=channels,
        has_test="test" in listing.parts,
        read=partial(_read, files),
        validation=validation,
        files=files,
        left_out=listing.left_out,
    )


def _read(files: Sequence[ListedFile], indices: Ints, preparation: Preparation) -> Images:
    side = preparation.resolution
    images = np.empty((len(indices), preparation.channels, side, side), dtype=np.uint8)
    wrong: list[str] = []

    def read(row: int) -> None:
        try:
            images[row] = prepare_image(files[indices[row]].path, preparation)
        except DataError as error:
            wrong.append(str(error))

    for _ in map_files(read, range(len(indices))):
        pass
    if wrong:
        raise_unreadable(sorted(wrong))
    return images


def look_at_images(root: Path, files: Sequence[ListedFile]) -> dict[Path, FileFacts]:
    """The facts of image files, by path."""
    facts = look_at_files(root, files, _read_facts)
    return {file.path: fact for file, fact in zip(files, facts, strict=True)}


def unreadable_files(root: Path, files: Sequence[ListedFile]) -> dict[Path, str]:
    """The files that cannot be read, each with a line that says why."""
    facts = look_at_images(root, files)
    return {path: fact.error for path, fact in facts.items() if fact.error is not None}


def _read_facts(file: ListedFile) -> FileFacts:
    """Decodes one file as a training would; what is wrong with it is in the facts."""
    from PIL import Image

    begin = time.perf_counter()
    try:
        pixels = decode_file(file.path)
        with Image.open(file.path) as image:  # reads the header alone
            mode, (width, height) = image.mode, image.size
    except DataError as error:
        return FileFacts(error=str(error))
    content = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=12)
    return FileFacts(
        mode=mode,
        width=width,
        height=height,
        content=content.hexdigest(),
        seconds=round(time.perf_counter() - begin, 4),
    )


def raise_unreadable(wrong: Sequence[str]) -> NoReturn:
    """One line for all files that cannot be read, of which the first ten are named.

    Raises:
        DataError: that line.
    """
    if len(wrong) == 1:
        raise DataError(wrong[0])
    more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    raise DataError(
        f"{len(wrong)} files cannot be used: {'; '.join(wrong[:_NAMED])}{more}; `hgcnas check-data` lists "
        'all; repair or delete them, or skip them with unreadable = "skip"'
    )
