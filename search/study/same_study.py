"""Creates or continues a study: it must be the same study, on the same data, in a known format."""

import json
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.storages import BaseStorage

from hgcnet import __version__
from hgcnet.architecture import Task
from hgcnet.errors import RunError
from search.data.data_record import DataRecord, absolute_root, data_difference
from search.data.inspection import DataWarning
from search.process_settings import log_levels
from search.study.attributes import (
    CLASS_NAMES,
    CODE,
    DATA,
    DATA_ROOT,
    DRIVER,
    FORMAT,
    IDENTITY,
)
from search.study.postgres_lock import own_name
from search.study_file.differences import first_difference
from search.study_file.reading import read_stored
from search.study_file.schema import StudyFile, direction_of
from search.versions import VersionWarning, check_format, check_known, code_digest

# For `log_levels`: Optuna would log what it creates, and how a sampler falls back.
OPTUNA_SILENT = {"optuna": logging.ERROR}


def create_or_load(
    storage: BaseStorage,
    file: StudyFile,
    task: Task,
    data: DataRecord | None,
    files_before: Mapping[str, int],
    identity: str | None,
) -> optuna.Study:
    """The study of a storage, with all that is stored of it before its first trial.

    Args:
        data: what it trains on now; None if the data cannot change.
        files_before: those that it began with, to describe a change.
        identity: what distinguishes a new one from others of its name.

    Raises:
        RunError: the stored study was started with another study file, or with other data.
    """
    directions = [direction_of(metric) for metric in file.metrics]
    with log_levels(OPTUNA_SILENT):
        study = optuna.create_study(
            storage=storage, study_name=file.name, directions=directions, load_if_exists=True
        )
    attributes, given = study.user_attrs, json.dumps(file.document)
    stored = attributes.get("study_file")
    check_format(attributes.get("format"), FORMAT, f"the study {file.name!r}")
    if stored is None:
        if identity is not None:  # first: whose study it is
            study.set_user_attr(IDENTITY, identity)
        study.set_user_attr("format", FORMAT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(file.metrics))
        study.set_user_attr("task", task.sizes)
        study.set_user_attr(CLASS_NAMES, list(task.class_names))
    else:
        began_with = None if data is None else attributes.get(DATA)
        _check_same_study(json.loads(stored), file, is_data_known=began_with is not None)
        if began_with is not None and data is not None:
            _check_same_data(began_with, data, files_before, file)
        elif data is not None and file.data.dataset == "image_folder":
            warnings.warn(
                f"the study {file.name!r} was started by an earlier hgcnas, which validated on other images "
                "of the folder: do not compare its accuracies from before with those from now on",
                DataWarning,
                stacklevel=4,
            )
        _check_same_task(attributes.get("task", {}), task, file)
    if data is not None:
        for key, value in ((DATA, data.summary()), (DATA_ROOT, absolute_root(file.data))):
            if attributes.get(key) != value:
                study.set_user_attr(key, value)
    _record_code(study)
    study.set_user_attr(DRIVER, own_name())  # the last writer; see search.study.storage
    if stored != given:  # last, when all else is stored
        study.set_user_attr("study_file", given)
    return study


def stored_identity(storage: BaseStorage, name: str) -> str | None:
    """The identity of a study; None where there is no such study, and "" where it has none."""
    try:
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(name))
    except KeyError:
        return None
    return str(attributes.get(IDENTITY, ""))


def last_driver(storage: BaseStorage, name: str) -> str:
    """Who opened a study last."""
    attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(name))
    return str(attributes.get(DRIVER, "a driver that died at its first step"))


def _record_code(study: optuna.Study) -> None:
    """Records which code trains from which trial on, and warns if it has changed."""
    own = {"hgcnas": __version__, "sources": code_digest()}
    stored = study.user_attrs.get(CODE, [])
    before = stored[-1] if stored else own
    if stored and {key: before.get(key) for key in own} == own:
        return
    num_trials = len(study.get_trials(deepcopy=False))
    if stored:
        warnings.warn(
            f"the study {study.study_name!r} continues with different code: hgcnas {own['hgcnas']} "
            f"({own['sources']}); its {num_trials} trials so far ran with {before.get('hgcnas')} "
            f"({before.get('sources')})",
            VersionWarning,
            stacklevel=5,
        )
    study.set_user_attr(CODE, [*stored, {**own, "from_trial": num_trials}])


def _check_same_task(stored: Mapping[str, Any], task: Task, file: StudyFile) -> None:
    """For studies without a record of the data that they began with.

    Raises:
        RunError: the images have other classes or channels than those of the study.
    """
    for key, words in (("num_classes", "classes"), ("in_channels", "channels")):
        old, new = stored.get(key), getattr(task, key)
        if old is not None and old != new:
            raise RunError(
                f"{file.source}: data.root: {file.data.root} has {new} {words}, but the study "
                f"{file.name!r} was started with {old}; restore the data, or give the new study another name"
            )


def _check_same_data(
    began_with: Mapping[str, Any],
    data: DataRecord,
    files_before: Mapping[str, int],
    file: StudyFile,
) -> None:
    """Refuses other data than those that a study began with.

    Raises:
        RunError: says how they differ.
    """
    if difference := data_difference(began_with, data, files_before):
        raise RunError(
            f"{file.source}: data.root: {file.data.root} differs from the data that the study "
            f"{file.name!r} was started with: {difference}; restore them, or give the new study another name"
        )


def _check_same_study(stored: dict[str, Any], file: StudyFile, *, is_data_known: bool) -> None:
    """Only the budget and the workers of a started study may change, and the place of its data if
    they are known to be the same.

    The stored document may be of another version: missing keys have the default, as in the given
    file.

    Raises:
        RunError: names the first key that differs, or that only a newer program knows.
    """
    started, unknown = read_stored(stored, f"the study {file.name!r} as it was started")
    check_known(unknown, f"the study {file.name!r}")
    before = dict(started.document)
    if is_data_known or absolute_root(started.data) == absolute_root(file.data):
        before["data"] = before["data"] | {"root": file.data.root}
    if difference := first_difference(before, file.document):
        key, *values = difference
        old, new = ("nothing" if value is None else repr(value) for value in values)
        raise RunError(
            f"{file.source}: {key}: {new} given, but the study {file.name!r} was started "
            f"with {old}; only [budget] and [workers] may change. Change it back, or give "
            "the new study another name"
        )
