"""A study file: TOML -> frozen values, with all errors at once, each named by its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Annotated, Any, Literal, LiteralString, get_args, get_type_hints

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import (
    AfterValidator,
    Discriminator,
    GetPydanticSchema,
    StringConstraints,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from hgcnet.errors import StudyFileError
from search.data.data_config import DataConfig
from search.training.proxy_config import ProxyConfig
from search.training.quality import QUALITY_METRICS, QualityMetric
from space.limits import Band, Limits
from space.parameters import Parameters

NAME = "^[A-Za-z0-9_-]{1,100}$"  # of a study
MIN_RESOLUTION, MAX_RESOLUTION = 8, 1024
MAX_TRIALS, MAX_EPOCHS, MAX_START_WITH, MAX_AT_ONCE = 1_000_000, 100_000, 1000, 100_000

Sampler = Literal["random", "tpe", "nsga2", "gp", "known_cost"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)
CostMetric = Literal["flops", "num_params"]
Metric = Literal[QualityMetric, CostMetric]
METRICS: tuple[str, ...] = get_args(Metric)


def _check_resolution(resolution: int) -> int:
    if MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        return resolution
    raise PydanticCustomError("unfit", f"is not between {MIN_RESOLUTION} and {MAX_RESOLUTION}")


def _path_check(words: LiteralString) -> AfterValidator:
    """Whether a file can have this name: it is not empty, printable, and not too long."""

    def check(text: str) -> str:
        parts = text.encode().split(b"/")
        if text.isprintable() and 0 < len(text) <= 1000 and max(map(len, parts)) <= 255:
            return text
        raise PydanticCustomError("unfit", words)

    return AfterValidator(check)


def _as(schema: Any) -> GetPydanticSchema:
    """Checks a value by another type, which converts it to the annotated one."""
    return GetPydanticSchema(lambda _, handler: handler(schema))


def _stricter(kind: type[Any], **types: Any) -> GetPydanticSchema:
    """Checks fields of a dataclass that does not depend on pydantic by other types."""
    types = get_type_hints(kind) | types
    columns = [(f.name, types[f.name], field(default=f.default)) for f in fields(kind)]
    table = make_dataclass(kind.__name__, columns, kw_only=True)
    return _as(Annotated[table, AfterValidator(lambda values: kind(**vars(values)))])


Positive = Annotated[int, Gt(0)]
PositiveReal = Annotated[float, Gt(0)]
Duration = Annotated[float, Gt(0), Le(1e6)]  # hours or minutes
Resolution = Annotated[
    int,
    AfterValidator(_check_resolution),
    WithJsonSchema({"type": "integer", "minimum": MIN_RESOLUTION, "maximum": MAX_RESOLUTION}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When the study ends: at the first of these."""

    trials: Annotated[Positive, Le(MAX_TRIALS)]
    """Networks to train, those that are stopped early included. Failed trainings do not count."""
    hours: Duration | None = None
    """Hours in which something trains. When they are used, running trainings are stopped. No limit
    by default."""
    max_failure_share: Annotated[float, Ge(0), Le(1)] = 0.5
    """The study stops when more than this share of its trainings failed, and at least five, since
    it was last started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """An objective with a reference, in place of its name."""

    metric: Metric
    """What is optimised."""
    reference: Annotated[float, Ge(0), Le(1)] | None = None
    """Value from which the hypervolume counts; only for the maximised metric. By default the
    cheapest network's, which every study trains first."""


def quality_metric_of(metrics: Sequence[str]) -> QualityMetric:
    """The one objective of a study that is not a cost."""
    return next(metric for metric in QUALITY_METRICS if metric in metrics)


def direction_of(metric: str) -> Literal["maximize", "minimize"]:
    """The only direction that makes sense for a metric."""
    return "maximize" if metric in QUALITY_METRICS else "minimize"


def _objective_kind(value: Any) -> str | None:
    """The tag of an entry of `objectives`; None is neither."""
    return "name" if isinstance(value, str) else "table" if isinstance(value, dict) else None


_OBJECTIVE = Annotated[
    Annotated[Metric, AfterValidator(lambda metric: Objective(metric=metric)), Tag("name")]
    | Annotated[Objective, Tag("table")],
    Discriminator(_objective_kind),
]


def _check_band(band: Band) -> Band:
    if band.min is None and band.max is None:
        raise PydanticCustomError("band", "has neither min nor max")
    if band.min is not None and band.max is not None and band.min > band.max:
        words = f"min = {band.min:.10g} is above max = {band.max:.10g}"
        raise PydanticCustomError("band", words)
    return band


