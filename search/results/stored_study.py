"""A study read back from its storage, for commands that only read: status, report, export, dashboard."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import optuna
import pandas as pd
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from hgcnet.architecture import Architecture, Task
from hgcnet.errors import RunError, one_line
from search.optuna_space import OptunaSpace
from search.pareto import HypervolumeBounds
from search.results.trials import select_trial, to_frame
from search.samplers.stored_bounds import read_bounds
from search.study.attributes import (
    CLASS_NAMES,
    DATA,
    DATA_ROOT,
    FORMAT,
    answers_of,
    seconds_used,
)
from search.study.optuna_inside import close_storage
from search.study.retrying_storage import said_by_driver
from search.study.run_folder import RunFolder
from search.study.storage import open_to_look, sqlite_url
from search.study_file.reading import read_stored
from search.study_file.schema import StudyFile
from search.training.quality import Answers, class_scores
from search.versions import check_format, warn_unknown
from space.search_space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """One study as its storage has it now. Needs neither the data set nor Ray."""

    folder: RunFolder
    file: StudyFile
    space: OptunaSpace
    study: optuna.Study
    storage: RDBStorage

    @cached_property
    def frozen_trials(self) -> list[optuna.trial.FrozenTrial]:
        """All rows, oldest first."""
        with _reading(self.folder):
            return self.study.get_trials(deepcopy=False)

    @property
    def bounds(self) -> HypervolumeBounds:
        """What the hypervolume is measured against."""
        with _reading(self.folder):
            bounds = read_bounds(self.study, self.space.space, self.file.costs)
            if bounds is None:
                raise RunError(
                    f"{self.folder.path}: the study was only just created; retry in a moment"
                )
            return bounds

    def trials(self) -> pd.DataFrame:
        """One row per trial; see `search.results.trials.COLUMNS`.

        From ten finished trials on it takes a second or two, for the estimates by which the front goes.
        """
        return self._frame.copy(deep=False)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        # scikit-learn takes a second to load.
        from search.estimation.estimate import estimate_trials

        estimated = estimate_trials(self.frozen_trials, self.space)
        return to_frame(self.frozen_trials, self.space, self.file.metrics, estimated)

    def select(self, rule: str) -> int:
        """The number of the trial of the front that a rule picks: "best", "knee", "max-flops=60e6".

        Raises:
            RunError: the rule is unknown, or nothing meets it.
        """
        return select_trial(self.trials(), self.file.costs, rule)

    def architecture(self, number: int) -> Architecture:
        """The architecture of a trial."""
        return self.space.decode(self.frozen_trials[number].params)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; their numbers in studies of earlier versions."""
        task = self.space.space.task
        return task.class_names or tuple(map(str, range(task.num_classes)))

    def answers(self) -> dict[int, Answers]:
        """The answers on the validation images of each finished trial that has them, by its number."""
        found = {}
        for trial in self.frozen_trials:
            if (kept := answers_of(trial.user_attrs)) is not None:
                counts, confusion = kept
                scores = class_scores(counts, self.class_names)
                found[trial.number] = Answers(classes=scores, confusion=confusion)
        return found

    def fingerprints(self) -> dict[str, int]:
        """The trial of every architecture of the study, in any state, by its fingerprint."""
        planned = map(self.space.planned_architecture, self.frozen_trials)
        return {n.fingerprint: number for number, n in enumerate(planned) if n is not None}

    @property
    def data_began_with(self) -> Mapping[str, Any] | None:
        """The summary of a `DataRecord`; None where the study has none."""
        found: Mapping[str, Any] | None = self.study.user_attrs.get(DATA)
        return found

    @property
    def seconds_used(self) -> float:
        """Wall time in which at least one training ran."""
        return seconds_used(self.frozen_trials)


def read_study(folder: RunFolder, storage_url: str | None = None) -> StoredStudy:
    """Reads a study from its run folder, or from `storage_url` if it is in a database.

    Nothing is written: the folder may be a colleague's. For a study in a database it need not exist.

    Raises:
        RunError: there is no storage, the study is not in it, or it cannot be read.
    """
    has_folder, url = folder.exists, folder.storage_url(storage_url)
    if url == sqlite_url(folder.path) and not folder.database.exists():
        raise RunError(
            f"{folder.database}: does not exist; if the study is in a database, name it by --storage "
            "or HGCNAS_STORAGE"
        )
    try:
        storage = open_to_look(url)
    except RunError as error:
        raise RunError(f"{folder.path}: {error}") from error
    with _reading(folder):
        try:
            study = optuna.load_study(study_name=folder.name, storage=storage)
            attributes = study.user_attrs
            check_format(attributes.get("format"), FORMAT, folder.path)
            document = json.loads(attributes["study_file"])
            names = tuple(attributes.get(CLASS_NAMES, ()))  # not of the first studies
            task = Task(**attributes["task"], class_names=names)
        except KeyError as error:  # Optuna also raises it for a missing study
            known = ", ".join(_names(storage)) or "none"
            close_storage(storage)
            nor = "" if has_folder else "there is no such study here, and "
            raise RunError(
                f"{folder.path}: {nor}the storage has no study {folder.name!r}; it has {known}"
            ) from error
    file, unknown = read_stored(document, str(folder.study_file))
    warn_unknown(unknown, f"{folder.path}: the study")
    # (A relative root is relative to where the study ran.)
    if (root := attributes.get(DATA_ROOT)) is not None:
        file = replace(file, data=replace(file.data, root=root))
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    return StoredStudy(folder=folder, file=file, space=space, study=study, storage=storage)


def stored_names(storage_url: str) -> list[str]:
    """The studies of hgcnas in a storage.

    Raises:
        RunError: it cannot be read.
    """
    storage = open_to_look(storage_url)
    try:
        return _names(storage)
    except (SQLAlchemyError, StorageInternalError) as error:
        raise RunError(f"the storage cannot be read: {said_by_driver(error)}") from error
    finally:
        close_storage(storage)


def _names(storage: RDBStorage) -> list[str]:
    # (Other programs may have studies there, too.)
    return sorted(s.study_name for s in storage.get_all_studies() if "study_file" in s.user_attrs)


@contextmanager
def _reading(folder: RunFolder) -> Iterator[None]:
    """Reports a damaged or unreachable storage in one line."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, LookupError, TypeError, ValueError) as error:
        said = error.__cause__ or error
        raise RunError(
            f"{folder.path}: the study cannot be read from its storage, which is damaged or "
            f"unreachable: {one_line(getattr(said, 'orig', said))}"
        ) from error
