"""What a test opens, closed again also when the test fails."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pandas as pd
from optuna.storages import RDBStorage

from search.dashboard.server import create_server, study_address
from search.results.stored_study import StoredStudy, read_study
from search.study.optuna_inside import close_storage
from search.study.retrying_storage import RetryingStorage
from search.study.run_folder import RunFolder

AnyStorage = TypeVar("AnyStorage", RDBStorage, RetryingStorage)


@contextmanager
def closed(storage: AnyStorage) -> Iterator[AnyStorage]:
    """A storage, until the end of the block."""
    try:
        yield storage
    finally:
        close_storage(storage.backend if isinstance(storage, RetryingStorage) else storage)


@contextmanager
def opened(run: RunFolder, storage_url: str | None = None) -> Iterator[StoredStudy]:
    """A stored study, until the end of the block."""
    stored = read_study(run, storage_url)
    with closed(stored.storage):
        yield stored


def trials_of(run: RunFolder) -> pd.DataFrame:
    """The trials of a stored study."""
    with opened(run) as stored:
        return stored.trials()


@contextmanager
def served(stored: StoredStudy, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a study in a dashboard of this process, until the end of the block."""
    with create_server(stored, 0, host) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield study_address(stored, server)
        finally:
            server.shutdown()
            thread.join()
