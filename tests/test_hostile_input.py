"""Hostile input: of whatever a file holds, a reader makes a valid value or one clear UserError.

Valid files are made wrong at random, in their values and in their bytes: never another exception,
never a hang, never more memory than a few GB. `--mutations 2000` tries 2,000 study files.
"""

import hashlib
import io
import json
import os
import pickle
import random
import resource
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import hgcnet
from hgcnet.architecture import (
    Architecture,
    ArchitectureFile,
    Stage,
    Task,
    read_architecture,
    write_architecture,
)
from hgcnet.complexity import count
from hgcnet.errors import ArchitectureError, DataError, StudyFileError, UserError
from hgcnet.model import HGCNet
from hgcnet.model_folder import load, read_record, save_model
from hgcnet.presets import PRESETS
from search.cli.app import main
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test, summarise_data
from search.optuna_space import OptunaSpace
from search.prepare import prepare
from search.study.run_folder import RunFolder
from search.study.storage import open_storage, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file, read_study_file
from search.study_file.schema import StudyFile
from space.search_space import SearchSpace

Table = dict[str, Any]

STUDIES = [
    tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[1] / "studies").glob("*.toml"))
]
QUICKSTART = next(study for study in STUDIES if study["name"] == "quickstart")
EVERY_KEY: Table = {
    **QUICKSTART,
    "seed": 7,
    "budget": {"trials": 20, "hours": 2.5, "max_failure_share": 0.4},
    "data": {"dataset": "digits", "root": "digits", "resolution": 8, "mirror": False},
    "space": {
        "operator": {"choice": ["hgc", "sgc"]},
        "stem_channels": {"low": 4, "high": 16, "step": 4},
        "bottleneck": 2,
        "compression": {"choice": [0.5, 1.0]},
        "depth": [1, 2, 3],
        "groups": {"choice": [1, 2], "per_stage": True},
        "growth": {"low": 4, "high": 8, "per_stage": True},
        "se": ["none", "last", "all"],
        "se_reduction": {"choice": [4, 8]},
    },
    "limits": {"flops": 1e6, "num_params": 1e5},
    "sampler": {"kind": "random", "start_with": ["net.toml"]},
    "proxy": QUICKSTART["proxy"] | {"train_images": 500, "val_images": 100, "precision": "fp32"},
    "workers": {"cpus": 1, "gpus": 0.5, "trial_minutes": 90, "checkpoint_minutes": 1.5},
}
NETWORK = Architecture(
    stem_channels=4,
    bottleneck=2,
    stages=tuple(
        Stage(depth=d, growth=4, groups=2, se=se) for d, se in enumerate(("none", "last", "all"), 1)
    ),
)

# -- mutations -----------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


