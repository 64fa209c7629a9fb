"""The `[space]` table: every way of declaring a parameter, and where a error is said to be."""

import json
from typing import Any

import pytest

from space.declaration import MAX_VALUES, read_parameters, to_table
from space.parameters import Choice, Growth, Parameters, Range, build_axes

BASE: dict[str, Any] = {"depth": 2, "groups": 4, "growth": 8}

INTEGERS = ("stem_channels", "bottleneck", "depth", "groups", "growth", "se_reduction")
PER_STAGE = ("depth", "groups", "growth", "se")
NETWORK_WIDE = ("operator", "stem_channels", "bottleneck", "compression", "se_reduction")
ALL = ", ".join(
    (
        *("operator", "stem_channels", "stem_stride", "bottleneck", "compression", "stages"),
        *("depth", "groups", "growth", "se", "se_reduction"),
    )
)
A_VALUE = {"operator": "sgc", "compression": 0.25, "se": "last"} | dict.fromkeys(INTEGERS, 6)


def read(**table: Any) -> Parameters:
    errors: list[str] = []
    parameters = read_parameters(BASE | table, errors)
    assert errors == []
    assert parameters is not None
    return parameters


def errors_of(table: dict[str, Any]) -> list[str]:
    errors: list[str] = []
    assert read_parameters(table, errors) is None
    return errors


def axes_of(parameters: Parameters) -> dict[str, tuple[Any, ...]]:
    return {axis.name: axis.values for axis in build_axes(parameters)}


def test_what_is_left_out_has_its_default() -> None:
    assert read() == Parameters(depth=2, groups=4, growth=8)


@pytest.mark.parametrize("key", [*A_VALUE])
def test_a_bare_value_is_fixed(key: str) -> None:
    parameters = read(**{key: A_VALUE[key]})
    assert getattr(parameters, key) == A_VALUE[key]
    assert axes_of(parameters)[key] == (A_VALUE[key],)


@pytest.mark.parametrize("key", PER_STAGE)
def test_a_list_is_one_fixed_value_for_each_stage(key: str) -> None:
    values = {"se": ["none", "last", "all"]}.get(key, [7, 7, 6])
    parameters = read(**{key: values})
    assert getattr(parameters, key) == tuple(values)
    axes = axes_of(parameters)
    assert key not in axes
    assert [axes[f"{key}_{s}"] for s in range(3)] == [(value,) for value in values]


@pytest.mark.parametrize("key", [*A_VALUE])
def test_a_choice_holds_for_the_whole_network(key: str) -> None:
    parameters = read(**{key: {"choice": [A_VALUE[key]]}})
    assert getattr(parameters, key) == Choice(choice=(A_VALUE[key],))
    assert axes_of(parameters)[key] == (A_VALUE[key],)


@pytest.mark.parametrize("key", PER_STAGE)
def test_a_choice_can_be_made_for_each_stage(key: str) -> None:
    parameters = read(**{key: {"choice": [A_VALUE[key]], "per_stage": True}})
    axes = axes_of(parameters)
    assert [axes[f"{key}_{s}"] for s in range(3)] == 3 * [(A_VALUE[key],)]


@pytest.mark.parametrize("key", INTEGERS)
def test_integers_can_be_a_range(key: str) -> None:
    assert axes_of(read(**{key: {"low": 2, "high": 4}}))[key] == (2, 3, 4)
    # The highest value is one that the steps reach.
    assert axes_of(read(**{key: {"low": 2, "high": 9, "step": 3}}))[key] == (2, 5, 8)
    assert axes_of(read(**{key: {"low": 3, "high": 3}}))[key] == (3,)


def test_a_range_can_be_walked_for_each_stage() -> None:
    parameters = read(depth={"low": 2, "high": 14, "per_stage": True})
    assert parameters.depth == Range(low=2, high=14, per_stage=True)
    assert axes_of(parameters)["depth_1"] == tuple(range(2, 15))


def test_numbers_of_a_choice_are_put_in_order_and_texts_are_not() -> None:
    axes = axes_of(
        read(
            groups={"choice": [8, 1, 4]},
            compression={"choice": [1, 0.5]},
            se={"choice": ["none", "all", "last"]},
        )
    )
    assert axes["groups"] == (1, 4, 8)
    assert axes["compression"] == (0.5, 1)
    assert axes["se"] == ("none", "all", "last")


