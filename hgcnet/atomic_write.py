"""Files that are there whole or not at all, whenever the process dies; and what to say if they cannot be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hgcnet.errors import RunError, UserError


def replace_file(path: str | Path, content: bytes) -> None:
    """Writes a file in one step: a reader sees the old one or the new one, never a part.

    Raises:
        OSError: it cannot be written there; an older file is as it was.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def writing(place: str | Path, error: type[UserError] = RunError) -> Iterator[None]:
    """Raises `error`, which names the place and the reason, for every OSError inside."""
    try:
        yield
    except OSError as reason:
        raise error(f"{place}: cannot be written: {reason.strerror}") from reason


@contextmanager
def reading(place: str | Path, error: type[UserError] = RunError) -> Iterator[None]:
    """As `writing`, of what cannot be read."""
    try:
        yield
    except OSError as reason:
        raise error(f"{place}: cannot be read: {reason.strerror}") from reason
