"""Where a study is kept: SQLite in its run folder, or PostgreSQL; for readers and for its one writer."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import URL, create_engine, event, exc, make_url
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from hgcnet.errors import MissingPackageError, RunError
from search.study.postgres_lock import StudyLock, own_name

PATIENCE = 300.0  # seconds for which a writer waits for a server that does not answer
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds between two tries


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
    wait for locks; a commit then survives the death of the process, if not that of the machine.

    Raises:
        RunError: it cannot be opened.
        MissingPackageError: it is PostgreSQL, and its driver is not installed.
    """
    parsed = _parse(url)
    # A reader has no end at which it is closed: it keeps no connection to a file.
    pool = {"poolclass": NullPool} if parsed.get_backend_name() == "sqlite" else {}
    return _open(RDBStorage, parsed, **pool)


def open_writer(url: str, study: str, patience: float = PATIENCE) -> RDBStorage:
    """The storage behind a URL, for the one writer of a study.

    On PostgreSQL it has a single session, which takes the study's lock whenever it begins: who lost
    the session, and the study to another writer, cannot write any more. (On SQLite the run folder's
    lock does that.) What fails because the server is gone is tried again for `patience` seconds.

    Raises:
        RunError: it cannot be opened, or another driver has the lock. Later every operation raises
            it when the storage has failed for good.
        MissingPackageError: as `open_storage`.
    """
    parsed = _parse(url)
    storage = _open(_WriterStorage, parsed)
    assert isinstance(storage, _WriterStorage)
    storage.name = _name(parsed)
    if parsed.get_backend_name() != "sqlite":
        storage.engine.dispose()  # its sessions have no lock
        storage.engine = create_engine(
            storage.url, **storage.engine_kwargs, pool_size=1, max_overflow=0
        )
        event.listen(storage.engine, "connect", StudyLock(study).take)
        storage.scoped_session = scoped_session(sessionmaker(bind=storage.engine))
        with storage.engine.connect():
            storage.patience = patience
    return storage


class _WriterStorage(RDBStorage):
    """Waits for a server that went away, and says in one line when it gives up."""

    name = "the storage"
    patience = 0.0  # seconds


def _patient(name: str) -> Callable[..., Any]:
    operation = getattr(RDBStorage, name)

    @functools.wraps(operation)
    def run(self: _WriterStorage, *arguments: Any, **options: Any) -> Any:
        deadline, pause, repeated = time.monotonic() + self.patience, _FIRST_PAUSE, False
        while True:
            try:
                return operation(self, *arguments, **options)
            except UpdateFinishedTrialError:
                if repeated:  # the first try reached the server, but its answer did not reach us
                    return True
                raise
            except (StorageInternalError, exc.SQLAlchemyError) as error:
                if _is_permanent(error) or time.monotonic() + pause > deadline:
                    raise RunError(f"{self.name} failed: {_reason(error)}") from error
            self.remove_session()  # its transaction is broken
            time.sleep(pause)
            pause, repeated = min(2 * pause, _LONGEST_PAUSE), True

    return run


def _is_permanent(error: Exception) -> bool:
    """Whether the server answered, and would answer the same again."""
    cause = error.__cause__ or error
    return isinstance(cause, exc.DBAPIError) and not isinstance(cause, exc.OperationalError)


# What Optuna's cache calls: the operations of every storage, and some of this one's own. (Of a trial
# whose creation was answered into the void, the row stays RUNNING until the study is closed.)
_OPERATIONS = (
    *BaseStorage.__abstractmethods__,
    "_create_new_trial",
    "_set_trial_param",
    "_get_trials",
    "get_trial_id_from_study_id_trial_number",
    "_get_best_trial_id",
)
for _operation in _OPERATIONS:
    setattr(_WriterStorage, _operation, _patient(_operation))


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


def _open(kind: type[RDBStorage], url: URL, **options: Any) -> RDBStorage:
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        options["connect_args"] = {"timeout": 60}
    else:
        # A network that went away is noticed within a minute.
        keepalives = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
        options["connect_args"] = {"application_name": own_name(), "connect_timeout": 10}
        options["connect_args"] |= keepalives
        options["pool_pre_ping"] = True
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = kind(url.render_as_string(hide_password=False), engine_kwargs=options)
    except (ImportError, exc.NoSuchModuleError) as error:
        raise MissingPackageError("PostgreSQL", "psycopg", "postgresql") from error
    except Exception as error:  # drivers raise errors of their own
        raise RunError(f"{_name(url)} cannot be opened: {_reason(error)}") from error
    if is_sqlite:
        event.listen(storage.engine, "connect", _tune_sqlite)
        storage.engine.dispose()  # so that the connection of the schema check is made anew
    return storage


def _tune_sqlite(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _name(url: URL) -> str:
    return "the study's database" if url.get_backend_name() == "sqlite" else "the storage"


def _reason(error: BaseException) -> str:
    """What a driver said, in one line. Drivers name host and user, and never the password."""
    while not isinstance(error, exc.DBAPIError) and error.__cause__ is not None:
        error = error.__cause__
    said = error.orig if isinstance(error, exc.DBAPIError) else error
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__
