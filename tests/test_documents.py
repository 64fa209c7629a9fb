"""What the documents say against what the code has: keys, commands, files."""

import ast
import re
import tomllib
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from search.cli.app import COMMANDS
from search.study_file.schema import SamplerConfig, StudyFile, Tables
from space.parameters import SCHEDULES, Choice, Growth, Parameters, Range

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEYS = (ROOT / "studies" / "README.md").read_text(encoding="utf-8")


def parts_of(annotation: Any) -> list[Any]:
    """The types that an annotation is made of, without Annotated, unions, and tuples of any length."""
    if get_origin(annotation) is Annotated:
        return parts_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [part for member in get_args(annotation) for part in parts_of(member)]
    if get_origin(annotation) is tuple:
        return parts_of(get_args(annotation)[0])
    return [annotation]


def tables() -> dict[str, type]:
    """The dataclass of every table of a study file; "" is the file itself."""
    found: dict[str, type] = {"": Tables, "space": Parameters}
    for key, annotation in get_type_hints(Tables, include_extras=True).items():
        found.update((key, part) for part in parts_of(annotation) if is_dataclass(part))
    return found


TABLES = tables()


def section(table: str) -> str:
    """What stands under a table's heading in studies/README.md."""
    title = rf"\[+{table}\]+:" if table else "The first lines"
    found = re.search(rf"^## {title}.*?$(.*?)(?=^##? )", KEYS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"studies/README.md has no section about [{table}]"
    return found[1]


def rows(table: str) -> dict[str, str]:
    """Each key that a section documents, with what it has as the default."""
    found = re.findall(r"^\| `(\w+)` \| (.*?) ?\| .*\|$", section(table), re.MULTILINE)
    return {key: default.strip("` ") for key, default in found}


def keys(table: str) -> dict[str, Field[Any]]:
    """The keys that a table may have; those of the file itself that are more than tables."""
    hints = get_type_hints(TABLES[table], include_extras=True)
    return {
        field.name: field
        for field in fields(TABLES[table])
        # An objective may be a name alone.
        if field.name == "objectives" or not all(map(is_dataclass, parts_of(hints[field.name])))
    }


def test_every_table_of_the_study_file_is_known_here() -> None:
    by_hand = {"source", "document", "parameters"}
    assert {field.name for field in fields(StudyFile)} - by_hand | {"space"} == (
        TABLES.keys() - {""} | keys("").keys()
    )
    assert TABLES["sampler"] is SamplerConfig


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_the_study_file_is_documented_and_no_other(table: str) -> None:
    assert set(rows(table)) == set(keys(table))


@pytest.mark.parametrize("table", TABLES)
def test_the_documented_defaults_are_the_real_ones(table: str) -> None:
    for key, text in rows(table).items():
        default = keys(table)[key].default
        if default is MISSING:
            assert text == "", f"{table}.{key} has no default"
        elif default is None:
            assert text, f"{table}.{key} may be left out: say what holds then"
        else:
            value = tomllib.loads(f"value = {text}")["value"]
            assert (tuple(value) if isinstance(value, list) else value) == default, (table, key)


@pytest.mark.parametrize("table", TABLES)
def test_every_word_that_a_key_may_have_is_documented(table: str) -> None:
    for key, annotation in get_type_hints(TABLES[table], include_extras=True).items():
        for part in parts_of(annotation):
            for word in get_args(part) if get_origin(part) is Literal else ():
                assert f'"{word}"' in section(table), f"{table}.{key} may be {word!r}"


def test_the_ways_to_declare_a_parameter_are_documented() -> None:
    ways = {field.name for kind in (Choice, Range, Growth) for field in fields(kind)}
    for name in ways:
        assert re.search(rf"\b{name}\b", section("space")), name
    for schedule in SCHEDULES:
        assert f'"{schedule}"' in section("space")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"hgcnas {command}\b", README + KEYS), command


def test_the_files_that_the_readme_lists_are_there() -> None:
    tree = README.partition("## What is where")[2]
    folder = ""
    for line in tree.partition("```\n")[2].partition("```")[0].splitlines():
        if not line.startswith(" "):
            folder = line.split()[0]
            assert (ROOT / folder).is_dir(), folder
        for name in re.findall(r"\b\w+\.py\b|^  \w+/", line):
            assert (ROOT / folder / name.strip()).exists(), folder + name


def test_every_text_installs_the_source_by_extras_that_there_are() -> None:
    """Nothing is published, so that `pip install hgcnas` finds another one's package, or none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*ROOT.glob("*.md"), ROOT / "Makefile", *ROOT.glob("studies/*.md")]
    for package in ("hgcnet", "space", "search", "benchmarks"):
        texts += (ROOT / package).rglob("*.py")
    found: set[str] = set()
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install \W*hgcnas", text), path
        found |= {e for extras in re.findall(r"\.\[([a-z,]+)\]\"", text) for e in extras.split(",")}
    assert found == set(project["optional-dependencies"])


@pytest.mark.parametrize("path", ["README.md", "studies/README.md", "CONTRIBUTING.md"])
def test_the_code_in_a_document_is_code(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            ast.parse(block)
        elif language == "toml":  # parameters of one name stand there as alternatives
            for line in re.findall(r"^\w+ = .*$", block, re.MULTILINE):
                tomllib.loads(line)


@pytest.mark.parametrize("path", ["README.md", "studies/README.md", "CONTRIBUTING.md"])
def test_the_files_that_a_document_links_to_are_there(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / path).parent.joinpath(target).exists(), target
