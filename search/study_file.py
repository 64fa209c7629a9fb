"""A study file: TOML -> frozen values, with all mistakes at once, each named by its key."""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from hgcnet.errors import StudyFileError
from search.proxy.data import DataConfig
from search.proxy.training import ProxyConfig
from space.declaration import read_parameters
from space.parameters import Parameters
from space.search_space import Limits

MIN_RESOLUTION, MAX_RESOLUTION = 8, 1024

Positive = Annotated[int, Gt(0)]
PositiveReal = Annotated[float, Gt(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a study is done: whichever comes first."""

    trials: Positive  # architectures trained, to the end or stopped early
    hours: PositiveReal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One metric of the Pareto front."""

    metric: Literal["val_accuracy", "flops", "num_params"]
    direction: Literal["maximize", "minimize"]
    reference: Annotated[float, Ge(0), Le(1)] | None = None  # of the hypervolume; val_accuracy only


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """What proposes the next architecture."""

    kind: Literal["random", "tpe", "nsga2", "gp"] = "tpe"
    start_with: tuple[str, ...] = ()  # presets or architecture files


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Which trainings are stopped before their last epoch."""

    kind: Literal["moasha", "none"] = "none"
    min_epochs: Positive = 2
    reduction_factor: Annotated[int, Ge(2)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What each trial occupies."""

    cpus: Positive = 1
    gpus: Annotated[float, Ge(0)] = 0.0


def _check_data(data: DataConfig) -> DataConfig:
    _check_resolution(data.resolution)
    if data.root == "":
        raise PydanticCustomError("empty", "root: '' is not a path")
    return data


def _check_proxy(proxy: ProxyConfig) -> ProxyConfig:
    for key, value in asdict(proxy).items():
        if value is not None and value <= 0 and key != "weight_decay":
            raise PydanticCustomError("positive", f"{key}: {value!r} is not above 0")
    if proxy.weight_decay < 0:
        raise PydanticCustomError("positive", f"weight_decay: {proxy.weight_decay!r} is below 0")
    if proxy.resolution is not None:
        _check_resolution(proxy.resolution)
    return proxy


def _check_resolution(resolution: int) -> None:
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise PydanticCustomError(
            "resolution",
            f"resolution: {resolution} is not between {MIN_RESOLUTION} and {MAX_RESOLUTION}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _LimitsTable:
    flops: PositiveReal | None = None
    num_params: PositiveReal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """All of a study file but its space and limits."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    budget: Budget
    data: Annotated[DataConfig, AfterValidator(_check_data)]
    objectives: tuple[Objective, ...]
    limits: _LimitsTable = _LimitsTable()
    sampler: SamplerConfig = SamplerConfig()
    early_stopping: EarlyStopping = EarlyStopping()
    proxy: Annotated[ProxyConfig, AfterValidator(_check_proxy)]
    workers: Workers = Workers()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """A checked study file. `document` is what a resumed study must not change."""

    name: str
    seed: int
    budget: Budget
    data: DataConfig
    parameters: Parameters
    limits: Limits
    objectives: tuple[Objective, ...]
    sampler: SamplerConfig
    early_stopping: EarlyStopping
    proxy: ProxyConfig
    workers: Workers
    document: Mapping[str, Any]  # every key with its value, defaults filled in
    source: str  # where it was read from, for messages

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the objectives, in the order of a trial's values."""
        return tuple(objective.metric for objective in self.objectives)

    @property
    def reference_accuracy(self) -> float | None:
        """The hypervolume's reference accuracy, if the file gives it."""
        return next(o.reference for o in self.objectives if o.metric == "val_accuracy")


_ADAPTER = TypeAdapter(_Tables)


def read_study_file(path: str | Path) -> StudyFile:
    """Reads and checks a study file.

    Raises:
        StudyFileError: one line for each mistake: file, key, what was given, what would be right.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StudyFileError(f"{path}: there is no such file") from error
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyFileError(f"{path}: is not TOML: {error}") from error
    return parse_study_file(document, source=str(path))


def parse_study_file(document: Mapping[str, Any], source: str) -> StudyFile:
    """Checks a TOML document; `source` names it in messages.

    Raises:
        StudyFileError: one line for each mistake.
    """
    if mistakes := list(_not_finite(document)):
        raise StudyFileError("\n".join(f"{source}: {mistake}" for mistake in mistakes))
    rest = {key: value for key, value in document.items() if key != "space"}
    tables = _read_tables(rest, mistakes)
    parameters = None
    space = document.get("space")
    if isinstance(space, dict):
        in_space: list[str] = []
        parameters = read_parameters(space, in_space)
        mistakes += [f"space.{mistake}" for mistake in in_space]
    else:
        mistakes.append("space: is missing" if space is None else "space: is not a table")
    if tables is not None:
        mistakes += _check_together(tables)
    if tables is None or parameters is None or mistakes:
        raise StudyFileError("\n".join(f"{source}: {mistake}" for mistake in mistakes))
    values = {key: getattr(tables, key) for key in _Tables.__dataclass_fields__}
    limits = Limits(flops=tables.limits.flops, num_params=tables.limits.num_params)
    return StudyFile(
        **values | {"limits": limits},
        parameters=parameters,
        document=_drop_none(asdict(tables) | {"space": space}),
        source=source,
    )


def first_difference(
    stored: Mapping[str, Any], given: Mapping[str, Any], path: str = ""
) -> tuple[str, Any, Any] | None:
    """The first key, and its two values, in which a study file differs from the stored one.

    `[budget]` and `[workers]` may differ.
    """
    for key in sorted(stored.keys() | given.keys()):
        if path == "" and key in ("budget", "workers"):
            continue
        old, new = stored.get(key), given.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if (inner := first_difference(old, new, f"{path}{key}.")) is not None:
                return inner
        elif old != new:
            return f"{path}{key}", old, new
    return None


def _read_tables(document: Mapping[str, Any], mistakes: list[str]) -> _Tables | None:
    try:
        # By way of JSON: pydantic's strict mode takes a list for a tuple only there.
        text = json.dumps(document, default=str)
        return _ADAPTER.validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        mistakes += [_describe(details) for details in error.errors()]
    return None


def _describe(details: ErrorDetails) -> str:
    path = ""
    for part in details["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    given, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "missing":
            return f"{path}: is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            table = str(details["loc"][0]) if len(details["loc"]) > 1 else ""
            return f"{path}: unknown key; known are {', '.join(_known_keys(table))}"
        case "literal_error":
            return f"{path}: {given!r} is not one of {context['expected']}"
        case "string_pattern_mismatch":
            return f"{path}: {given!r} is not 1 to 100 letters, digits, - and _"
        case "greater_than":
            return f"{path}: {given!r} is not above {context['gt']:g}"
        case "greater_than_equal":
            return f"{path}: {given!r} is below {context['ge']:g}"
        case "less_than_equal":
            return f"{path}: {given!r} is above {context['le']:g}"
        case "dataclass_type" | "dataclass_exact_type":
            return f"{path}: {given!r} is not a table"
        case "positive" | "resolution" | "empty":  # raised by the checks above, which name the key
            return f"{path}.{details['msg']}"
        case _:
            wanted = details["msg"].removeprefix("Input should be ")
            return f"{path}: {given!r} is not {wanted}"


def _known_keys(table: str) -> list[str]:
    tables: dict[str, Any] = {
        "budget": Budget,
        "data": DataConfig,
        "limits": _LimitsTable,
        "objectives": Objective,
        "sampler": SamplerConfig,
        "early_stopping": EarlyStopping,
        "proxy": ProxyConfig,
        "workers": Workers,
    }
    keys = list(tables.get(table, _Tables).__dataclass_fields__)
    return keys if table else [*keys, "space"]


def _not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Numbers that are NaN or infinite; JSON and its checks know nothing of them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: {value} is not a finite number"


def _check_together(tables: _Tables) -> list[str]:
    """Mistakes that no key shows alone."""
    mistakes = []
    metrics = [objective.metric for objective in tables.objectives]
    if metrics.count("val_accuracy") != 1 or len(metrics) < 2:
        mistakes.append("objectives: val_accuracy and one or more of flops, num_params are needed")
    for index, objective in enumerate(tables.objectives):
        if objective.metric in metrics[:index]:
            mistakes.append(f"objectives[{index}].metric: {objective.metric!r} is there twice")
        right = "maximize" if objective.metric == "val_accuracy" else "minimize"
        if objective.direction != right:
            mistakes.append(
                f"objectives[{index}].direction: {objective.metric} is to {right}, "
                f"not to {objective.direction}"
            )
        if objective.reference is not None and objective.metric != "val_accuracy":
            mistakes.append(f"objectives[{index}].reference: only val_accuracy has one")
    early = tables.early_stopping
    if early.kind != "none" and early.min_epochs >= tables.proxy.epochs:
        mistakes.append(
            f"early_stopping.min_epochs: {early.min_epochs} is not below proxy.epochs = "
            f"{tables.proxy.epochs}, so nothing would ever be stopped"
        )
    if tables.workers.gpus > 1 and tables.workers.gpus != int(tables.workers.gpus):
        mistakes.append(
            f"workers.gpus: {tables.workers.gpus} is neither a share nor a whole number"
        )
    return mistakes


def _drop_none(value: Any) -> Any:
    """TOML has no null: keys without a value are left out. Tuples become lists, as TOML reads them."""
    if isinstance(value, dict):
        return {key: _drop_none(item) for key, item in value.items() if item is not None}
    return [_drop_none(item) for item in value] if isinstance(value, list | tuple) else value
