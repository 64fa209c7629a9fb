"""A study file: TOML -> frozen values, with all mistakes at once, each named by its key."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from hgcnet.architecture import parse_toml, read_bytes
from hgcnet.errors import StudyFileError, join_mistakes, one_line, shown
from search.early_stopping.rungs import Rungs
from search.mistakes import describe, take_out_unusable
from search.proxy.config import ProxyConfig
from search.proxy.data import DataConfig
from space.declaration import read_parameters, to_table
from space.parameters import Parameters
from space.search_space import Limits

MIN_RESOLUTION, MAX_RESOLUTION = 8, 1024
MAX_TRIALS, MAX_EPOCHS, MAX_START_WITH = 1_000_000, 100_000, 1000

Sampler = Literal["random", "tpe", "nsga2", "gp", "known_cost"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)

Table = TypeVar("Table")
Positive = Annotated[int, Gt(0)]
PositiveReal = Annotated[float, Gt(0)]
Duration = Annotated[float, Gt(0), Le(1e6)]  # hours or minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a study is done: whichever comes first."""

    # Architectures trained, to the end or stopped early.
    trials: Annotated[Positive, Le(MAX_TRIALS)]
    hours: Duration | None = None
    # The study stops where more than this share of its trainings failed (and five or more).
    max_failure_share: Annotated[float, Ge(0), Le(1)] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One metric of the Pareto front."""

    metric: Literal["val_accuracy", "flops", "num_params"]
    direction: Literal["maximize", "minimize"]
    reference: Annotated[float, Ge(0), Le(1)] | None = None  # of the hypervolume; val_accuracy only


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """What proposes the next architecture."""

    kind: Sampler = "known_cost"
    # Presets or architecture files.
    start_with: Annotated[tuple[str, ...], MaxLen(MAX_START_WITH)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Which trainings are stopped before their last epoch."""

    kind: Literal["belief", "moasha", "none"] = "none"
    min_epochs: Positive = 2
    reduction_factor: Annotated[int, Ge(2)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What each trial occupies, and how long."""

    cpus: Annotated[Positive, Le(4096)] = 1
    gpus: Annotated[float, Ge(0), Le(4096)] = 0.0
    trial_minutes: Duration | None = None  # a training that takes longer has failed
    checkpoint_minutes: Duration = 2.0  # between two states that outlive a worker


def _check_data(data: DataConfig) -> DataConfig:
    mistakes = _check_resolution(data.resolution)
    if not _is_path(data.root):
        mistakes.append(f"root: {shown(data.root)} is not a path")
    return _without(mistakes, data)


def _check_sampler(sampler: SamplerConfig) -> SamplerConfig:
    mistakes = [
        f"start_with[{index}]: {shown(name)} is neither a preset's name nor a path"
        for index, name in enumerate(sampler.start_with)
        if not _is_path(name)
    ]
    return _without(mistakes, sampler)


def _is_path(text: str) -> bool:
    """Whether a file can have this name: it is not empty, printable, and not too long."""
    parts = text.encode().split(b"/")
    return text.isprintable() and 0 < len(text) <= 1000 and max(map(len, parts)) <= 255


def _check_proxy(proxy: ProxyConfig) -> ProxyConfig:
    mistakes = []
    positive = asdict(proxy).keys() - {"weight_decay", "resolution"}
    for key, value in asdict(proxy).items():
        if key in positive and not isinstance(value, str | None) and value <= 0:
            mistakes.append(f"{key}: {value!r} is not above 0")
    if proxy.epochs > MAX_EPOCHS:
        mistakes.append(f"epochs: {proxy.epochs} is above {MAX_EPOCHS}")
    if proxy.weight_decay < 0:
        mistakes.append(f"weight_decay: {proxy.weight_decay!r} is below 0")
    if proxy.resolution is not None:
        mistakes += _check_resolution(proxy.resolution)
    return _without(mistakes, proxy)


def _check_resolution(resolution: int) -> list[str]:
    if MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        return []
    return [f"resolution: {resolution} is not between {MIN_RESOLUTION} and {MAX_RESOLUTION}"]


def _without(mistakes: list[str], table: Table) -> Table:
    """The table, if it has no mistakes; else pydantic carries them to `_describe`."""
    if mistakes:
        raise PydanticCustomError("mistakes", "mistakes", {"mistakes": mistakes})
    return table


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
    objectives: Annotated[tuple[Objective, ...], MaxLen(10)]
    limits: _LimitsTable = _LimitsTable()
    sampler: Annotated[SamplerConfig, AfterValidator(_check_sampler)] = SamplerConfig()
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
    def rung_epochs(self) -> tuple[int, ...]:
        """The epochs after which trainings may be stopped, ascending; none without early stopping."""
        early = self.early_stopping
        if early.kind == "none":
            return ()
        return Rungs(early.min_epochs, self.proxy.epochs, early.reduction_factor).rung_epochs

    @property
    def reference_accuracy(self) -> float | None:
        """The hypervolume's reference accuracy, if the file gives it."""
        return next(o.reference for o in self.objectives if o.metric == "val_accuracy")

    def with_trials(self, trials: int) -> "StudyFile":
        """The same study with another budget of trials.

        Raises:
            StudyFileError: it is none that a study may have.
        """
        if not 1 <= trials <= MAX_TRIALS:
            raise StudyFileError(f"trials: {trials} is not between 1 and {MAX_TRIALS}")
        budget = replace(self.budget, trials=trials)
        document = {**self.document, "budget": {**self.document["budget"], "trials": trials}}
        return replace(self, budget=budget, document=document)


_ADAPTER = TypeAdapter(_Tables)


def read_study_file(path: str | Path) -> StudyFile:
    """Reads and checks a study file.

    Raises:
        StudyFileError: one line for each mistake: file, key, what was given, what would be right.
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
        StudyFileError: one line for each mistake.
    """
    unusable: dict[str, str] = {}
    document = take_out_unusable(document, unusable)
    mistakes: list[str] = []
    rest = {key: value for key, value in document.items() if key != "space"}
    tables = _read_tables(rest, mistakes)
    parameters = None
    space = document.get("space")
    if isinstance(space, dict):
        in_space: list[str] = []
        parameters = read_parameters(space, in_space)
        mistakes += [f"space.{mistake}" for mistake in in_space]
    else:
        mistakes.append(
            "space: is missing" if space is None else f"space: {shown(space)} is not a table"
        )
    if tables is not None:
        mistakes += _check_together(tables)
    # Whatever else is wrong with an unusable value follows from what it is.
    mistakes = [mistake for mistake in mistakes if mistake.partition(":")[0] not in unusable]
    mistakes += [f"{path}: {reason}" for path, reason in unusable.items()]
    if tables is None or parameters is None or mistakes:
        raise StudyFileError(join_mistakes(source, mistakes))
    values = {key: getattr(tables, key) for key in _Tables.__dataclass_fields__}
    limits = Limits(flops=tables.limits.flops, num_params=tables.limits.num_params)
    return StudyFile(
        **values | {"limits": limits},
        parameters=parameters,
        document=_drop_none(asdict(tables) | {"space": to_table(parameters)}),
        source=source,
    )


def first_difference(stored: Any, given: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key, and its two values, in which a study file differs from the stored one.

    `[budget]` and `[workers]` may differ.
    """
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = sorted(stored.keys() | given.keys())
        if not path:
            keys = [key for key in keys if key not in ("budget", "workers")]
        parts = [(f"{path}.{key}".lstrip("."), stored.get(key), given.get(key)) for key in keys]
    elif isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        pairs = enumerate(zip(stored, given, strict=True))
        parts = [(f"{path}[{index}]", old, new) for index, (old, new) in pairs]
    else:
        return None if stored == given else (path, stored, given)
    differences = (first_difference(old, new, key) for key, old, new in parts)
    return next((found for found in differences if found is not None), None)


def _read_tables(document: Mapping[str, Any], mistakes: list[str]) -> _Tables | None:
    try:
        # By way of JSON: pydantic's strict mode takes a list for a tuple only there.
        return _ADAPTER.validate_json(json.dumps(document), strict=True, extra="forbid")
    except ValidationError as error:
        mistakes += [line for details in error.errors() for line in describe(details, _known_keys)]
    return None


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


def _check_together(tables: _Tables) -> list[str]:
    """Mistakes that no key shows alone."""
    mistakes = []
    metrics = [objective.metric for objective in tables.objectives]
    if metrics.count("val_accuracy") != 1 or len(metrics) < 2:
        mistakes.append(
            f"objectives: {', '.join(metrics) or 'none'} given; val_accuracy and one or more of "
            "flops, num_params are needed"
        )
    for index, objective in enumerate(tables.objectives):
        if objective.metric in metrics[:index]:
            mistakes.append(f"objectives[{index}].metric: {objective.metric!r} is there twice")
        right = "maximize" if objective.metric == "val_accuracy" else "minimize"
        if objective.direction != right:
            mistakes.append(
                f"objectives[{index}].direction: {objective.direction!r} is wrong for "
                f"{objective.metric}, which needs {right!r}"
            )
        if objective.reference is not None and objective.metric != "val_accuracy":
            mistakes.append(
                f"objectives[{index}].reference: {objective.reference} given for "
                f"{objective.metric}; only val_accuracy has a reference"
            )
    early = tables.early_stopping
    if early.kind != "none" and early.min_epochs >= tables.proxy.epochs:
        mistakes.append(
            f"early_stopping.min_epochs: {early.min_epochs} is not below proxy.epochs = "
            f"{tables.proxy.epochs}, so nothing would ever be stopped"
        )
    if tables.workers.gpus > 1 and tables.workers.gpus != int(tables.workers.gpus):
        mistakes.append(
            f"workers.gpus: {tables.workers.gpus} is neither a share of one GPU nor a whole number"
        )
    return mistakes


def _drop_none(value: Any) -> Any:
    """TOML has no null: keys without a value are left out. Tuples become lists, as TOML reads them."""
    if isinstance(value, dict):
        return {key: _drop_none(item) for key, item in value.items() if item is not None}
    return [_drop_none(item) for item in value] if isinstance(value, list | tuple) else value
