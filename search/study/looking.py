"""Reads SQLite, even where nothing can be written beside the database."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

# What SQLite says where it cannot write: of the database, or of the two files that it keeps beside it.
_CANNOT_WRITE = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
)
_ATTEMPTS = 5  # a driver that starts or ends meanwhile makes or removes the two files


def connect_to_look(
    path: Path, tune: Callable[[Any, object], None], seconds: float
) -> sqlite3.Connection:
    """A connection to a database, for one session of a reader.

    With permission to write it is opened as by its writer. Without, no file is made. If the log and
    its index exist, they are used; if the log is empty, the database is read as it is. If there is
    a log without its index (a copy, or a backup, of a study whose driver died), a copy in memory is
    read, so that no commit is left out.

    Args:
        tune: called with the connection if there is permission to write.
        seconds: to wait for a lock.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if not path.exists() or _may_write(path):
        try:
            return _tuned(path, tune, seconds)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _CANNOT_WRITE:
                raise
    for attempt in range(_ATTEMPTS):
        try:
            return _without_writing(path, seconds)
        except (sqlite3.OperationalError, FileNotFoundError):
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _may_write(path: Path) -> bool:
    """Asks the system: opening and closing the file would release this process's locks on it."""
    effective = os.access in os.supports_effective_ids
    return all(os.access(p, os.W_OK, effective_ids=effective) for p in (path, path.parent))


def _tuned(path: Path, tune: Callable[[Any, object], None], seconds: float) -> sqlite3.Connection:
    connection = _connect(path.as_posix(), seconds)
    try:
        tune(connection, None)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _without_writing(path: Path, seconds: float) -> sqlite3.Connection:
    log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    uri = f"file:{quote(path.as_posix())}"
    if not log.exists() or not log.stat().st_size:
        return _checked(f"{uri}?immutable=1", seconds)
    if index.exists():
        return _checked(f"{uri}?mode=ro", seconds)
    with tempfile.TemporaryDirectory(prefix="hgcnas-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        if index.exists():  # a driver has begun: what was copied may be of two moments
            return _checked(f"{uri}?mode=ro", seconds)
        copy = sqlite3.connect(Path(folder) / path.name)
        try:
            connection = _connect(":memory:", seconds)
            copy.backup(connection)
        finally:
            copy.close()
    return connection


def _checked(uri: str, seconds: float) -> sqlite3.Connection:
    """A connection that has read successfully."""
    connection = _connect(uri, seconds)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(database: str, seconds: float) -> sqlite3.Connection:
    is_uri = database.startswith("file:")
    return sqlite3.connect(database, timeout=seconds, uri=is_uri, check_same_thread=False)