@pytest.mark.parametrize("base", [8, {"choice": [4, 8]}, {"low": 4, "high": 8, "step": 4}])
@pytest.mark.parametrize("schedule", ["linear", {"choice": ["constant", "exponential"]}, None])
def test_growth_can_be_a_base_and_a_schedule(base: Any, schedule: Any) -> None:
    given = {"base": base} | ({} if schedule is None else {"schedule": schedule})
    parameters = read(growth=given)
    assert isinstance(parameters.growth, Growth)
    axes = axes_of(parameters)
    assert axes["growth_base"] == ((8,) if base == 8 else (4, 8))
    assert axes["growth_schedule"] == {
        "linear": ("linear",),
        "None": ("exponential",),
    }.get(str(schedule), ("constant", "exponential"))


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"depth": [1, 2, 3], "se": ["none", "last", "all"]},
        {"growth": {"base": {"low": 4, "high": 8}, "schedule": {"choice": ["linear"]}}},
        {"growth": {"choice": [8, 2], "per_stage": True}, "compression": {"choice": [1, 0.5]}},
    ],
    ids=str,
)
def test_a_table_with_every_default_reads_back(table: dict[str, Any]) -> None:
    parameters = read(**table)
    written = json.loads(json.dumps(to_table(parameters)))  # tuples become lists
    assert set(written) == set(ALL.split(", "))
    assert read(**written) == parameters


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        (4, (4,)),
        ({"choice": [5, 3]}, (3, 5)),
        ({"low": 3, "high": 5}, (3, 4, 5)),
        ({"low": 3, "high": 5, "step": 2}, (3, 5)),
    ],
    ids=str,
)
def test_each_stage_that_a_network_may_have_has_its_values(
    declared: Any, values: tuple[int, ...]
) -> None:
    largest = max(values)
    parameters = read(
        stages=declared,
        depth={"low": 1, "high": 2, "per_stage": True},
        groups=[1, 2, 4, 8, 16][:largest],
        growth={"base": 4, "schedule": {"choice": ["linear", "exponential"]}},
        se={"choice": ["none", "all"], "per_stage": True},
    )
    axes = axes_of(parameters)
    assert axes["stages"] == values
    for name in ("depth", "groups", "se"):
        of_stages = [f"{name}_{s}" for s in range(9) if f"{name}_{s}" in axes]
        assert of_stages == [f"{name}_{s}" for s in range(largest)]
    written = json.loads(json.dumps(to_table(parameters)))
    assert read(**written) == parameters


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"stem": 8}, [f"stem: unknown key; known are {ALL}"]),
    ({"depth": 0}, ["depth: 0 is not a positive integer"]),
    ({"depth": True}, ["depth: True is not a positive integer"]),
    ({"depth": 2.0}, ["depth: 2.0 is not a positive integer"]),
    ({"depth": "2"}, ["depth: '2' is not a positive integer"]),
    ({"depth": 5000}, ["depth: 5000 is more than 4096"]),
    ({"depth": [2, 3]}, ["depth: 2 values given; 3 stages need one each"]),
    ({"depth": []}, ["depth: 0 values given; 3 stages need one each"]),
    ({"depth": [1, 1, 1, 1]}, ["depth: 4 values given; 3 stages need one each"]),
    ({"stages": 4, "depth": [1, 1, 1]}, ["depth: 3 values given; 4 stages need one each"]),
    (
        {"stages": {"choice": [3, 5]}, "depth": [1, 1, 1]},
        ["depth: 3 values given; up to 5 stages need one each"],
    ),
    ({"stages": 6, "depth": [1, 1]}, ["stages: 6 is not one of 3, 4, 5"]),
    ({"stages": {"low": 2, "high": 4}}, ["stages.low: 2 is not one of 3, 4, 5"]),
    ({"stages": {"choice": [3, 3]}}, ["stages.choice[1]: 3 is given twice"]),
    ({"stages": [3, 4]}, ["stages: [3, 4] is a list, but the whole network has one value"]),
    ({"stem_stride": 3}, ["stem_stride: 3 is not one of 1, 2, 4"]),
    ({"stem_stride": True}, ["stem_stride: True is not one of 1, 2, 4"]),
    ({"stem_stride": 2.0}, ["stem_stride: 2.0 is not one of 1, 2, 4"]),
    (
        {"stem_stride": {"low": 1, "high": 4}},
        ["stem_stride: 1, 2, 4 is not a range; give choice = [...]"],
    ),
    (
        {"depth": [2, 0, "x"]},
        ["depth[1]: 0 is not a positive integer", "depth[2]: 'x' is not a positive integer"],
    ),
    ({"depth": {}}, ["depth: needs choice = [...], or low and high"]),
    ({"se": {}}, ["se: needs choice = [...]"]),
    ({"groups": {"choice": []}}, ["groups.choice: [] is not a list of at least one value"]),
    ({"groups": {"choice": 4}}, ["groups.choice: 4 is not a list of at least one value"]),
    (
        {"groups": {"choice": [1, 0, -2]}},
        [
            "groups.choice[1]: 0 is not a positive integer",
            "groups.choice[2]: -2 is not a positive integer",
        ],
    ),
    ({"groups": {"choice": [1, 2, 1]}}, ["groups.choice[2]: 1 is given twice"]),
    (
        {"groups": {"choice": list(range(1, 400))}},
        [f"groups.choice: 399 values are more than {MAX_VALUES}"],
    ),
    (
        {"groups": {"choice": [1], "low": 2}},
        ["groups: both choice and low or high given; give one of the two"],
    ),
    (
        {"groups": {"choice": [1], "step": 2}},
        ["groups.step: unknown key; known are choice, per_stage"],
    ),
    (
        {"groups": {"low": 1, "high": 2, "stp": 2}},
        ["groups.stp: unknown key; known are low, high, step, per_stage"],
    ),
    (
        {"groups": {"choice": [1], "per_stage": 1}},
        ["groups.per_stage: 1 is not true or false"],
    ),
    ({"depth": {"low": 3}}, ["depth.high: is missing"]),
    ({"depth": {"high": 3}}, ["depth.low: is missing"]),
    ({"depth": {"low": 3, "high": 2}}, ["depth: low = 3 is above high = 2"]),
    ({"depth": {"low": 0, "high": 2}}, ["depth.low: 0 is not a positive integer"]),
    ({"depth": {"low": 1, "high": 9, "step": 0}}, ["depth.step: 0 is not a positive integer"]),
    ({"depth": {"low": 1, "high": 10**12}}, [f"depth.high: {10**12} is more than 4096"]),
    ({"depth": {"low": 1, "high": 300}}, [f"depth: 300 values are more than {MAX_VALUES}"]),
    ({"operator": "conv"}, ["operator: 'conv' is not one of hgc, sgc"]),
    ({"operator": 1}, ["operator: 1 is not one of hgc, sgc"]),
    ({"se": {"choice": ["none", "yes"]}}, ["se.choice[1]: 'yes' is not one of none, last, all"]),
    ({"se": {"choice": [["none"]]}}, ["se.choice[0]: ['none'] is not one of none, last, all"]),
    ({"compression": 0}, ["compression: 0 is not a number in (0, 1]"]),
    ({"compression": 1.5}, ["compression: 1.5 is not a number in (0, 1]"]),
    ({"compression": float("nan")}, ["compression: nan is not a number in (0, 1]"]),
    (
        {"compression": {"low": 0.1, "high": 0.5}},
        ["compression: low and high are for integers; give choice = [...]"],
    ),
    (
        {"se": {"low": 1, "high": 2}},
        ["se: low and high are for integers; give choice = [...]"],
    ),
    (
        {"growth": {"base": 0, "schedule": "cubic"}},
        [
            "growth.base: 0 is not a positive integer",
            "growth.schedule: 'cubic' is not one of constant, linear, exponential",
        ],
    ),
    ({"growth": {"schedule": "linear"}}, ["growth.base: is missing"]),
    (
        {"growth": {"base": 8, "step": 4, "low": 2}},
        [
            "growth.step: unknown key; known are base, schedule",
            "growth.low: unknown key; known are base, schedule",
        ],
    ),
    (
        {"growth": {"base": [4, 8, 16]}},
        ["growth.base: [4, 8, 16] is a list, but the whole network has one value"],
    ),
    (
        {"growth": {"base": {"choice": [4, 4], "per_stage": True}}},
        [
            "growth.base.per_stage: true given, but the whole network has one value",
            "growth.base.choice[1]: 4 is given twice",
        ],
    ),
]


