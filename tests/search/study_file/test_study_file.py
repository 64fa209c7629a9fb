"""Study files: what is read from right ones, and what is said about wrong ones."""

import json
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from hgcnet.architecture import Task
from hgcnet.errors import StudyFileError
from search.optuna_space import OptunaSpace
from search.study_file.differences import first_difference
from search.study_file.reading import parse_study_file, read_study_file
from search.study_file.schema import METRICS, StudyFile, direction_of
from space.limits import Band, Limits
from space.parameters import Choice, Growth, Range
from space.search_space import SearchSpace

STUDIES = Path(__file__).parents[3] / "studies"
QUICKSTART = tomllib.loads((STUDIES / "quickstart.toml").read_text(encoding="utf-8"))
MISSING = object()
NEEDED = "one of val_accuracy, val_balanced_accuracy, val_macro_f1 and one or more of flops, num_params are needed"
NAN, INFINITY = float("nan"), float("inf")


def changed(**changes: Any) -> dict[str, Any]:
    """Quickstart's document with keys such as `budget.trials` set, or taken away if MISSING."""
    document = deepcopy(QUICKSTART)
    for path, value in changes.items():
        *tables, key = path.split(".")
        table: Any = document
        for name in tables:
            table = table[int(name)] if name.isdecimal() else table[name]
        position: Any = int(key) if key.isdecimal() else key
        if value is MISSING:
            del table[position]
        else:
            table[position] = value
    return document


def errors_in(document: Mapping[str, Any]) -> list[str]:
    with pytest.raises(StudyFileError) as caught:
        parse_study_file(document, source="studies/x.toml")
    return str(caught.value).splitlines()


TOP = "name, seed, budget, data, objectives, limits, sampler, early_stopping, proxy, workers, space"
AXES = (
    "operator, stem_channels, stem_stride, bottleneck, compression, stages, depth, groups, growth, se, "
    "se_reduction"
)

