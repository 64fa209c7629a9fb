"""Temporary folders with short paths, removed with their process, or by the next one if it was killed."""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hgcnet.errors import RunError, one_line

MARK = "HGCNAS_SCRATCH"  # in the environment of what is started for a folder: its path
RAYS = "r"  # the part of Ray
_PREFIX, _LOCK = "hgcnas-", "owner.lock"
_NAME_LENGTH = len(_PREFIX) + 8  # as `mkdtemp` makes it
# Bytes of the path of a place: a socket's may have 107, and Ray's have 64 in its own folder.
_MOST = 107 - 64 - len(RAYS) - 1 - _NAME_LENGTH - 1
_ROOM = 32 * 2**20  # bytes that Ray's logs and Tune's files need at the least
_FRESH = 600  # seconds in which a folder without a lock may be one that is just being made


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process. It is removed after the block, and what was started for it is ended.

    It lies in RAY_TMPDIR where that is set, else in TMPDIR or /tmp: in the first whose path is short
    enough for sockets, and that can be written.

    Raises:
        RunError: there is no such place; the message says why for each.
    """
    place = _place()
    sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    unlocked = folder / f".{_LOCK}"
    lock = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with suppress(OSError):  # some network disks have no locks; there nothing is swept
            fcntl.flock(lock, fcntl.LOCK_EX)
        unlocked.rename(folder / _LOCK)  # only now a sweep may look who holds it
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def sweep(place: Path) -> None:
    """Removes what dead processes of this user left in a folder."""
    for folder in place.glob(f"{_PREFIX}{'?' * 8}"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            if not (folder / _LOCK).exists():
                is_empty = {path.name for path in folder.iterdir()} <= {f".{_LOCK}"}
                if is_empty and time.time() - folder.stat().st_mtime > _FRESH:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it is alive
                _remove(folder)
            finally:
                os.close(lock)


def _place() -> Path:
    given = os.environ.get("RAY_TMPDIR")
    of_system = os.environ.get("TMPDIR") or "/tmp"
    refused = []
    for place in dict.fromkeys([given] if given else [of_system, "/tmp", "/var/tmp"]):
        if (reason := _why_not(place)) is None:
            return Path(place)
        refused.append(f"{one_line(place)} {reason}")
    raise RunError(
        "set RAY_TMPDIR to a folder with a short path, for Ray's sockets and logs: "
        f"{'; '.join(refused)}"
    )


def _why_not(place: str) -> str | None:
    """Why a place cannot hold a folder of ours; None if it can."""
    if len(os.fsencode(place)) > _MOST:
        return f"has a path of more than {_MOST} bytes, too long for sockets"
    if not Path(place).is_absolute():
        return "is not an absolute path"
    try:
        Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)).rmdir()
        if (free := shutil.disk_usage(place).free) < _ROOM:
            return f"is full ({free / 1e6:.0f} MB free)"
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    return None


def end_started_for(folder: Path) -> None:
    """Kills the processes, but this one, that have a folder's mark in their environment, and what they
    started: Ray's agents write their title over their environment."""
    mark = f"{MARK}={folder}\0".encode()
    marked: set[int] = set()
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's, or it died meanwhile
            _, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            parents[int(path.name)] = int(parent)
            if mark in (path / "environ").read_bytes():
                marked.add(int(path.name))
    own = {os.getpid()}
    marked -= own
    while (
        started := {child for child, parent in parents.items() if parent in marked} - marked - own
    ):
        marked |= started
    for process in marked:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _remove(folder: Path) -> None:
    """Ends what still runs for a folder, and removes it."""
    end_started_for(folder)
    for _ in range(10):  # what was killed may still write for a moment
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)