HOSTILE: list[Any] = [
    *(True, False, 0, 1, -1, 2, 3, 7, 16, 32, 255, 256, 1024, 4096, 4097),
    *(10**6, 10**9, 10**12, 2**63 - 1, 2**63),
    *(10**30, -(10**400), 0.0, -0.5, 0.5, 1.0, 2e6, 1e9, 1e-320, 1e300, float("inf"), float("nan")),
    *("", ".", "..", "../x", "/abs", "/dev/zero", "a/b", "~nobody-here/x", "a\nb", "\0\x1b[2J"),
    *("\u202e", "net.toml", "hgcnet_42_g4", "all", "hgc", "exponential", "npz", "x" * 300),
    *("y" * 70_000, [], [[]], {}, {"": {}}, [1, 2, 3], [4096] * 3, ["x"] * 5000, [{}] * 500),
    *(nested(15), nested(60), date(2026, 1, 1), {"low": 1, "high": 4096}, {"base": 4096}),
    {"low": 1, "high": 256, "per_stage": True},
    {"choice": list(range(1, 257)), "per_stage": True},
    {"choice": list(range(9, 300))},
]
GARBAGE = [b"\xff", b"\0", b"\xef\xbb\xbf", b"\r\n", b"[[", b'"""', b"=", b"a." * 500, b"1" * 5000]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every table and list of a document, with each of its keys or positions."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn, document: Table) -> Table:
    """The document after one to four errors."""
    document = deepcopy(document)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        everywhere = list(places(document))
        if not everywhere:
            break
        table, key = everywhere[draw(st.integers(0, len(everywhere) - 1))]
        value = table[key]
        numeric = 5 * ["scale"] if isinstance(value, int | float) else []
        match draw(st.sampled_from([*numeric, "set", "drop", "wrap", "copy", "rename", "swap"])):
            case "scale":
                table[key] = value * draw(st.sampled_from([0, 2, 3, 10, 100]))
            case "set":
                table[key] = deepcopy(draw(st.sampled_from(HOSTILE)))
            case "drop":
                del table[key]
            case "wrap":
                table[key] = draw(st.sampled_from([[value], {"choice": value}]))
            case "swap":
                other, place = everywhere[draw(st.integers(0, len(everywhere) - 1))]
                table[key] = deepcopy(other[place])
            case _ if isinstance(table, list):
                table.insert(key, deepcopy(value))
            case action:
                name = draw(st.sampled_from([f"{key}s", "", "a b", "a\nb", "a:b", "z" * 300]))
                table[name] = value if action == "copy" else table.pop(key)
    return document


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes after one to four accidents."""
    for _ in range(draw(st.integers(1, 4))):
        start, stop = sorted(draw(st.integers(0, len(content))) for _ in range(2))
        match draw(st.sampled_from(["flip", "cut", "drop", "repeat", "insert", "overwrite"])):
            case "flip" if start < len(content):
                flipped = content[start] ^ 1 << draw(st.integers(0, 7))
                content = content[:start] + bytes([flipped]) + content[start + 1 :]
            case "cut":
                content = content[:stop]
            case "drop":
                content = content[:start] + content[stop:]
            case "repeat":
                content = content[:stop] + content[start:]
            case "insert":
                content = content[:start] + draw(st.sampled_from(GARBAGE)) + content[start:]
            case _:
                noise = draw(st.binary(max_size=8))
                content = content[:start] + noise + content[start + len(noise) :]
    return content


def toml_files(*documents: Table) -> st.SearchStrategy[bytes]:
    """Files of which most are TOML, with wrong values; the others have wrong bytes."""

    def of(document: Table) -> st.SearchStrategy[bytes]:
        text = tomli_w.dumps(document).encode()
        wrong = mutated(document).map(lambda changed: tomli_w.dumps(changed).encode())
        kinds = [wrong] * 5 + [damaged(text), wrong.flatmap(damaged)]
        return st.integers(0, len(kinds) - 1).flatmap(lambda kind: kinds[kind])

    return st.sampled_from(documents).flatmap(of)


def to_json(document: Table) -> bytes:
    return json.dumps(document, default=str).encode()


def for_each(number: int, examples: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Runs the check on so many examples, the same at each call."""

    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=timedelta(seconds=20),
        suppress_health_check=list(HealthCheck),
    )
    @given(examples)
    def run(example: Any) -> None:
        check(example)

    run()


def result_of(read: Callable[[], Any], *names: Path) -> Any:
    """What is read, or None after an error that is clear: each line of it names one of the files."""
    try:
        return read()
    except UserError as error:
        lines = str(error).splitlines()
        assert lines
        for line in lines:
            assert line.isprintable(), line
            assert len(line) < 1000, line
            assert any(str(name) in line for name in names), line
        return None


@pytest.fixture(params=[200, pytest.param(2000, marks=pytest.mark.long)])
def num_mutations(request: pytest.FixtureRequest) -> int:
    """How many study files are made wrong at random; of other kinds of files a quarter of it."""
    return int(request.param)


