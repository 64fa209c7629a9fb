"""Where a study is kept: SQLite in its run folder, or PostgreSQL; for readers and for its one writer."""

from functools import partial
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import URL, exc, make_url
from sqlalchemy.pool import NullPool

from hgcnet.atomic_write import sync
from hgcnet.errors import MissingPackageError, RunError
from search.study.looking import connect_to_look
from search.study.optuna_inside import close_storage
from search.study.postgres_lock import StudyLock, own_name
from search.study.retrying_storage import RetryingStorage, said_by_driver

SQLITE_SECONDS = 60.0  # to wait for a lock of SQLite
PATIENCE = 300.0  # seconds for which a writer waits for a server that does not answer


def sqlite_url(folder: Path) -> str:
    """The URL of the database in a run folder."""
    return f"sqlite:///{(folder / 'study.db').resolve()}"


def without_password(url: str) -> str:
    """A storage URL for people and files: without its password."""
    parsed = _parse(url)
    query = {key: value for key, value in parsed.query.items() if "password" not in key}
    return parsed.set(query=query).render_as_string(hide_password=True)


def open_storage(url: str) -> RDBStorage:
    """The storage behind a URL, for reading. Takes no lock.

    SQLite gets a write-ahead log, so that the dashboard reads while the driver writes, and a long
    wait for locks. A commit then survives the death of the process, and a power failure once the
    writer flushes it (`RetryingStorage`). No permission to write is needed.

    Raises:
        RunError: it cannot be opened.
        MissingPackageError: it is PostgreSQL, and its driver is not installed.
    """
    parsed = _parse(url)
    # A reader is never closed, so it keeps no connection.
    options: dict[str, Any] = {"poolclass": NullPool}
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or "")
        options["creator"] = partial(connect_to_look, file, _tune_sqlite, SQLITE_SECONDS)
    return _open(parsed, None, **options)


def open_to_look(url: str) -> RDBStorage:
    """As `open_storage`, for a database that exists: none is made.

    Raises:
        RunError: there is none, or it cannot be opened.
        MissingPackageError: as `open_storage`.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise RunError(f"{without_password(url)}: there is no such file")
    return open_storage(url)


def open_writer(url: str, study: str, patience: float = PATIENCE) -> RetryingStorage:
    """The storage behind a URL, for the one writer of a study.

    On PostgreSQL it has a single session, which takes the study's lock whenever it begins: a writer
    that lost its session, and the study to another writer, cannot write again. (On SQLite the run
    folder's lock does that.) Operations that fail because the server is gone are retried for
    `patience` seconds.

    Raises:
        RunError: it cannot be opened, or another driver has the lock. Later every operation raises
            it when the storage has failed for good.
        MissingPackageError: as `open_storage`.
    """
    parsed = _parse(url)
    storage, keep = _open(parsed), _nothing
    if parsed.get_backend_name() == "sqlite":
        patience = 0.0  # there is no server to wait for
        keep = partial(_sync_log, Path(str(parsed.database)))
    else:
        # Its sessions have no lock; but it has made the tables, and looked at their version.
        close_storage(storage)
        storage = _open(parsed, StudyLock(study, partial(_last_driver, parsed, study)))
    # (Its operations are defined after the class.)
    return RetryingStorage(storage, _name(parsed), patience, keep)  # type: ignore[abstract]


def _nothing() -> None:
    """PostgreSQL flushes its commits itself."""


def _sync_log(database: Path) -> None:
    """Flushes all commits of an SQLite database to the disk.

    `PRAGMA synchronous=FULL` would do it at each of a trial's twenty commits; here it is done twice
    a trial, when it begins and when it ends.
    """
    log = database.with_name(f"{database.name}-wal")
    if log.exists():  # else the file system allows none, and SQLite syncs what it commits
        sync(log)
        sync(log.parent)


def _last_driver(url: URL, study: str) -> str | None:
    """Who opened a study last, as `StudyWriter` stored it; read by a session of its own."""
    storage = _create(url)
    try:
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(study))
    except KeyError:  # it does not exist yet
        return None
    finally:
        close_storage(storage)
    return attributes.get("driver")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:  # its text has the URL in it
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
        raise RunError(
            "the storage's URL cannot be used; it has the form "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _open(url: URL, lock: StudyLock | None = None, **options: Any) -> RDBStorage:
    try:
        return _create(url, lock, **options)
    except RunError:  # of the lock
        raise
    except (ImportError, exc.NoSuchModuleError) as error:
        raise MissingPackageError("PostgreSQL", "psycopg", "postgresql") from error
    except Exception as error:  # drivers raise errors of their own
        raise RunError(f"{_name(url)} cannot be opened: {said_by_driver(error)}") from error


def _create(url: URL, lock: StudyLock | None = None, **options: Any) -> RDBStorage:
    if url.get_backend_name() == "sqlite" and "creator" not in options:
        options |= {"connect_args": {"timeout": SQLITE_SECONDS}}
        options |= {"pool_events": [(_tune_sqlite, "connect")]}
    elif url.get_backend_name() != "sqlite":
        # A network that went away is noticed within a minute.
        keepalives = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
        connect_args = {"application_name": own_name(), "connect_timeout": 10} | keepalives
        options |= {"connect_args": connect_args, "pool_pre_ping": True}
    if lock is not None:
        options |= {"pool_events": [(lock.take, "connect")], "pool_size": 1, "max_overflow": 0}
    return RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs=options,
        skip_compatibility_check=lock is not None,  # it takes two sessions
    )


def _tune_sqlite(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _name(url: URL) -> str:
    return "the study's database" if url.get_backend_name() == "sqlite" else "the storage"
