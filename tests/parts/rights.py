"""Folders of others: root, for whom permissions do not count, as somebody for whom they do."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 0x20080522
_OVERRIDING = 1 << 1 | 1 << 2 | 1 << 3  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@contextmanager
def only_looking(*folders: Path) -> Iterator[None]:
    """Nobody may write into the folders, nor root; until the end of the block."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        with _without_overriding():
            yield
    finally:
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)


@contextmanager
def closed_to_all(folder: Path) -> Iterator[None]:
    """Nobody may look into a folder, nor root; until the end of the block."""
    mode = folder.stat().st_mode
    folder.chmod(0)
    try:
        with _without_overriding():
            yield
    finally:
        folder.chmod(mode)


@contextmanager
def _without_overriding() -> Iterator[None]:
    """This thread without what lets root pass permissions. Others have nothing of it to lose."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    assert libc.capget(header, before) == 0, os.strerror(ctypes.get_errno())
    less = (ctypes.c_uint32 * 6)(*before)
    less[0] &= ~_OVERRIDING
    assert libc.capset(header, less) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0, os.strerror(ctypes.get_errno())