# What is wrong, and all that is said about it after the file's name.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": MISSING}, "name: is missing"),
    ({"name": "my study"}, "name: 'my study' is not 1 to 100 letters, digits, - and _"),
    ({"name": "../up"}, "name: '../up' is not 1 to 100 letters, digits, - and _"),
    ({"name": "x\n"}, r"name: 'x\n' is not 1 to 100 letters, digits, - and _"),
    ({"name": 7}, "name: 7 is not a text in quotes"),
    (
        {"name": date(2020, 1, 2)},
        "name: 2020-01-02 is a date or a time, which no key takes; put texts in quotes",
    ),
    ({"nmae": "x"}, f"nmae: unknown key; known are {TOP}"),
    ({"seed": -1}, "seed: -1 is below 0"),
    ({"seed": 2**32}, "seed: 4294967296 is above 4294967295"),
    ({"seed": 10**30}, "seed: the integer does not fit into the 64 bits of TOML"),
    ({"budget": MISSING}, "budget: is missing"),
    ({"budget": 20}, "budget: 20 is not a table"),
    ({"budget.trials": MISSING}, "budget.trials: is missing"),
    ({"budget.trials": 0}, "budget.trials: 0 is not above 0"),
    ({"budget.trials": "20"}, "budget.trials: '20' is not an integer"),
    ({"budget.trials": 20.0}, "budget.trials: 20.0 is not an integer"),
    ({"budget.trials": 2.5}, "budget.trials: 2.5 is not an integer"),
    ({"budget.trials": True}, "budget.trials: True is not an integer"),
    ({"budget.hours": 0}, "budget.hours: 0 is not above 0"),
    ({"budget.hours": NAN}, "budget.hours: nan is not a finite number"),
    (
        {"budget.epochs": 3},
        "budget.epochs: unknown key; known are trials, hours, max_failure_share",
    ),
    ({"data": MISSING}, "data: is missing"),
    (
        {"data.dataset": "mnist"},
        "data.dataset: 'mnist' is not one of ",
    ),
    ({"data.resolution": MISSING}, "data.resolution: is missing"),
    ({"data.resolution": 7}, "data.resolution: 7 is not between 8 and 1024"),
    ({"data.resolution": "8"}, "data.resolution: '8' is not an integer"),
    ({"data.root": ""}, "data.root: '' is not a path"),
    ({"data.mirror": 1}, "data.mirror: 1 is not true or false"),
    (
        {"space.stages": 5},
        "data.resolution: 8 px are too few for 5 stages with space.stem_stride = 1; "
        "16 or more are needed",
    ),
    (
        {
            "space.stages": {"low": 3, "high": 5},
            "space.stem_stride": {"choice": [1, 4]},
            "data.resolution": 128,
            "proxy.resolution": 62,
        },
        "proxy.resolution: 62 px are too few for 5 stages with space.stem_stride = 4; "
        "63 or more are needed",
    ),
    ({"space.stem_stride": 8}, "space.stem_stride: 8 is not one of 1, 2, 4"),
    ({"limits.flops": 0}, "limits.flops: 0 is not above 0"),
    ({"limits.flops": "1e6"}, "limits.flops: '1e6' is not a number"),
    ({"limits.flops": INFINITY}, "limits.flops: inf is not a finite number"),
    (
        {"limits.flops": 10**400},
        "limits.flops: the integer does not fit into the 64 bits of TOML",
    ),
    ({"limits.flops": {}}, "limits.flops: has neither min nor max"),
    (
        {"limits.flops": {"min": 2e6, "max": 1e6}},
        "limits.flops: min = 2000000 is above max = 1000000",
    ),
    ({"limits.flops": {"min": 0, "max": 1e6}}, "limits.flops.min: 0 is not above 0"),
    ({"limits.flops": {"least": 1}}, "limits.flops.least: unknown key; known are min, max"),
    ({"limits.num_params": [1, 2]}, "limits.num_params: [1, 2] is not a number"),
    ({"limits.latency": 3}, "limits.latency: unknown key; known are flops, num_params"),
    ({"limits": []}, "limits: [] is not a table"),
    ({"objectives": MISSING}, "objectives: is missing"),
    (
        {"objectives": {"metric": "flops"}},
        "objectives: {'metric': 'flops'} is not a list of metrics",
    ),
    (
        {"objectives": []},
        "objectives: none given; " + NEEDED,
    ),
    (
        {"objectives.1": MISSING},
        "objectives: val_accuracy given; " + NEEDED,
    ),
    (
        {"objectives.0": MISSING},
        "objectives: flops given; " + NEEDED,
    ),
    (
        {"objectives.1": "speed"},
        "objectives[1]: 'speed' is not one of 'val_accuracy', 'val_balanced_accuracy', 'val_macro_f1', 'flops' or 'num_params'",
    ),
    ({"objectives.1": 7}, "objectives[1]: 7 is neither the name of a metric nor a table"),
    (
        {"objectives.1": ["flops"]},
        "objectives[1]: ['flops'] is neither the name of a metric nor a table",
    ),
    (
        {"objectives.1": date(2020, 1, 2)},
        "objectives[1]: 2020-01-02 is a date or a time, which no key takes; put texts in quotes",
    ),
    ({"objectives": "flops"}, "objectives: 'flops' is not a list of metrics"),
    ({"objectives.1": {}}, "objectives[1].metric: is missing"),
    (
        {"objectives.0": {"metric": "accuracy"}},
        "objectives[0].metric: 'accuracy' is not one of 'val_accuracy', 'val_balanced_accuracy', 'val_macro_f1', 'flops' or 'num_params'",
    ),
    (
        {"objectives.0": {"metric": "val_accuracy", "direction": "minimize"}},
        "objectives[0].direction: 'minimize' is wrong for val_accuracy, which needs 'maximize'; "
        "the key can be left out",
    ),
    (
        {"objectives.1": {"metric": "flops", "direction": "maximize"}},
        "objectives[1].direction: 'maximize' is wrong for flops, which needs 'minimize'; "
        "the key can be left out",
    ),
    (
        {"objectives.0": {"metric": "val_accuracy", "reference": 1.5}},
        "objectives[0].reference: 1.5 is above 1",
    ),
    (
        {"objectives.1": {"metric": "flops", "reference": 0.5}},
        "objectives[1].reference: 0.5 given for flops; only a measured objective has one, such as val_accuracy",
    ),
    (
        {"objectives.1": {"metric": "flops", "weight": 2}},
        "objectives[1].weight: unknown key; known are metric, reference",
    ),
    ({"sampler.kind": "bohb"}, "sampler.kind: 'bohb' is not one of "),
    ({"sampler.start_with": "hgcnet_42_g4"}, "sampler.start_with: 'hgcnet_42_g4' is not a list"),
    ({"sampler.start_with": [42]}, "sampler.start_with[0]: 42 is not a text in quotes"),
    ({"early_stopping.kind": "asha"}, "early_stopping.kind: 'asha' is not one of "),
    (
        {"early_stopping.min_epochs": 10, "proxy.epochs": 10},
        "early_stopping.min_epochs: 10 is not below proxy.epochs = 10, so nothing would ever be stopped",
    ),
    (
        {"early_stopping.reduction_factor": 1},
        "early_stopping.reduction_factor: 1 is below 2",
    ),
    ({"proxy": MISSING}, "proxy: is missing"),
    ({"proxy.epochs": MISSING}, "proxy.epochs: is missing"),
    ({"proxy.batch_size": 0}, "proxy.batch_size: 0 is not above 0"),
    ({"proxy.train_images": 0}, "proxy.train_images: 0 is not above 0"),
    ({"proxy.learning_rate": NAN}, "proxy.learning_rate: nan is not a finite number"),
    ({"proxy.weight_decay": -0.1}, "proxy.weight_decay: -0.1 is below 0"),
    ({"proxy.resolution": 2000}, "proxy.resolution: 2000 is not between 8 and 1024"),
    ({"workers.at_once": 0}, "workers.at_once: 0 is not above 0"),
    ({"workers.cpus": 0.5}, "workers.cpus: 0.5 is not an integer"),
    ({"workers.gpus": -1}, "workers.gpus: -1 is below 0"),
    (
        {"workers.gpus": 1.5},
        "workers.gpus: 1.5 is neither a share of one GPU nor a whole number",
    ),
    ({"space": MISSING}, "space: is missing"),
    ({"space": [1]}, "space: [1] is not a table"),
    ({"space.stem": 8}, f"space.stem: unknown key; known are {AXES}"),
    ({"space.groups.choice.1": 0}, "space.groups.choice[1]: 0 is not a positive integer"),
    ({"space.compression": NAN}, "space.compression: nan is not a finite number"),
    (
        {"space.depth": {"low": 1, "high": INFINITY}},
        "space.depth.high: inf is not a finite number",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[w[1].rstrip() for w in WRONG])
