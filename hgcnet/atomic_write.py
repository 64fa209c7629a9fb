"""Files that are there whole or not at all, whenever the process dies."""

import os
from pathlib import Path


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
