"""Architecture and Stage: what one HGCNet is, as frozen values, and the TOML file that holds it."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from hgcnet.atomic_write import reading, replace_file, writing
from hgcnet.errors import ArchitectureError, join_errors, one_line, shown, shown_key
from hgcnet.structure import build_structure

FORMAT = 1

# Far beyond any use. They bound what a file of a few lines can make a reader allocate.
MAX_VALUE = 4096  # of every integer but the number of classes
MAX_CLASSES = 100_000
MAX_MODULES = 1024
MAX_WEIGHTS = 10**9  # 4 GB in float32
MAX_BYTES = 2**17  # of a TOML file
MAX_DOTS = 1000  # of a line of it: the time for a dotted key grows as the square of its length
MAX_NESTING = 20

Operator = Literal["hgc", "sgc"]
SEPlacement = Literal["none", "last", "all"]


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
    bottleneck: int = 4
    compression: float = 0.5
    se_reduction: int = 8
    stages: tuple[Stage, ...]

    @property
    def fingerprint(self) -> str:
        """16 hex digits over the built structure: two spellings of one network share it."""
        shapes = tuple(astuple(shape) for shape in build_structure(self))
        # default=int: widths that come as numpy integers are the same widths.
        text = json.dumps((FORMAT, self.stem_channels, shapes), default=int)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """One line, as plots and tables show it."""
        stages = " ".join(
            f"{s.depth}x{s.growth}g{s.groups}" + {"none": "", "last": "+se1", "all": "+se"}[s.se]
            for s in self.stages
        )
        return f"{self.operator} {stages} b{self.bottleneck} c{self.compression:g} s{self.stem_channels}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is measured for: channels and side of its images, and the number of classes."""

    in_channels: int = 3
    num_classes: int = 10
    resolution: int = 32


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
        ArchitectureError: one line for each error. A fingerprint under provenance that is not the
            architecture's is one: the file was edited after it was written.
    """
    if "architecture" not in document:
        raise ArchitectureError(
            f"{source}: is not an architecture file: it has no [architecture] table"
        )
    errors: list[str] = []
    if document.get("format") != FORMAT:
        given = shown(document.get("format"))
        errors.append(f"format: {given} is not {FORMAT}, the format read here")
    table = _table(document, "architecture", errors)
    _check_keys(document, {"format", "architecture", "task", "provenance"}, "", errors)
    _check_keys(table, {f.name for f in fields(Architecture)}, "architecture.", errors)
    task = _table(document, "task", errors) if "task" in document else {}
    _check_keys(task, {f.name for f in fields(Task)}, "task.", errors)

    _check_member(table, "operator", get_args(Operator), "architecture.", errors)
    for key in ("stem_channels", "bottleneck", "se_reduction"):
        _check_positive(table, key, "architecture.", errors)
    compression = table.get("compression", 0.5)
    if isinstance(compression, bool) or not isinstance(compression, int | float):
        errors.append(f"architecture.compression: {shown(compression)} is not a number")
    elif not 0 < compression <= 1:
        errors.append(f"architecture.compression: {shown(compression)} is not in (0, 1]")
    for key in task:
        most = MAX_CLASSES if key == "num_classes" else MAX_VALUE
        _check_positive(task, key, "task.", errors, most)

    stages = table.get("stages")
    if not isinstance(stages, list) or not stages:
        if isinstance(document.get("architecture"), dict):
            errors.append("architecture.stages: must be a list of at least one stage")
        stages = []
    for index, stage in enumerate(stages):
        where = f"architecture.stages[{index}]"
        if not isinstance(stage, dict):
            errors.append(f"{where}: {shown(stage)} is not a table")
            continue
        _check_keys(stage, {f.name for f in fields(Stage)}, f"{where}.", errors)
        for key in ("depth", "growth", "groups"):
            if key not in stage:
                errors.append(f"{where}.{key}: is missing")
            _check_positive(stage, key, f"{where}.", errors)
        _check_member(stage, "se", get_args(SEPlacement), f"{where}.", errors)

    provenance = document.get("provenance", {})
    if not isinstance(provenance, dict):
        errors.append(f"provenance: {shown(provenance)} is not a table")
    if errors:
        raise ArchitectureError(join_errors(source, errors))
    values = {**table, "stages": tuple(Stage(**stage) for stage in stages)}
    architecture = Architecture(**values)
    if (error := size_error(architecture, Task(**task))) is not None:
        raise ArchitectureError(f"{source}: architecture: {error}")
    written = provenance.get("fingerprint", architecture.fingerprint)
    if written != architecture.fingerprint:
        raise ArchitectureError(
            f"{source}: provenance.fingerprint: {shown(written)} is not the architecture's, which is "
            f"{architecture.fingerprint!r}: the file was edited after it was written, and its provenance "
            "speaks of another network; undo the edit or remove [provenance]"
        )
    return ArchitectureFile(architecture=architecture, task=Task(**task), provenance=provenance)


def size_error(architecture: Architecture, task: Task) -> str | None:
    """What makes a network larger than anybody can mean; None for every other one.

    Counted are the weights that it has when its grouped convolutions are composed.
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
    """What a TOML file holds, of a very large one no more than `parse_toml` needs to refuse it.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(MAX_BYTES + 1)


def parse_toml(content: bytes) -> dict[str, Any]:
    """The document of a TOML file. A byte order mark is left out.

    Raises:
        ValueError: it is none, or it exceeds MAX_BYTES, MAX_DOTS or MAX_NESTING.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    if max(line.count(b".") for line in content.split(b"\n")) > MAX_DOTS:
        raise ValueError(f"a line of it has more than {MAX_DOTS:,} dots")
    deep = f"it is nested more than {MAX_NESTING} deep"
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
    document = {
        "format": FORMAT,
        "architecture": {**architecture, "stages": list(architecture["stages"])},
        "task": asdict(file.task),
    }
    return document | ({"provenance": dict(file.provenance)} if file.provenance else {})


def _table(document: Mapping[str, Any], key: str, errors: list[str]) -> dict[str, Any]:
    table = document.get(key)
    if isinstance(table, dict):
        return table
    errors.append(
        f"{key}: " + ("is missing" if table is None else f"{shown(table)} is not a table")
    )
    return {}


def _check_keys(table: Mapping[str, Any], known: set[str], prefix: str, errors: list[str]) -> None:
    for key in table:
        if key not in known:
            names = ", ".join(sorted(known))
            errors.append(f"{prefix}{shown_key(key)}: unknown key; known are {names}")


def _check_positive(
    table: Mapping[str, Any], key: str, prefix: str, errors: list[str], most: int = MAX_VALUE
) -> None:
    value = table.get(key, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        errors.append(f"{prefix}{shown_key(key)}: {shown(value)} is not a positive integer")
    elif value > most:
        errors.append(f"{prefix}{shown_key(key)}: {shown(value)} is more than {most}")


def _check_member(
    table: Mapping[str, Any], key: str, known: tuple[str, ...], prefix: str, errors: list[str]
) -> None:
    if key in table and table[key] not in known:
        errors.append(f"{prefix}{key}: {shown(table[key])} is not one of {', '.join(known)}")