def test_one_line_names_the_file_the_key_what_was_given_and_what_would_be_right(
    changes: dict[str, Any], message: str
) -> None:
    errors = errors_in(changed(**changes))
    assert len(errors) == 1
    if message.endswith("is not one of "):  # of a list that grows
        assert errors[0].startswith(f"studies/x.toml: {message}'")
    else:
        assert errors == [f"studies/x.toml: {message}"]


def test_all_errors_are_told_at_once() -> None:
    document = changed(
        **{
            "name": "a b",
            "budget.trials": 0,
            "budget.trails": 3,
            "budget.hours": NAN,
            "proxy.epochs": 0,
            "proxy.batch_size": -1,
            "data.resolution": 4,
            "data.root": "",
            "space.depth": [1, 2],
            "space.se": "first",
        }
    )
    assert sorted(error.split(": ")[1] for error in errors_in(document)) == [
        "budget.hours",
        "budget.trails",
        "budget.trials",
        "data.resolution",
        "data.root",
        "name",
        "proxy.batch_size",
        "proxy.epochs",
        "space.depth",
        "space.se",
    ]


def test_errors_that_no_key_shows_alone_are_told_with_those_of_the_space() -> None:
    document = changed(**{"objectives.1": "val_accuracy", "space.groups": 0})
    assert errors_in(document) == [
        "studies/x.toml: space.groups: 0 is not a positive integer",
        "studies/x.toml: objectives: val_accuracy, val_accuracy given; " + NEEDED,
        "studies/x.toml: objectives[1]: 'val_accuracy' is given twice",
    ]


def test_all_errors_of_the_objectives_are_told_at_once() -> None:
    document = changed(objectives=["speed", {"metric": "flops", "direction": "up"}, 7])
    assert sorted(error.split(": ")[1] for error in errors_in(document)) == [
        "objectives[0]",
        "objectives[1].direction",
        "objectives[2]",
    ]


@pytest.mark.parametrize("again", ["flops", {"metric": "flops"}], ids=str)
def test_two_objectives_of_one_metric_are_refused(again: Any) -> None:
    document = changed()
    document["objectives"].append(again)
    assert errors_in(document) == ["studies/x.toml: objectives[2]: 'flops' is given twice"]


