"""Architecture and Stage: one HGCNet as frozen values, and its TOML file."""

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from hgcnet.atomic_write import reading, replace_file, writing
from hgcnet.errors import ArchitectureError, join_errors, one_line, shown, shown_key
from hgcnet.structure import STEM_STRIDES, build_structure

FORMAT = 2  # for files with a `stem_stride`; all others are written in format 1

# Far beyond any use: they bound what a short file can make a reader allocate.
MAX_VALUE = 4096  # of every integer but the number of classes
MAX_CLASSES = 100_000
MAX_MODULES = 1024
MAX_WEIGHTS = 10**9  # 4 GB in float32
MAX_BYTES = 2**20  # of a TOML file; a name for each of very many classes
MAX_DOTS = 1000  # of one of its lines: a dotted key takes quadratic time to parse
MAX_NESTING = 20

Operator = Literal["hgc", "sgc"]
SEPlacement = Literal["none", "last", "all"]
Check = Callable[[Any], str | None]  # what is wrong with a value, or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A run of modules at one resolution."""

    depth: int  # modules
    growth: int  # channels that each module adds
    groups: int  # G of the grouped 1x1 convolution
    se: SEPlacement = "none"  # which modules have squeeze-and-excitation


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One network of the HGCNet design space (Xie, Zhou, Kung 2019), without its task."""

    operator: Operator = "hgc"
    stem_channels: int = 24
    stem_stride: int = 1  # 1, 2 or 4
    bottleneck: int = 4
    compression: float = 0.5
    se_reduction: int = 8
    stages: tuple[Stage, ...]

    @property
    def fingerprint(self) -> str:
        """16 hex digits of a hash of the built structure: the same for every spelling of a network."""
        shapes = [
            (  # (spelt out: dataclasses.astuple takes three times as long)
                [
                    (m.in_channels, m.mid_channels, m.growth, m.groups, m.operator, m.se_channels)
                    for m in stage.modules
                ],
                stage.transition_channels,
            )
            for stage in build_structure(self)
        ]
        # Without a stride the fingerprint is the one from before there were strides.
        stem = (
            (self.stem_channels,)
            if self.stem_stride == 1
            else (self.stem_channels, self.stem_stride)
        )
        # default=int: widths may be NumPy integers.
        text = json.dumps((_format_of(self), *stem, shapes), default=int)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """One line, as plots and tables show it."""
        stages = " ".join(
            f"{s.depth}x{s.growth}g{s.groups}" + {"none": "", "last": "+se1", "all": "+se"}[s.se]
            for s in self.stages
        )
        stem = f"s{self.stem_channels}" + (f"/{self.stem_stride}" if self.stem_stride > 1 else "")
        return f"{self.operator} {stages} b{self.bottleneck} c{self.compression:g} {stem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is for: channels and side of its images, and its classes.

    Raises:
        ValueError: the names do not fit the number of classes, or one is given twice.
    """

    in_channels: int = 3
    num_classes: int = 10
    resolution: int = 32
    class_names: tuple[str, ...] = ()  # in the order of the outputs; may be empty

    def __post_init__(self) -> None:
        if self.class_names and (error := _names_error(self.class_names, self.num_classes)):
            raise ValueError(f"class_names: {error}")

    @property
    def sizes(self) -> dict[str, int]:
        """All but the names: what networks and their counts depend on."""
        numbers = ("in_channels", "num_classes", "resolution")
        return {key: getattr(self, key) for key in numbers}

    def changed(self, **sizes: int | None) -> "Task":
        """A copy with the sizes that are not None. Another number of classes drops the names."""
        given = self.sizes | {key: size for key, size in sizes.items() if size is not None}
        names = self.class_names if given["num_classes"] == self.num_classes else ()
        return Task(**given, class_names=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureFile:
    """The contents of one architecture file."""

    architecture: Architecture
    task: Task = field(default_factory=Task)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_architecture(path: str | Path) -> ArchitectureFile:
    """Reads an architecture file.

    Raises:
        ArchitectureError: one line for each error, with the file, the key and what would be right.
    """
    try:
        with reading(path, ArchitectureError):
            document = parse_toml(read_bytes(path))
    except ValueError as error:
        raise ArchitectureError(f"{path}: is not TOML: {one_line(error)}") from error
    return parse_architecture(document, source=str(path))


def parse_architecture(document: Mapping[str, Any], source: str) -> ArchitectureFile:
    """Checks a TOML document and turns it into values; `source` names it in messages.

    Raises:
        ArchitectureError: one line for each error. It is an error if the fingerprint under
            provenance is not the architecture's: the file was edited after it was written.
    """
    if "architecture" not in document:
        raise ArchitectureError(
            f"{source}: is not an architecture file: it has no [architecture] table"
        )
    errors: list[str] = []
    _check_table({"format": None, **document}, _DOCUMENT, "", errors)
    table, task, provenance = (
        given if isinstance(given := document.get(key), dict) else {}
        for key in ("architecture", "task", "provenance")
    )
    _check_table(task, _TASK, "task.", errors)
    if table is document["architecture"]:
        _check_table({"stages": None, **table}, _ARCHITECTURE, "architecture.", errors)
    stages = table["stages"] if isinstance(table.get("stages"), list) else []
    for index, stage in enumerate(stages):
        where = f"architecture.stages[{index}]"
        if (error := _table(stage)) is not None:
            errors.append(f"{where}: {error}")
            continue
        needed = ("depth", "growth", "groups")
        errors += [f"{where}.{key}: is missing" for key in needed if key not in stage]
        _check_table(stage, _STAGE, f"{where}.", errors)

    names = task.get("class_names", [])
    if not errors and names:
        wrong = _names_error(names, task.get("num_classes", Task().num_classes))
        errors += [f"task.class_names: {wrong}"] if wrong else []
    if errors:
        raise ArchitectureError(join_errors(source, errors))
    task = {**task, "class_names": tuple(names)}
    values = {**table, "stages": tuple(Stage(**stage) for stage in stages)}
    architecture = Architecture(**values)
    if (error := size_error(architecture, Task(**task))) is not None:
        raise ArchitectureError(f"{source}: architecture: {error}")
    written = provenance.get("fingerprint", architecture.fingerprint)
    if written != architecture.fingerprint:
        raise ArchitectureError(
            f"{source}: provenance.fingerprint: {shown(written)} is not the architecture's, "
            f"{architecture.fingerprint!r}; the file was edited: undo the edit or remove [provenance]"
        )
    return ArchitectureFile(architecture=architecture, task=Task(**task), provenance=provenance)


def size_error(architecture: Architecture, task: Task) -> str | None:
    """Why a network is too large to be meant; None if it is not.

    Its weights are counted with composed grouped convolutions.
    """
    modules = sum(stage.depth for stage in architecture.stages)
    if modules > MAX_MODULES:
        return f"has {modules:,} modules, more than {MAX_MODULES:,}"
    channels = architecture.stem_channels
    weights = 9 * task.in_channels * channels
    for stage in build_structure(architecture):
        for module in stage.modules:
            ends = module.in_channels + 9 + 2 * module.se_channels + module.growth
            weights += module.mid_channels * ends
        channels = stage.modules[-1].out_channels
        weights += channels * (stage.transition_channels or task.num_classes)
    if weights > MAX_WEIGHTS:
        return f"has {weights:,} weights, more than {MAX_WEIGHTS:,}"
    return None


def write_architecture(path: str | Path, file: ArchitectureFile) -> None:
    """Writes an architecture file; `read_architecture` gives an equal value back.

    A reader sees the old file or the new one, never a part.

    Raises:
        ArchitectureError: the file cannot be written there.
    """
    import tomli_w  # here, so that networks can be built where only torch and numpy are installed

    text = tomli_w.dumps(architecture_document(file))
    with writing(path, ArchitectureError):
        replace_file(path, text.encode())


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a TOML file; of a very large one, only as many as `parse_toml` needs to refuse it.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(MAX_BYTES + 1)


def parse_toml(content: bytes) -> dict[str, Any]:
    """The document of a TOML file, with or without a byte order mark.

    Raises:
        ValueError: it is not TOML, or exceeds MAX_BYTES, MAX_DOTS or MAX_NESTING.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    if max(line.count(b".") for line in content.split(b"\n")) > MAX_DOTS:
        raise ValueError(f"one of its lines has more than {MAX_DOTS:,} dots")
    deep = f"it is nested more than {MAX_NESTING} levels deep"
    try:
        document = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError(deep) from error
    level: list[Any] = [document]
    for _ in range(MAX_NESTING):
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in children for child in items if isinstance(child, dict | list)]
    if level:
        raise ValueError(deep)
    return document


def architecture_document(file: ArchitectureFile) -> dict[str, Any]:
    """The TOML document of an architecture file; `parse_architecture` reads it back."""
    architecture = asdict(file.architecture)
    if file.architecture.stem_stride == 1:  # byte for byte what older programs read
        del architecture["stem_stride"]
    document = {
        "format": _format_of(file.architecture),
        "architecture": {**architecture, "stages": list(architecture["stages"])},
        "task": task_document(file.task),
    }
    return document | ({"provenance": dict(file.provenance)} if file.provenance else {})


def task_document(task: Task) -> dict[str, Any]:
    """A task as TOML and JSON; `class_names` is left out if empty."""
    return task.sizes | ({"class_names": list(task.class_names)} if task.class_names else {})


def positive_integer(value: Any, most: int = MAX_VALUE) -> str | None:
    """What is wrong with a value that must be an integer from 1 to `most`; None if nothing is."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return f"{shown(value)} is not a positive integer"
    return f"{shown(value)} is more than {most}" if value > most else None


def one_of(known: tuple[str, ...]) -> Check:
    """A check that a value is one of these."""

    def check(value: Any) -> str | None:
        return None if value in known else f"{shown(value)} is not one of {', '.join(known)}"

    return check


def integer_of(known: tuple[int, ...]) -> Check:
    """A check that a value is one of these integers."""

    def check(value: Any) -> str | None:
        if type(value) is int and value in known:
            return None
        return f"{shown(value)} is not one of {', '.join(map(str, known))}"

    return check


def _format_of(architecture: Architecture) -> int:
    """The first format that can hold it, so that an older program refuses a key that it would ignore."""
    return 1 if architecture.stem_stride == 1 else FORMAT


def _format(value: Any) -> str | None:
    if type(value) is int and 1 <= value <= FORMAT:
        return None
    return f"{shown(value)} is not 1 or {FORMAT}, the supported formats"


def _table(value: Any) -> str | None:
    return None if isinstance(value, dict) else f"{shown(value)} is not a table"


def _stages(value: Any) -> str | None:
    is_list = isinstance(value, list) and value
    return None if is_list else "must be a list of at least one stage"


def _class_names(value: Any) -> str | None:
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return None if is_list else f"{shown(value)} is not a list of names"


def _names_error(names: Sequence[str], num_classes: int) -> str | None:
    """What is wrong with the names of `num_classes` classes; None if nothing is."""
    if len(names) != num_classes:
        return f"{len(names)} names are given for num_classes = {num_classes}"
    if twice := [name for name, number in Counter(names).items() if number > 1]:
        return f"{shown(twice[0])} is given twice"
    return None


def _compression(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{shown(value)} is not a number"
    return None if 0 < value <= 1 else f"{shown(value)} is not in (0, 1]"


def _check_table(
    table: Mapping[str, Any], checks: Mapping[str, Check], prefix: str, errors: list[str]
) -> None:
    for key, value in table.items():
        if key not in checks:
            names = ", ".join(sorted(checks))
            errors.append(f"{prefix}{shown_key(key)}: unknown key; known are {names}")
        elif (error := checks[key](value)) is not None:
            errors.append(f"{prefix}{key}: {error}")


_DOCUMENT = {"format": _format, "architecture": _table, "task": _table, "provenance": _table}
_ARCHITECTURE: Mapping[str, Check] = {
    "operator": one_of(get_args(Operator)),
    "stem_stride": integer_of(STEM_STRIDES),
    "compression": _compression,
    "stages": _stages,
} | dict.fromkeys(("stem_channels", "bottleneck", "se_reduction"), positive_integer)
_TASK: Mapping[str, Check] = {
    "in_channels": positive_integer,
    "num_classes": partial(positive_integer, most=MAX_CLASSES),
    "resolution": positive_integer,
    "class_names": _class_names,
}
_STAGE: Mapping[str, Check] = {
    "se": one_of(get_args(SEPlacement)),
} | dict.fromkeys(("depth", "growth", "groups"), positive_integer)
