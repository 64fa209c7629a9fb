"""Fingerprints, and architecture files: what is written is read back, what is wrong is named."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hgcnet.architecture import (
    Architecture,
    ArchitectureFile,
    Stage,
    Task,
    architecture_document,
    parse_architecture,
    read_architecture,
    write_architecture,
)
from hgcnet.errors import ArchitectureError, UserError
from hgcnet.presets import PRESETS

PLAIN = Architecture(
    stages=(Stage(depth=2, growth=8, groups=4), Stage(depth=1, growth=16, groups=2))
)


def with_stage(**changes: object) -> Architecture:
    """PLAIN with changes to its second stage."""
    return replace(PLAIN, stages=(PLAIN.stages[0], replace(PLAIN.stages[1], **changes)))


def test_with_one_group_both_operators_are_one_network() -> None:
    one_group = replace(PLAIN, stages=tuple(replace(s, groups=1) for s in PLAIN.stages))

    assert one_group.fingerprint == replace(one_group, operator="sgc").fingerprint


def test_in_a_stage_of_one_module_the_last_is_all() -> None:
    assert with_stage(se="last").fingerprint == with_stage(se="all").fingerprint


def test_what_does_not_reach_the_network_is_not_in_the_fingerprint() -> None:
    assert PLAIN.fingerprint == replace(PLAIN, se_reduction=4).fingerprint
    one_stage = replace(PLAIN, stages=PLAIN.stages[:1])
    assert one_stage.fingerprint == replace(one_stage, compression=0.25).fingerprint


def test_numpy_integers_have_the_fingerprint_of_integers() -> None:
    architecture = with_stage(growth=np.int64(16), depth=np.int64(1))

    assert architecture.fingerprint == PLAIN.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, operator="sgc"),
        replace(PLAIN, stem_channels=16),
        replace(PLAIN, stem_stride=2),
        replace(PLAIN, stem_stride=4),
        replace(PLAIN, bottleneck=2),
        replace(PLAIN, compression=1.0),
        replace(PLAIN, stages=PLAIN.stages[:1]),
        replace(PLAIN, stages=PLAIN.stages[::-1]),
        with_stage(depth=2),
        with_stage(growth=12),
        with_stage(groups=4),
        with_stage(se="all"),
        replace(with_stage(se="all"), se_reduction=4),
    ],
    ids=str,
)
def test_another_network_has_another_fingerprint(other: Architecture) -> None:
    assert other.fingerprint != PLAIN.fingerprint


def test_a_fingerprint_is_the_same_in_every_process_and_version() -> None:
    assert PRESETS["hgcnet_42_g4"].fingerprint == "544e835971631b4a"


def test_what_is_written_is_read_back(
    tmp_path: Path, draw_architecture: Callable[..., Architecture]
) -> None:
    for seed in range(50):
        architecture = draw_architecture(seed)
        file = ArchitectureFile(
            architecture=architecture,
            task=Task(in_channels=1, num_classes=100, resolution=17),
            provenance={
                "study": 'with "quotes"',
                "fingerprint": architecture.fingerprint,
                "val_accuracy": 0.1 + 0.2,
                "versions": {"torch": "2.15"},
            },
        )
        path = tmp_path / f"{seed}.toml"

        write_architecture(path, file)

        assert read_architecture(path) == file


def test_a_written_file_reads_as_in_the_design(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"

    write_architecture(path, ArchitectureFile(architecture=PRESETS["hgcnet_42_g4"]))

    text = path.read_text(encoding="utf-8")
    assert '{ depth = 7, growth = 12, groups = 4, se = "none" }' in text
    assert list(tomllib.loads(text)) == ["format", "architecture", "task"]


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old", encoding="utf-8")

    write_architecture(path, ArchitectureFile(architecture=PLAIN))

    assert read_architecture(path).architecture == PLAIN
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["absent/a.toml", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(ArchitectureError, match=f"{where}: cannot be written: "):
        write_architecture(tmp_path / where, ArchitectureFile(architecture=PLAIN))

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_keys_that_are_absent_have_their_defaults() -> None:
    document = {
        "format": 1,
        "architecture": {"stages": [{"depth": 2, "growth": 8, "groups": 4}]},
    }

    file = parse_architecture(document, source="a.toml")

    assert file == ArchitectureFile(
        architecture=Architecture(stages=(Stage(depth=2, growth=8, groups=4),))
    )


def test_a_file_without_a_stride_is_as_older_programs_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    write_architecture(path, ArchitectureFile(architecture=with_stage(se="last")))

    assert (
        path.read_text(encoding="utf-8")
        == """\