def test_an_empty_file_is_told_everything_that_is_missing() -> None:
    assert errors_in({}) == [
        f"studies/x.toml: {key}: is missing"
        for key in ("name", "budget", "data", "objectives", "proxy", "space")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'name = "a\n', "is not TOML: "),
        (b"name = a", "is not TOML: "),
        (b'name = "a"\nname = "b"\n', "is not TOML: "),
        (b"a = " + 2000 * b"[", "is not TOML: "),
        (b"seed = " + 5000 * b"1", "is not TOML: "),
        (b'name = "\xff"', "is not UTF-8 text (byte 8)"),
        ('name = "a"'.encode("utf-16"), "is not UTF-8 text (byte 0)"),
    ],
)
def test_what_is_not_toml_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        read_study_file(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_file_nested_deeply_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for depth in (50, 150, 250, 350, 450):
        path.write_text(f"name = {depth * '['}{depth * ']'}")
        with pytest.raises(StudyFileError):
            read_study_file(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"nothing\.toml: there is no such file$"):
        read_study_file(tmp_path / "nothing.toml")
    with pytest.raises(StudyFileError, match=r": cannot be read: Is a directory$"):
        read_study_file(tmp_path)


def test_quickstart_becomes_values() -> None:
    file = parse_study_file(changed(**{"budget.trials": 20, "limits.flops": 1_500_000}), "x.toml")
    assert (file.name, file.seed, file.source) == ("quickstart", 0, "x.toml")
    assert (file.budget.trials, file.budget.hours) == (20, None)
    assert (file.limits.flops, file.limits.num_params) == (1.5e6, None)
    assert file.metrics == ("val_accuracy", "flops")
    assert file.reference_accuracy is None
    assert file.parameters.depth == Range(low=1, high=3, per_stage=True)
    assert file.parameters.groups == Choice(choice=(1, 2, 4), per_stage=True)
    assert isinstance(file.parameters.growth, Growth)


def test_a_space_for_larger_pictures_becomes_values() -> None:
    given = {"space.stem_stride": {"choice": [2, 4]}, "space.stages": {"low": 3, "high": 5}}
    file = parse_study_file(changed(**given, **{"data.resolution": 63}), "x.toml")
    assert file.parameters.stem_stride == Choice(choice=(2, 4))
    assert file.parameters.stages == Range(low=3, high=5)
    again = parse_study_file(file.document, "x.toml")
    assert again.parameters == file.parameters


def test_tables_with_defaults_may_be_left_out() -> None:
    optional = ("limits", "sampler", "early_stopping", "workers")
    file = parse_study_file(changed(**dict.fromkeys(optional, MISSING)), "x.toml")
    assert file.sampler.kind == "known_cost"
    assert file.early_stopping.kind == "none"
    assert (file.limits.flops, file.workers.cpus, file.workers.gpus) == (None, 1, 0.0)


def test_the_reference_accuracy_is_that_of_the_accuracy_wherever_it_stands() -> None:
    objectives = ["flops", {"metric": "val_accuracy", "reference": 0.3}]
    file = parse_study_file(changed(objectives=objectives), "x.toml")
    assert (file.metrics, file.reference_accuracy) == (("flops", "val_accuracy"), 0.3)


# Earlier study files and stored documents spell the directions out.
WITH_DIRECTIONS = [
    {"metric": "val_accuracy", "direction": "maximize"},
    {"metric": "flops", "direction": "minimize"},
]


@pytest.mark.parametrize(
    ("objectives", "canonical"),
    [
        (["val_accuracy", "flops"], ["val_accuracy", "flops"]),
        ([{"metric": "val_accuracy"}, {"metric": "flops"}], ["val_accuracy", "flops"]),
        (["val_accuracy", {"metric": "flops"}], ["val_accuracy", "flops"]),
        (WITH_DIRECTIONS, ["val_accuracy", "flops"]),
        (
            [WITH_DIRECTIONS[0] | {"reference": 0.0}, WITH_DIRECTIONS[1]],
            [{"metric": "val_accuracy", "reference": 0.0}, "flops"],
        ),
    ],
)
def test_every_way_to_write_the_objectives_is_one_document(
    objectives: list[Any], canonical: list[Any]
) -> None:
    file = parse_study_file(changed(objectives=objectives), "x.toml")
    assert file.document["objectives"] == canonical
    assert file.metrics == ("val_accuracy", "flops")


def test_the_directions_follow_from_the_metrics() -> None:
    assert [direction_of(metric) for metric in METRICS] == ["maximize"] * 3 + ["minimize"] * 2


RIGHT = [
    {},
    {"space.depth": [1, 2, 3], "space.se": ["none", "last", "all"]},
    {"space.growth": 8, "space.compression": {"choice": [1, 0.5, 0.25]}},
    {"space.growth": {"low": 4, "high": 8, "per_stage": True}},
    {"space.growth": {"base": 8}},
    {"budget.hours": 1, "sampler.start_with": ["hgcnet_42_g4"], "data.mirror": False},
    {
        "objectives.0": {"metric": "val_accuracy", "reference": 0},
        "workers.gpus": 2,
        "limits": {"num_params": 1},
    },
]


@pytest.mark.parametrize("changes", RIGHT, ids=str)
def test_the_resolved_document_reads_back_as_the_same_study(changes: dict[str, Any]) -> None:
    file = parse_study_file(changed(**changes), "x.toml")
    by_toml = tomllib.loads(tomli_w.dumps(dict(file.document)))
    by_json = json.loads(json.dumps(file.document))
    assert by_toml == by_json == file.document
    assert parse_study_file(by_toml, "x.toml") == file


def test_writing_a_default_out_is_no_difference() -> None:
    stored = parse_study_file(changed(), "x.toml").document
    spelt_out = {"seed": 0, "space.compression": 0.5, "space.se.per_stage": False}
    given = parse_study_file(changed(**spelt_out), "x.toml").document
    assert first_difference(stored, given) is None


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"budget.trials": 9999, "budget.hours": 2.0}, None),
        ({"workers.cpus": 7}, None),
        ({"workers.at_once": 3}, None),
        ({"workers": MISSING}, None),
        ({"seed": 1}, ("seed", 0, 1)),
        ({"objectives": WITH_DIRECTIONS}, None),
        ({"objectives.1": "num_params"}, ("objectives[1]", "flops", "num_params")),
        (
            {"objectives.0": {"metric": "val_accuracy", "reference": 0.5}},
            ("objectives[0]", "val_accuracy", {"metric": "val_accuracy", "reference": 0.5}),
        ),
        (
            {"sampler.start_with": ["hgcnet_42_g4"]},
            ("sampler.start_with", [], ["hgcnet_42_g4"]),
        ),
        ({"space.groups.choice.2": 3}, ("space.groups.choice[2]", 4, 3)),
        ({"space.depth.step": 2}, ("space.depth.step", 1, 2)),
        ({"data.resolution": 9, "space.se": "all"}, ("data.resolution", 8, 9)),
    ],
)
def test_only_the_budget_and_the_workers_may_differ(
    changes: dict[str, Any], difference: tuple[str, Any, Any] | None
) -> None:
    stored = parse_study_file(changed(), "x.toml").document
    given = parse_study_file(changed(**changes), "x.toml").document
    assert first_difference(stored, given) == difference


