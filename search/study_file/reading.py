"""Reads a study file: TOML -> checked values, with all errors at once, each named by its key."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from hgcnet.architecture import parse_toml, read_bytes
from hgcnet.errors import StudyFileError, join_errors, one_line, shown
from hgcnet.structure import least_resolution
from search.study_file.messages import error_line, take_out_unusable
from search.study_file.schema import METRICS, Objective, StudyFile, Tables, direction_of
from search.training.quality import ACCURACY, QUALITY_METRICS
from space.declaration import read_parameters, to_table
from space.limits import Band
from space.parameters import Parameters, values_of

ADAPTER = TypeAdapter(Tables)


def read_study_file(path: str | Path) -> StudyFile:
    """Reads and checks a study file.

    Raises:
        StudyFileError: one line for each error: file, key, what was given, what would be right.
    """
    try:
        document = parse_toml(read_bytes(path))
    except FileNotFoundError as error:
        raise StudyFileError(f"{path}: there is no such file") from error
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except ValueError as error:
        raise StudyFileError(f"{path}: is not TOML: {one_line(error)}") from error
    return parse_study_file(document, source=str(path))


def parse_study_file(document: Mapping[str, Any], source: str) -> StudyFile:
    """Checks a TOML document; `source` names it in messages.

    Raises:
        StudyFileError: one line for each error.
    """
    unusable: dict[str, str] = {}
    document = take_out_unusable(document, unusable)
    errors: list[str] = []
    document = _in_todays_form(document, errors)
    rest = {key: value for key, value in document.items() if key != "space"}
    tables = _read_tables(rest, errors)
    parameters = None
    space = document.get("space")
    if isinstance(space, dict):
        in_space: list[str] = []
        parameters = read_parameters(space, in_space)
        errors += [f"space.{error}" for error in in_space]
    else:
        errors.append(
            f"space: {'is missing' if space is None else f'{shown(space)} is not a table'}"
        )
    if tables is not None:
        errors += _check_together(tables)
    if tables is not None and parameters is not None:
        sides = {"data": tables.data.resolution, "proxy": tables.proxy.resolution}
        for table, side in sides.items():
            if side is not None and (error := resolution_error(side, parameters)) is not None:
                errors.append(f"{table}.resolution: {error}")
    # Other errors of an unusable value only follow from it.
    errors = [error for error in errors if error.partition(":")[0] not in unusable]
    errors += [f"{path}: {reason}" for path, reason in unusable.items()]
    if tables is None or parameters is None or errors:
        raise StudyFileError(join_errors(source, errors))
    values = {field.name: getattr(tables, field.name) for field in fields(tables)}
    shortest = [o.metric if o.reference is None else asdict(o) for o in tables.objectives]
    by_key = asdict(tables) | {"objectives": shortest, "space": to_table(parameters)}
    return StudyFile(**values, parameters=parameters, document=_drop_none(by_key), source=source)


def read_stored(document: Mapping[str, Any], source: str) -> tuple[StudyFile, list[str]]:
    """Reads a document that a study or a table has stored, with today's default for every missing
    key; and returns its unknown keys, which are left out.

    Raises:
        StudyFileError: as `parse_study_file`.
    """
    unknown: list[str] = []

    def known_part(value: Any, table: str) -> Any:
        if not isinstance(value, dict):
            return value
        known = _known_keys(table)
        unknown.extend(f"{table}.{key}".lstrip(".") for key in value if key not in known)
        return {key: item for key, item in value.items() if key in known}

    found = known_part(_in_todays_form(document, []), "")
    for key, value in found.items():
        is_list = key == "objectives" and isinstance(value, list)
        found[key] = [known_part(v, key) for v in value] if is_list else known_part(value, key)
    return parse_study_file(found, source), unknown


def resolution_error(resolution: int, parameters: Parameters) -> str | None:
    """What is wrong with a resolution that leaves no pixel to the last stage of some network of a space."""
    stride, stages = max(values_of(parameters.stem_stride)), max(values_of(parameters.stages))
    if resolution >= (least := least_resolution(stride, stages)):
        return None
    return (
        f"{resolution} px are too few for {stages} stages with space.stem_stride = {stride}; "
        f"{least} or more are needed"
    )


def _read_tables(document: Mapping[str, Any], errors: list[str]) -> Tables | None:
    try:
        # By way of JSON: pydantic's strict mode takes a list for a tuple only there.
        return ADAPTER.validate_json(json.dumps(document), strict=True, extra="forbid")
    except ValidationError as error:
        errors += [error_line(details, _known_keys) for details in error.errors()]
    return None


def _known_keys(table: str) -> list[str]:
    if table.startswith("limits."):
        return [field.name for field in fields(Band)]
    if table in ("objectives", "space"):
        return [field.name for field in fields(Objective if table == "objectives" else Parameters)]
    keys = [field.name for field in fields(get_type_hints(Tables).get(table, Tables))]
    return keys if table else [*keys, "space"]


def _check_together(tables: Tables) -> list[str]:
    """Errors across keys."""
    errors = []
    metrics = [objective.metric for objective in tables.objectives]
    qualities = [metric for metric in metrics if metric in QUALITY_METRICS]
    if len(qualities) != 1 or len(metrics) < 2:
        errors.append(
            f"objectives: {', '.join(metrics) or 'none'} given; one of {', '.join(QUALITY_METRICS)} "
            "and one or more of flops, num_params are needed"
        )
    for index, objective in enumerate(tables.objectives):
        if objective.metric in metrics[:index]:
            errors.append(f"objectives[{index}]: {objective.metric!r} is given twice")
        if objective.reference is not None and objective.metric not in QUALITY_METRICS:
            errors.append(
                f"objectives[{index}].reference: {objective.reference} given for "
                f"{objective.metric}; only a measured objective has one, such as {ACCURACY}"
            )
    early = tables.early_stopping
    if early.kind != "none" and early.min_epochs >= tables.proxy.epochs:
        errors.append(
            f"early_stopping.min_epochs: {early.min_epochs} is not below proxy.epochs = "
            f"{tables.proxy.epochs}, so nothing would ever be stopped"
        )
    if tables.workers.gpus > 1 and tables.workers.gpus != int(tables.workers.gpus):
        errors.append(
            f"workers.gpus: {tables.workers.gpus} is neither a share of one GPU nor a whole number"
        )
    return errors


def _drop_none(value: Any) -> Any:
    """TOML has no null: keys without a value are left out. Tuples become lists, as TOML reads them."""
    if isinstance(value, dict):
        return {key: _drop_none(item) for key, item in value.items() if item is not None}
    return [_drop_none(item) for item in value] if isinstance(value, list | tuple) else value


def _in_todays_form(document: Mapping[str, Any], errors: list[str]) -> dict[str, Any]:
    """The document as it is written today: earlier ones give each objective its `direction`, and have
    another name for the early stopping "front_chance"."""
    found = dict(document)
    early, objectives = found.get("early_stopping"), found.get("objectives")
    if isinstance(early, dict) and early.get("kind") == "belief":
        found["early_stopping"] = {**early, "kind": "front_chance"}
    if isinstance(objectives, list):
        found["objectives"] = [
            entry.copy() if isinstance(entry, dict) else entry for entry in objectives
        ]
        for index, entry in enumerate(found["objectives"]):
            if not isinstance(entry, dict) or (given := entry.pop("direction", None)) is None:
                continue
            metric = entry.get("metric")
            if metric in METRICS and given != (right := direction_of(metric)):
                errors.append(
                    f"objectives[{index}].direction: {shown(given)} is wrong for {metric}, "
                    f"which needs {right!r}; the key can be left out"
                )
    return found
