"""The writer's storage is one of Optuna's: its own suite of tests, on SQLite. (PostgreSQL: integration.)"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from search.study.retrying_storage import RetryingStorage
from search.study.storage import open_writer, sqlite_url
from tests.parts.opened import closed


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # the suite deletes studies as nobody here does
class TestOnSqlite(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[RetryingStorage]:
        with closed(open_writer(sqlite_url(tmp_path), "study")) as storage:
            yield storage