# -- every study file that people run ----------------------------------------------------------


@pytest.fixture(params=sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def shipped(request: pytest.FixtureRequest) -> StudyFile:
    """One of studies/*.toml."""
    return read_study_file(request.param)


def shipped_space(file: StudyFile) -> OptunaSpace:
    num_classes = {"cifar100": 100}.get(file.data.dataset, 10)
    in_channels = 1 if file.data.dataset == "digits" else 3
    task = Task(in_channels=in_channels, num_classes=num_classes, resolution=file.data.resolution)
    return OptunaSpace(SearchSpace(file.parameters, file.limits, task))


def test_shipped_studies_are_named_like_their_files(shipped: StudyFile) -> None:
    assert shipped.name == Path(shipped.source).stem


def test_shipped_studies_have_a_space_with_something_to_choose(shipped: StudyFile) -> None:
    space = shipped_space(shipped)
    networks = space.space.num_networks()
    assert space.distributions
    assert networks is None or networks > shipped.budget.trials


def test_shipped_studies_resolve_to_documents_that_read_back(shipped: StudyFile) -> None:
    assert parse_study_file(shipped.document, shipped.source) == shipped


def test_an_earlier_name_of_an_early_stopping_is_read_as_todays() -> None:
    early = {"min_epochs": 1}
    files = [
        parse_study_file(changed(early_stopping=early | {"kind": kind}), "x.toml")
        for kind in ("belief", "front_chance")
    ]
    assert files[0] == files[1]


def test_a_study_file_keeps_a_band_in_its_document() -> None:
    document = deepcopy(QUICKSTART)
    document["limits"] = {"flops": {"min": 30_000, "max": 600_000}}
    file = parse_study_file(document, "x.toml")
    assert file.limits == Limits(flops=Band(min=30_000, max=600_000))
    stored = json.loads(json.dumps(file.document))
    assert stored["limits"] == {"flops": {"min": 30_000, "max": 600_000}}
    assert parse_study_file(stored, "x.toml") == file
