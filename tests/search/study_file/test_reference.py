"""The reference of the study file: what the types say, and all of it."""

import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from search.study_file.reference import study_file_reference
from search.study_file.schema import Tables
from space.parameters import SCHEDULES, Choice, Growth, Parameters, Range
from tests.parts.commands import hgcnas

REFERENCE = study_file_reference()


def parts_of(annotation: Any) -> list[Any]:
    """The types that an annotation is made of, without Annotated, unions, and tuples of any length."""
    if get_origin(annotation) in (Annotated, tuple):
        return parts_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [part for member in get_args(annotation) for part in parts_of(member)]
    return [annotation]


def tables() -> dict[str, type]:
    """The dataclass of every table of a study file; "" is the file itself."""
    found: dict[str, type] = {"": Tables, "space": Parameters}
    for key, annotation in get_type_hints(Tables, include_extras=True).items():
        found.update((key, part) for part in parts_of(annotation) if is_dataclass(part))
    return found


TABLES = tables()


def section(table: str) -> str:
    """What is under a table's heading."""
    title = rf"\[+{table}\]+" if table else "The first lines"
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section about [{table}]"
    return found[1]


def test_the_file_beside_the_studies_is_what_the_command_prints(tmp_path: Path) -> None:
    stored = Path(__file__).parents[3] / "studies" / "reference.md"
    printed = hgcnas("schema", "--markdown", cwd=tmp_path).output
    assert stored.read_text(encoding="utf-8") == printed
    assert printed.rstrip() == REFERENCE.rstrip()


@pytest.mark.parametrize("table", TABLES)
def test_every_key_has_a_row_with_a_sentence(table: str) -> None:
    hints = get_type_hints(TABLES[table], include_extras=True)
    expected = {
        field.name
        for field in fields(TABLES[table])
        # An objective can be a name alone.
        if field.name == "objectives" or not all(map(is_dataclass, parts_of(hints[field.name])))
    }
    rows = dict(re.findall(r"^\| `(\w+)` \| .+? \| .* \| (.*) \|$", section(table), re.MULTILINE))
    assert rows.keys() == expected
    assert [key for key, text in rows.items() if not re.fullmatch(r"[A-Z`].*\.", text)] == []


@pytest.mark.parametrize("table", TABLES)
def test_every_word_that_a_key_may_have_is_there(table: str) -> None:
    for key, annotation in get_type_hints(TABLES[table], include_extras=True).items():
        for part in parts_of(annotation):
            for word in get_args(part) if get_origin(part) is Literal else ():
                assert f"`{word}`" in section(table), f"{table}.{key} may be {word!r}"


@pytest.mark.parametrize("table", TABLES)
def test_keys_without_a_default_are_those_without_one_in_the_types(table: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \| .* \|$", section(table), re.MULTILINE)
    required = {field.name for field in fields(TABLES[table]) if field.default is MISSING}
    assert {key for key, default in rows if not default} == required & {key for key, _ in rows}


def test_the_ways_to_declare_a_parameter_are_there() -> None:
    for name in {field.name for kind in (Choice, Range, Growth) for field in fields(kind)}:
        assert re.search(rf"\b{name}\b", section("space")), name
    for schedule in SCHEDULES:
        assert f"`{schedule}`" in section("space")


@pytest.mark.parametrize(
    "row",
    [
        "| `trials` | integer, 1 to 1,000,000 |  | Networks to train, ",
        "| `hours` | number, above 0, at most 1,000,000 | - | ",
        '| `fit` | `crop`, `pad`, `stretch` | `"crop"` | ',
        "| `mirror` | `true`, `false` | - | ",
        "| `depth` | integer, 1 to 4,096: fixed, choice or range; also per stage |  | ",
        "| `compression` | number, above 0, at most 1: fixed or choice | `0.5` | ",
        "| `start_with` | list of text | `[]` | ",
        "| `weight_decay` | number, at least 0 | `0.0001` | ",
    ],
)
def test_a_row_has_the_type_the_default_and_the_meaning(row: str) -> None:
    assert f"\n{row}" in REFERENCE