format = 1

[architecture]
operator = "hgc"
stem_channels = 24
bottleneck = 4
compression = 0.5
se_reduction = 8
stages = [
    { depth = 2, growth = 8, groups = 4, se = "none" },
    { depth = 1, growth = 16, groups = 2, se = "last" },
]

[task]
in_channels = 3
num_classes = 10
resolution = 32
"""
    )


@pytest.mark.parametrize("stride", [2, 4])
def test_a_file_with_a_stride_has_a_format_that_older_programs_refuse(
    tmp_path: Path, stride: int
) -> None:
    path, network = tmp_path / "a.toml", replace(PLAIN, stem_stride=stride)
    file = ArchitectureFile(architecture=network, provenance={"fingerprint": network.fingerprint})
    write_architecture(path, file)

    assert tomllib.loads(path.read_text(encoding="utf-8"))["format"] == 2
    assert read_architecture(path) == file
    assert str(network) == f"{PLAIN}/{stride}"


CORRECT = """\
format = 1
[architecture]
operator = "hgc"
stem_channels = 24
bottleneck = 4
compression = 0.5
se_reduction = 8
stages = [{ depth = 2, growth = 12, groups = 4, se = "none" }]
[task]
num_classes = 10
[provenance]
study = "x"
"""
STAGES = '[{ depth = 2, growth = 12, groups = 4, se = "none" }]'
WRONG = [  # what to replace, by what, the message after the file's name
    ("format = 1\n", "", "format: None is not 1 or 2, the supported formats"),
    ("format = 1", "format = 3", "format: 3 is not 1 or 2, the supported formats"),
    (CORRECT, "format = 1", "is not an architecture file: it has no [architecture] table"),
    (CORRECT, "format = 1\narchitecture = 3", "architecture: 3 is not a table"),
    ('"hgc"', '"dense"', "architecture.operator: 'dense' is not one of hgc, sgc"),
    ("24", "0", "architecture.stem_channels: 0 is not a positive integer"),
    ("24", "24.0", "architecture.stem_channels: 24.0 is not a positive integer"),
    (
        "bottleneck = 4",
        "stem_stride = 3",
        "architecture.stem_stride: 3 is not one of 1, 2, 4",
    ),
    (
        "bottleneck = 4",
        "stem_stride = true",
        "architecture.stem_stride: True is not one of 1, 2, 4",
    ),
    (
        "bottleneck = 4",
        'bottleneck = "4"',
        "architecture.bottleneck: '4' is not a positive integer",
    ),
    ("= 8\n", "= true\n", "architecture.se_reduction: True is not a positive integer"),
    ("0.5", "1.5", "architecture.compression: 1.5 is not in (0, 1]"),
    ("0.5", "nan", "architecture.compression: nan is not in (0, 1]"),
    ("0.5", "'half'", "architecture.compression: 'half' is not a number"),
    (
        "bottleneck =",
        "botleneck =",
        "architecture.botleneck: unknown key; known are bottleneck, compression, operator, "
        "se_reduction, stages, stem_channels, stem_stride",
    ),
    (STAGES, "[]", "architecture.stages: must be a list of at least one stage"),
    (STAGES, "7", "architecture.stages: must be a list of at least one stage"),
    (STAGES, "[7]", "architecture.stages[0]: 7 is not a table"),
    ("depth = 2, ", "", "architecture.stages[0].depth: is missing"),
    ("growth = 12", "growth = -1", "architecture.stages[0].growth: -1 is not a positive integer"),
    ("groups = 4", "groups = 0", "architecture.stages[0].groups: 0 is not a positive integer"),
    ('"none"', '"some"', "architecture.stages[0].se: 'some' is not one of none, last, all"),
    (
        "groups = 4",
        "groups = 4, width = 3",
        "architecture.stages[0].width: unknown key; known are depth, groups, growth, se",
    ),
    ("num_classes = 10", "num_classes = 0", "task.num_classes: 0 is not a positive integer"),
    (
        "num_classes",
        "classes",
        "task.classes: unknown key; known are class_names, in_channels, num_classes, resolution",
    ),
    (
        "[provenance]",
        "[origin]",
        "origin: unknown key; known are architecture, format, provenance, task",
    ),
]


def test_the_file_that_the_wrong_ones_start_from_is_correct(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(CORRECT, encoding="utf-8")

    assert read_architecture(path).architecture.stages[0].depth == 2


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[row[2][:40] for row in WRONG])
def test_a_wrong_file_gives_its_message_in_one_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert CORRECT.count(old) == 1
    path = tmp_path / "a.toml"
    path.write_text(CORRECT.replace(old, new), encoding="utf-8")

    with pytest.raises(UserError) as error:
        read_architecture(path)

    assert str(error.value) == f"{path}: {message}"


def test_the_names_of_the_classes_are_in_the_file_and_not_in_the_fingerprint(
    tmp_path: Path,
) -> None:
    names = ("Überraschung 猫", "a\nb", 'x [y] & "q"')
    task = Task(num_classes=3, class_names=names)
    file = ArchitectureFile(
        architecture=PLAIN, task=task, provenance={"fingerprint": PLAIN.fingerprint}
    )
    write_architecture(tmp_path / "a.toml", file)

    assert read_architecture(tmp_path / "a.toml") == file
    assert task.changed(num_classes=3, resolution=64).class_names == names
    assert task.changed(num_classes=4) == Task(num_classes=4)
    assert "class_names" not in architecture_document(ArchitectureFile(architecture=PLAIN))["task"]


def test_a_name_for_each_of_a_thousand_classes_is_read_back(tmp_path: Path) -> None:
    names = tuple(f"n{number:08}.{'x' * 240}" for number in range(1000))
    file = ArchitectureFile(
        architecture=PLAIN, task=Task(num_classes=len(names), class_names=names)
    )
    write_architecture(tmp_path / "a.toml", file)
    assert read_architecture(tmp_path / "a.toml").task.class_names == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("cat", "'cat' is not a list of names"),
        (["cat", 3], "['cat', 3] is not a list of names"),
        (["cat"], "1 names are given for num_classes = 2"),
        (["cat", "cat"], "'cat' is given twice"),
    ],
    ids=str,
)
def test_wrong_names_of_classes_are_told(names: object, message: str) -> None:
    document = architecture_document(ArchitectureFile(architecture=PLAIN))
    document["task"] |= {"num_classes": 2, "class_names": names}
    with pytest.raises(ArchitectureError) as error:
        parse_architecture(document, source="a.toml")
    assert str(error.value) == f"a.toml: task.class_names: {message}"


def test_all_errors_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        CORRECT.replace("24", "0").replace("0.5", "2").replace("groups = 4", "groups = 0"),
        encoding="utf-8",
    )

    with pytest.raises(ArchitectureError) as error:
        read_architecture(path)

    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"format = ", "is not TOML: "),
        (b"\xff\xfe", "is not TOML: "),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ArchitectureError, match=f"a.toml: {message}"):
        read_architecture(path)


def test_a_file_edited_by_hand_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    provenance = {"fingerprint": PLAIN.fingerprint}
    write_architecture(path, ArchitectureFile(architecture=PLAIN, provenance=provenance))
    path.write_text(path.read_text(encoding="utf-8").replace("growth = 16", "growth = 17"), "utf-8")

    with pytest.raises(ArchitectureError, match=r"provenance\.fingerprint: .* was edited") as error:
        read_architecture(path)

    assert "\n" not in str(error.value)