@pytest.mark.parametrize(("table", "expected"), WRONG, ids=[w[1][0] for w in WRONG])
def test_each_error_is_told_where_it_is(table: dict[str, Any], expected: list[str]) -> None:
    assert errors_of(BASE | table) == expected


@pytest.mark.parametrize("key", NETWORK_WIDE)
def test_what_holds_for_the_network_has_no_value_for_each_stage(key: str) -> None:
    value = A_VALUE[key]
    assert errors_of(BASE | {key: [value, value, value]}) == [
        f"{key}: {[value, value, value]} is a list, but the whole network has one value"
    ]
    assert errors_of(BASE | {key: {"choice": [value], "per_stage": True}}) == [
        f"{key}.per_stage: true given, but the whole network has one value"
    ]


def test_all_that_is_missing_or_wrong_is_told_at_once() -> None:
    assert errors_of({}) == ["depth: is missing", "groups: is missing", "growth: is missing"]
    assert errors_of({"groups": 0, "depth": 1, "se": "x", "nothing": 1}) == [
        "growth: is missing",
        "groups: 0 is not a positive integer",
        "se: 'x' is not one of none, last, all",
        f"nothing: unknown key; known are {ALL}",
    ]


def test_errors_are_added_to_those_there_were() -> None:
    errors = ["budget: is missing"]
    assert read_parameters(BASE, errors) == Parameters(depth=2, groups=4, growth=8)
    assert errors == ["budget: is missing"]