_LIMIT = Annotated[
    Annotated[PositiveReal, Tag("number")]
    | Annotated[
        Band,
        _stricter(Band, min=PositiveReal | None, max=PositiveReal | None),
        AfterValidator(_check_band),
        Tag("band"),
    ],
    Discriminator(lambda value: "band" if isinstance(value, dict | Band) else "number"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """How the next network is chosen."""

    kind: Sampler = "known_cost"
    """`known_cost`: a Gaussian process of the accuracy alone, as the cost is known exactly; it
    needs the fewest trials. The others are Optuna's."""
    start_with: Annotated[
        tuple[Annotated[str, _path_check("is neither a preset's name nor a path")], ...],
        MaxLen(MAX_START_WITH),
    ] = ()
    """Presets, architecture files or model folders to train first. Paths are relative to the study
    file. They are never stopped early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Which trainings stop before their last epoch. A stopped training never enters the front."""

    kind: Literal["front_chance", "moasha", "none"] = "none"
    """`front_chance` stops a training whose predicted probability of being on the final front is
    below 1 %. `moasha` is multi-objective successive halving."""
    min_epochs: Positive = 2
    """Epochs before the first decision, and the first rung."""
    reduction_factor: Annotated[int, Ge(2)] = 2
    """Each rung is this many times the one before. With `moasha`, one training in this many
    continues at each rung, and the whole front so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How many trainings run at once, and what each one uses."""

    at_once: Annotated[Positive, Le(MAX_AT_ONCE)] | None = None
    """Trainings at once, on all machines together. By default as many as there is room for."""
    cpus: Annotated[Positive, Le(4096)] = 1
    """CPU cores of one training."""
    gpus: Annotated[float, Ge(0), Le(4096)] = 0.0
    """GPUs of one training. 0.25 puts four trainings on each GPU, with a quarter of its memory
    each. 0 trains on the CPU."""
    trial_minutes: Duration | None = None
    """Minutes after which a training has failed. No limit by default."""
    checkpoint_minutes: Duration = 2.0
    """Minutes between two checkpoints, from which an interrupted training resumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The keys before the first table, and the tables but `[space]`."""

    name: Annotated[str, StringConstraints(pattern=NAME)]
    """Name of the study, and of its run folder."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """Base seed of proposals and trainings."""
    budget: Budget
    data: Annotated[
        DataConfig,
        _stricter(
            DataConfig, root=Annotated[str, _path_check("is not a path")], resolution=Resolution
        ),
    ]
    objectives: Annotated[tuple[Annotated[Objective, _as(_OBJECTIVE)], ...], MaxLen(10)]
    """Axes of the front: one of `val_accuracy`, `val_balanced_accuracy`, `val_macro_f1`
    (maximised), and `flops`, `num_params` or both (minimised)."""
    limits: Annotated[Limits, _stricter(Limits, flops=_LIMIT | None, num_params=_LIMIT | None)] = (
        field(default_factory=Limits)
    )
    sampler: SamplerConfig = SamplerConfig()
    early_stopping: EarlyStopping = EarlyStopping()
    proxy: Annotated[
        ProxyConfig,
        _stricter(
            ProxyConfig,
            epochs=Annotated[Positive, Le(MAX_EPOCHS)],
            batch_size=Positive,
            resolution=Resolution | None,
            train_images=Positive | None,
            val_images=Positive | None,
            learning_rate=PositiveReal,
            weight_decay=Annotated[float, Ge(0)],
        ),
    ]
    workers: Workers = Workers()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile(Tables):
    """A checked study file. `document` is what a resumed study must not change."""

    parameters: Parameters
    document: Mapping[str, Any]  # every key with its value, defaults filled in
    source: str  # where it was read from, for messages

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the objectives, in the order of a trial's values."""
        return tuple(objective.metric for objective in self.objectives)

    @property
    def quality_metric(self) -> QualityMetric:
        """The one measured objective, by which networks are judged."""
        return quality_metric_of(self.metrics)

    @property
    def costs(self) -> tuple[str, ...]:
        """The objectives that are known before any training: those beside the quality, in order."""
        return tuple(metric for metric in self.metrics if metric not in QUALITY_METRICS)

    @property
    def rung_epochs(self) -> tuple[int, ...]:
        """The epochs after which trainings may be stopped, ascending; none without early stopping."""
        early = self.early_stopping
        if early.kind == "none":
            return ()
        return rung_epochs(early.min_epochs, self.proxy.epochs, early.reduction_factor)

    @property
    def reference_accuracy(self) -> float | None:
        """The quality from which the hypervolume counts, if the file gives it."""
        return next(o.reference for o in self.objectives if o.metric in QUALITY_METRICS)

    def with_trials(self, trials: int) -> "StudyFile":
        """The same study with another budget of trials.

        Raises:
            StudyFileError: the number is out of range.
        """
        if not 1 <= trials <= MAX_TRIALS:
            raise StudyFileError(f"trials: {trials} is not between 1 and {MAX_TRIALS}")
        budget = replace(self.budget, trials=trials)
        document = {**self.document, "budget": {**self.document["budget"], "trials": trials}}
        return replace(self, budget=budget, document=document)

    def with_workers(self, at_once: int) -> "StudyFile":
        """The same study with so many trainings at once.

        Raises:
            StudyFileError: the number is out of range.
        """
        if not 1 <= at_once <= MAX_AT_ONCE:
            raise StudyFileError(f"workers: {at_once} is not between 1 and {MAX_AT_ONCE}")
        workers = replace(self.workers, at_once=at_once)
        document = {**self.document, "workers": {**self.document["workers"], "at_once": at_once}}
        return replace(self, workers=workers, document=document)


def rung_epochs(min_epochs: int, max_epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """The epochs min_epochs * reduction_factor^k below max_epochs, ascending.

    Raises:
        ValueError: min_epochs is below 1, or reduction_factor below 2.
    """
    if min_epochs < 1:
        raise ValueError(f"min_epochs is {min_epochs}, but must be at least 1")
    if reduction_factor < 2:
        raise ValueError(f"reduction_factor is {reduction_factor}, but must be at least 2")
    epochs = [min_epochs]
    while epochs[-1] < max_epochs:
        epochs.append(epochs[-1] * reduction_factor)
    return tuple(epochs[:-1])