@pytest.fixture(autouse=True)
def few_gigabytes() -> Iterator[None]:
    """Whoever asks for 4 GB more than there is now gets a MemoryError (where Linux counts them)."""
    used, limits = Path("/proc/self/statm"), resource.getrlimit(resource.RLIMIT_AS)
    if used.exists():
        pages = int(used.read_text().split()[0])
        most = pages * resource.getpagesize() + 4 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


# -- study files ---------------------------------------------------------------------------------


def check_study(file: StudyFile) -> None:
    """It reads back as it is written, stays in its folder, and its space can be searched."""
    assert Path("runs", file.name).resolve().parent == Path("runs").resolve()
    assert tomllib.loads(tomli_w.dumps(dict(file.document))) == file.document
    assert parse_study_file(file.document, file.source) == file
    if file.data.dataset == "digits":
        space = prepare(file).space
    else:
        task = Task(in_channels=3, num_classes=100, resolution=file.data.resolution)
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    low, high = space.space.flops_range()
    assert 0 < low <= high
    drawn = space.space.sample(np.random.default_rng(0), ())
    assert drawn is None or space.space.is_feasible(drawn)


def test_a_study_file_is_read_or_refused_clearly(tmp_path: Path, num_mutations: int) -> None:
    path = tmp_path / "study.toml"
    write_architecture(tmp_path / "net.toml", ArchitectureFile(architecture=NETWORK))

    def check(content: bytes) -> None:
        path.write_bytes(content)
        file = result_of(lambda: read_study_file(path), path)
        if file is not None:
            result_of(lambda: check_study(file), path, tmp_path, Path("limits"), Path("digits"))

    for_each(num_mutations, toml_files(*STUDIES, EVERY_KEY, EVERY_KEY), check)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a." * 100_000 + b"a = 1", "one of its lines has more than 1,000 dots"),
        (b"a." * 2000 + b"a = 1", "one of its lines has more than 1,000 dots"),
        (b"a." * 500 + b"a = 1", "it is nested more than"),
        (b"seed = 0x" + b"f" * 9000, "seed: the integer does not fit into the 64 bits of TOML"),
        (b"'a\\n\x1b' = 1", "is not TOML"),
        (b'"a\\n\\u001b[2J" = 1', r"'a\n\x1b[2J': unknown key"),
        (b'name = "' + b"x" * 100_000 + b'"', "xxx' is not 1 to 100 letters"),
        (b"x = [" + b"1," * 60_000 + b"]", "x: unknown key"),
        (b"[[sampler.start_with]]\n" * 500, "476 more errors"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else value,
)
def test_what_is_wrong_in_a_study_file_is_told_briefly(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        read_study_file(path)
    assert message in str(caught.value)
    result_of(lambda: read_study_file(path), path)


@pytest.mark.parametrize("text", ["", "\0", "a\nb", "x" * 300, "a/" * 3000])
def test_a_text_that_can_be_no_path_is_refused(text: str) -> None:
    for table, value in (("data", {"root": text}), ("sampler", {"start_with": [text]})):
        document = QUICKSTART | {table: QUICKSTART[table] | value}
        with pytest.raises(StudyFileError, match=r"is (not|neither a preset's name nor) a path"):
            parse_study_file(document, "x.toml")
        result_of(lambda document=document: parse_study_file(document, "x.toml"), Path("x.toml"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"depth": 10**9}, "space.depth: 1000000000 is more than 4096"),
        ({"growth": 10**12}, "space.growth: 1000000000000 is more than 4096"),
        ({"depth": 400}, "the largest network has 1,200 modules, more than 1,024"),
        ({"growth": 4096}, "weights, more than 1,000,000,000"),
        ({"growth": {"base": 4096}}, "growth: the last stage's 16384 is more than 4096"),
        (
            {"groups": {"low": 1, "high": 256, "per_stage": True}},
            "groups: 150,994,944 combinations of groups and growth are more than 200,000",
        ),
    ],
    ids=str,
)
def test_a_space_that_nobody_can_mean_is_refused_at_once(space: Table, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        parse_study_file(QUICKSTART | {"space": QUICKSTART["space"] | space}, "x.toml")


# -- architecture files --------------------------------------------------------------------------


def architecture_file(architecture: Architecture, task: Task) -> Table:
    provenance = {"study": "s", "fingerprint": architecture.fingerprint, "versions": {"torch": "2"}}
    file = ArchitectureFile(architecture=architecture, task=task, provenance=provenance)
    return hgcnet.architecture.architecture_document(file)


SMALL_TASK = Task(in_channels=1, num_classes=5, resolution=8)
ARCHITECTURE_FILES = (
    architecture_file(NETWORK, SMALL_TASK),
    architecture_file(PRESETS["se_hgcnet_42_g4"], Task()),
)


def test_an_architecture_file_is_read_or_refused_clearly(
    tmp_path: Path, num_mutations: int
) -> None:
    path, again = tmp_path / "net.toml", tmp_path / "again.toml"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        file = result_of(lambda: read_architecture(path), path)
        if file is None:
            return
        write_architecture(again, file)
        assert read_architecture(again).architecture == file.architecture
        if count(file.architecture, file.task).num_params_total < 10**5:
            assert load(path).architecture == file.architecture

    for_each(max(60, num_mutations // 4), toml_files(*ARCHITECTURE_FILES), check)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth = 1", "depth = 1000000000", "stages[0].depth: 1000000000 is more than 4096"),
        ("growth = 4", "growth = 1000000000000", "growth: 1000000000000 is more than 4096"),
        ("depth = 1", "depth = 4096", "architecture: has 4,101 modules, more than 1,024"),
        ("depth = 2, growth = 4", "depth = 20, growth = 4096", "weights, more than 1,000,000,000"),
        ("num_classes = 5", "num_classes = 1000000", "num_classes: 1000000 is more than 100000"),
        ("num_classes = 5", f"num_classes = 0x{'f' * 9000}", "num_classes: <int> is more than"),
        ("resolution = 8", "resolution = 10000", "task.resolution: 10000 is more than 4096"),
        ('study = "s"', f"study = {'[' * 30}{']' * 30}", "it is nested more than 20 levels deep"),
        (
            'study = "s"',
            f"study = {'[' * 3000}{']' * 3000}",
            "it is nested more than 20 levels deep",
        ),
        ('study = "s"', f"study = {'1' * 5000}", "is not TOML: Exceeds the limit"),
    ],
    ids=str,
)
def test_an_architecture_that_nobody_can_mean_is_refused_at_once(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "net.toml"
    path.write_text(tomli_w.dumps(ARCHITECTURE_FILES[0]).replace(old, new))
    with pytest.raises(ArchitectureError) as caught:
        load(path)
    assert message in str(caught.value)
    result_of(lambda: load(path), path)


# -- model folders -------------------------------------------------------------------------------

MODEL_FILES = ("architecture.toml", "model.safetensors", "metrics.json")


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    save_model(
        folder, HGCNet(NETWORK, SMALL_TASK), metrics={"accuracy": 0.9}, mean=[0.5], std=[0.2]
    )
    return folder


def seal(folder: Path) -> None:
    """Gives the metrics the sums of the other files, as somebody who means harm would."""
    document = json.loads((folder / MODEL_FILES[2]).read_bytes())
    for name in MODEL_FILES[:2]:
        document["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / MODEL_FILES[2]).write_text(json.dumps(document))


def test_a_model_folder_is_read_or_refused_clearly(model_folder: Path, num_mutations: int) -> None:
    whole = {name: (model_folder / name).read_bytes() for name in MODEL_FILES}
    metrics = json.loads(whole["metrics.json"])
    header_size = int.from_bytes(whole["model.safetensors"][:8], "little")
    header = json.loads(whole["model.safetensors"][8 : 8 + header_size])
    numbers = whole["model.safetensors"][8 + header_size :]

    def with_header(document: Table) -> bytes:
        text = to_json(document)
        return len(text).to_bytes(8, "little") + text + numbers

    wrong = [
        *(
            damaged(content).map(lambda new, name=name: {name: new})
            for name, content in whole.items()
        ),
        toml_files(ARCHITECTURE_FILES[0]).map(lambda new: {"architecture.toml": new}),
        mutated(header).map(lambda new: {"model.safetensors": with_header(new)}),
        mutated(metrics).map(lambda new: {"metrics.json": to_json(new)}),
    ]

    def check(files: dict[str, bytes]) -> None:
        for name, content in (whole | files).items():
            (model_folder / name).write_bytes(content)
        if "metrics.json" not in files:
            seal(model_folder)
        network = result_of(lambda: load(model_folder), model_folder)
        if network is not None:
            pixels = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
            assert network(read_record(model_folder).normalise(pixels)).shape == (2, 5)

    for_each(max(60, num_mutations // 4), st.one_of(wrong), check)


def test_a_network_without_weights_is_refused_before_it_is_built(model_folder: Path) -> None:
    large = Architecture(stages=(Stage(depth=6, growth=2048, groups=8),))
    document = architecture_file(large, SMALL_TASK)
    (model_folder / "architecture.toml").write_text(tomli_w.dumps(document))
    seal(model_folder)
    with pytest.raises(ArchitectureError, match=r"numbers; the network of architecture.toml needs"):
        load(model_folder)


@pytest.mark.parametrize(
    "constant", ["1" * 5000, "1e400", "[" * 9000 + "]" * 9000, "1" + "0" * 400]
)
def test_numbers_that_are_none_in_the_metrics_are_refused(
    model_folder: Path, constant: str
) -> None:
    path = model_folder / "metrics.json"
    document = json.loads(path.read_bytes()) | {"mean": ["HERE"]}
    path.write_text(json.dumps(document).replace('"HERE"', constant))
    assert result_of(lambda: load(model_folder), model_folder) is None


# -- images --------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
LABELS = np.arange(24) % 3
ARRAYS = {"images": IMAGES, "labels": LABELS, "test_images": IMAGES[:6], "test_labels": LABELS[:6]}


def read_data(dataset: Any, root: Path) -> None:
    config = DataConfig(dataset=dataset, root=str(root), resolution=8)
    summary = summarise_data(config)
    splits, test = load_splits(config, resolution=8), load_test(config, resolution=8)
    assert len(splits.train.labels) == summary.train_images > 0
    for part in (splits.train, splits.validation, test):
        assert part.images.shape == (len(part.labels), summary.in_channels, 8, 8)
        assert 0 <= part.labels.min() <= part.labels.max() < summary.num_classes
    assert np.isfinite([*splits.mean, *splits.std]).all()


def archive(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def member(array: np.ndarray, **header: object) -> bytes:
    """An array as np.save writes it, with other words in its header."""
    said = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    text = f"{said}\n".encode("latin1", "replace")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) % 2**16) + text + array.tobytes()


MEMBERS = {name: member(array) for name, array in ARRAYS.items()}


@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required additional:UserWarning")
def test_an_npz_file_is_read_or_refused_clearly(tmp_path: Path, num_mutations: int) -> None:
    path = tmp_path / "data.npz"
    headers = {"descr": "|u1", "fortran_order": False, "shape": [24, 8, 8]}

    def with_header(header: Table) -> bytes:
        if isinstance(header.get("shape"), list):
            header["shape"] = tuple(header["shape"])
        return archive(MEMBERS | {"images": member(IMAGES, **header)})

    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    wrong = [
        *(damaged(archive(MEMBERS, kind)) for kind in kinds),
        *(
            damaged(MEMBERS[name]).map(lambda new, name=name: archive(MEMBERS | {name: new}))
            for name in MEMBERS
        ),
        mutated(headers).map(with_header),
    ]

    def check(content: bytes) -> None:
        path.write_bytes(content)
        result_of(lambda: read_data("npz", path), path)

    for_each(max(60, num_mutations // 4), st.one_of(wrong), check)


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    path, trap = tmp_path / "data.npz", tmp_path / "trap"
    np.savez(path, images=np.array([Touch(trap)] * 3), labels=LABELS[:3])
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        read_data("npz", path)
    path.write_bytes(archive(MEMBERS | {"labels": pickle.dumps(Touch(trap))}))
    with pytest.raises(DataError, match="labels: is not an array"):
        read_data("npz", path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"images": member(IMAGES, shape=(10**10, 8, 8))}, "images or labels cannot be read"),
        ({"images": member(IMAGES, shape=(10**30, 8, 8))}, "images or labels cannot be read"),
        ({"images": member(IMAGES, shape=(-24, 8, 8))}, "images or labels cannot be read"),
        ({"images": member(IMAGES, shape=(2**32, 2**32, 1))}, "images or labels cannot be read"),
        ({"images": b"no array"}, "images: is not an array"),
        (
            {"labels": member(LABELS.astype("m8[s]"))},
            "labels: timedelta64[s] of shape (24,) are not",
        ),
        ({"labels": member(LABELS * np.nan)}, "labels: float64 of shape (24,) are not integers"),
        ({"labels": member(LABELS.astype("u8") - 1)}, "labels: 18446744073709551615 is too large"),
        ({"labels": member(LABELS * 10**12)}, "classes 0 to 2000000000000 have no image"),
        ({"labels": member(LABELS * 0)}, "has 1 class, '0'; two or more are needed"),
        ({"labels": member(np.arange(24))}, "class '0' has 1 images; each class needs 2 or more"),
        ({"images": member(IMAGES.astype("f8"))}, "images: dtype float64 is not uint8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_announce_what_they_are_not_are_refused(
    tmp_path: Path, members: dict[str, bytes], message: str
) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(archive(MEMBERS | members))
    with pytest.raises(DataError) as caught:
        read_data("npz", path)
    assert message in str(caught.value)
    result_of(lambda: read_data("npz", path), path)


def test_an_archive_that_announces_more_than_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in MEMBERS.items():
            file.writestr(f"{name}.npy", content)
        file.infolist()[0].file_size = 2**54  # in the directory, which is written at the end
    with pytest.raises(
        DataError, match=r"its arrays take 18,014,399 GB, more than the [\d,]+ GB of"
    ):
        read_data("npz", path)


def test_a_single_array_that_announces_what_it_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(member(IMAGES, shape=(10**12, 8, 8)))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive"):
        read_data("npz", path)


def encoded(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(IMAGES[0], (2, 3))).save(buffer, format)
    return buffer.getvalue()


def write_images(root: Path) -> Path:
    """A folder of two classes of images; returns the one that is to be replaced."""
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            (root / name / f"{number}.png").write_bytes(encoded("PNG"))
    return root / "a" / "0.png"


@pytest.mark.filterwarnings("ignore")  # what Pillow finds odd
def test_an_image_is_read_or_refused_clearly(tmp_path: Path, num_mutations: int) -> None:
    path = write_images(tmp_path / "images")
    formats = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM")

    def check(content: bytes) -> None:
        path.write_bytes(content)
        result_of(lambda: read_data("image_folder", tmp_path / "images"), path)

    examples = st.sampled_from([encoded(name) for name in formats]).flatmap(damaged)
    for_each(max(60, num_mutations // 4), examples, check)


def png(width: int, height: int) -> bytes:
    """A PNG of this size without a pixel."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header))
    return start + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "cannot be read as an image"),
        (encoded("PNG")[:60], "cannot be read as an image"),
        (png(8, 8), "cannot be read as an image"),
        (png(50_000, 50_000), "could be decompression bomb"),
        (png(2**31 - 1, 2**31 - 1), "cannot be read as an image"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_images(tmp_path)
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_data("image_folder", tmp_path)
    result_of(lambda: read_data("image_folder", tmp_path), path)


def test_a_pipe_in_place_of_an_image_and_a_class_of_an_odd_name_are_named(tmp_path: Path) -> None:
    path = write_images(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match=r"a/0\.png: is not a file"):
        read_data("image_folder", tmp_path)
    (tmp_path / "odd\n\x1b[2J").mkdir()
    with pytest.raises(DataError, match=r"odd\\n\\x1b\[2J: has no images"):
        read_data("image_folder", tmp_path)


@pytest.mark.parametrize("dataset", ["npz", "image_folder"])
@pytest.mark.parametrize("root", ["~nobody-here/x", "x" * 300, "/dev/null"])
def test_a_root_that_is_none_is_refused(dataset: Any, root: str) -> None:
    assert result_of(lambda: read_data(dataset, Path(root)), Path(root[:50])) is None


# -- stored studies ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a study with a few trials of every kind."""
    file = parse_study_file(QUICKSTART | {"sampler": {"kind": "random"}}, "quickstart.toml")
    folder = RunFolder(tmp_path_factory.mktemp("runs") / file.name)
    folder.create(file.document, {})
    storage = open_storage(sqlite_url(folder.path))
    writer = StudyWriter(storage, file, prepare(file).space)
    writer.hypervolume_bounds()
    writer.set_reference_accuracy(0.5)
    for number in range(6):
        proposal = writer.ask()
        assert proposal is not None
        match number % 3:
            case 0:
                writer.tell_finished(proposal, [0.5, 0.6 + number / 100], 1.0)
            case 1:
                writer.tell_stopped(proposal, [0.4], 0.5)
            case _:
                writer.tell_failed(proposal, "Diverged: loss is nan in epoch 1", [], 0.1)
    storage.remove_session()
    storage.engine.dispose()
    return folder.path


def status_of(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """The exit code of `hgcnas status`, after a look at what it said."""
    with pytest.raises(SystemExit) as exit_:
        main(["status", str(run_folder)])
    out, err = capsys.readouterr()
    if exit_.value.code == 2:
        assert out == ""
        assert err.startswith("hgcnas: ")
        assert err.count("\n") == 1, err
    else:
        assert (exit_.value.code, err) == (0, "")
        assert "study quickstart on digits" in out
    return int(exit_.value.code)


def replace_database(run_folder: Path, content: bytes) -> None:
    for path in run_folder.glob("study.db*"):
        path.unlink()
    (run_folder / "study.db").write_bytes(content)


def test_a_database_that_was_cut_short_is_no_crash(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (run_folder / "study.db").read_bytes()
    copy = tmp_path / "quickstart"
    copy.mkdir()
    (copy / "study.toml").write_bytes((run_folder / "study.toml").read_bytes())
    replace_database(copy, whole)
    assert status_of(copy, capsys) == 0
    rng = random.Random(0)
    for size in [0, *(rng.randrange(len(whole)) for _ in range(50))]:
        replace_database(copy, whole[:size])
        status_of(copy, capsys)
    replace_database(copy, b"what is this? " * 1000)
    assert status_of(copy, capsys) == 2
    (copy / "study.db").unlink()
    (copy / "study.db").mkdir()
    assert status_of(copy, capsys) == 2


@pytest.mark.parametrize("kind", ["study", "architecture"])
def test_a_file_that_was_cut_short_is_no_crash(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.toml"
    document = EVERY_KEY if kind == "study" else ARCHITECTURE_FILES[0]
    read: Callable[[Path], Any] = read_study_file if kind == "study" else read_architecture
    whole = tomli_w.dumps(document).encode()
    rng = random.Random(0)
    for size in [0, *(rng.randrange(len(whole)) for _ in range(50))]:
        path.write_bytes(whole[:size])
        result_of(lambda: read(path), path)
