"""Image files by path: single ones, and those in folders."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from hgcnet.atomic_write import reading
from hgcnet.errors import DataError, one_line
from search.data.folder_listing import image_suffixes

_LITTER = ("__MACOSX", "@eaDir")  # what systems leave in folders


def find_images(paths: Iterable[str | Path]) -> tuple[list[Path], int]:
    """The files at some paths, those of a folder in order of name; and how many files of folders are left out.

    A file is taken whatever its name. In folders, at any depth, files with a suffix that Pillow
    knows are taken, except hidden ones.

    Raises:
        DataError: a path does not exist, or a folder cannot be read or has no images.
    """
    suffixes, found, left_out = image_suffixes(), list[Path](), 0
    for path in map(Path, paths):
        with reading(one_line(path), DataError):
            if not path.exists():
                raise DataError(f"{one_line(path)}: does not exist")
            is_folder = path.is_dir()
        if not is_folder:
            found.append(path)
            continue
        files = _files_in(path)
        images = [file for file in files if file.suffix.lower() in suffixes]
        if not images:
            raise DataError(f"{one_line(path)}: has no images")
        found += images
        left_out += len(files) - len(images)
    return found, left_out


def _files_in(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> NoReturn:
        raise DataError(f"{one_line(error.filename)}: cannot be read: {error.strerror}") from error

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if name[0] != "." and name not in _LITTER]
        found += [Path(parent, name) for name in names if name[0] != "."]
    return sorted(found)
