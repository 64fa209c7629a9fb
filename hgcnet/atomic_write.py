"""Atomic file writes, which survive a power failure, and errors that name the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hgcnet.errors import RunError, UserError


def replace_file(path: str | Path, content: bytes) -> None:
    """Writes a file in one step: a reader sees the old one or the new one. On return it is on the disk.

    Raises:
        OSError: it cannot be written there; an older file is unchanged.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before the rename: else the name may refer to an empty file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)


def make_folder(path: str | Path) -> None:
    """Makes a folder and its parents where they are missing. On return they are on the disk.

    Raises:
        OSError: it cannot be made.
    """
    path = Path(path)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def sync(path: Path) -> None:
    """Flushes a file, or the names in a folder, to the disk, so that they survive a power failure.

    Raises:
        OSError: they cannot be flushed.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(place: str | Path, error: type[UserError] = RunError) -> Iterator[None]:
    """Raises `error`, which names the place and the reason, for every OSError inside."""
    try:
        yield
    except OSError as reason:
        raise error(f"{place}: cannot be written: {reason.strerror}") from reason


@contextmanager
def reading(place: str | Path, error: type[UserError] = RunError) -> Iterator[None]:
    """As `writing`, for what cannot be read."""
    try:
        yield
    except OSError as reason:
        raise error(f"{place}: cannot be read: {reason.strerror}") from reason
