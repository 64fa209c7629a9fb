"""What is used of Optuna's inside, and what is said and done where it is not there."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage, RDBStorage

from search.study.optuna_inside import cached, close_storage
from search.study.storage import open_storage, open_writer, sqlite_url
from search.versions import VersionWarning
from tests.parts.opened import closed


def test_without_the_cache_a_writer_reads_all_anew_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(optuna.storages, "_CachedStorage")
    said = r"optuna [45].* has no optuna.storages._CachedStorage \(seen in optuna 4.* to 5.*\): the more "
    with pytest.warns(VersionWarning, match=said):
        storage = open_writer(sqlite_url(tmp_path), "study")
    with closed(storage):
        study = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "study")
        trial = storage.create_new_trial(study)
        storage.set_trial_state_values(trial, optuna.trial.TrialState.COMPLETE, [0.5])
        assert [trial.values for trial in storage.get_all_trials(study)] == [[0.5]]


def test_without_its_engine_a_storage_stays_open_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(sqlite_url(tmp_path))
    with closed(storage):
        with monkeypatch.context() as patch:
            patch.delattr(storage, "engine")
            with pytest.warns(VersionWarning, match=r"has no RDBStorage.engine .*stay open"):
                close_storage(storage)
        storage.get_all_studies()


def test_a_cache_is_what_optuna_itself_would_take(tmp_path: Path) -> None:
    with closed(open_storage(sqlite_url(tmp_path))) as storage:
        study = optuna.create_study(storage=storage)
        assert type(cached(storage)) is type(study._storage) is not RDBStorage
    assert type(optuna.create_study()._storage) is InMemoryStorage
