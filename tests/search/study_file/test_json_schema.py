"""What an editor makes of study files by their JSON Schema."""

import json
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from search.study_file.json_schema import study_file_schema
from tests.parts.commands import hgcnas

STUDIES = Path(__file__).parents[3] / "studies"
FILES = sorted(STUDIES.rglob("*.toml"))
QUICKSTART = tomllib.loads((STUDIES / "quickstart.toml").read_text(encoding="utf-8"))
CHECK = Draft202012Validator(study_file_schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(STUDIES)))
def test_every_study_file_names_the_schema_and_keeps_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.match("#:schema (.*)\n", text)
    assert named is not None
    assert (path.parent / named[1]).resolve() == STUDIES / "schema.json"
    CHECK.validate(tomllib.loads(text))


def test_the_file_beside_the_studies_is_what_the_command_prints(tmp_path: Path) -> None:
    stored = json.loads((STUDIES / "schema.json").read_text(encoding="utf-8"))
    assert stored == study_file_schema() == hgcnas("schema", "--json", cwd=tmp_path).json
    assert json.loads(hgcnas("schema", cwd=tmp_path).output) == stored
    Draft202012Validator.check_schema(stored)


def test_an_editor_shows_what_a_key_means() -> None:
    keys = study_file_schema()["$defs"]["ProxyConfig"]["properties"]
    assert keys["learning_rate"]["description"] == (
        "Learning rate at the start. A cosine takes it to 0."
    )
    assert study_file_schema()["properties"]["space"]["properties"]["groups"]["description"] == (
        "Groups of the grouped convolutions."
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "my study"),
        ("nmae", "x"),
        ("budget.trials", 0),
        ("budget.epochs", 3),
        ("data.dataset", "mnist"),
        ("data.resolution", 7),
        ("objectives", ["val_accuracy", "speed"]),
        ("sampler.kind", "bohb"),
        ("workers.cpus", 0.5),
        ("proxy.learning_rate", "fast"),
        ("space.depht", 3),
        ("space.depth", {"low": 1}),
        ("space.depth", {"choice": []}),
        ("space.depth", [1, 2]),
        ("space.stem_channels", {"choice": [8, 16], "per_stage": True}),
        ("space.operator", {"low": 1, "high": 2}),
        ("space.stem_stride", 3),
        ("space.stem_stride", {"low": 1, "high": 4}),
        ("space.stages", 6),
        ("space.stages", {"low": 2, "high": 4}),
        ("space.growth", {"base": 4, "schedule": "square"}),
        ("space.se", "first"),
        ("space.compression", 1.5),
    ],
    ids=str,
)
def test_what_is_wrong_is_underlined_at_its_place(path: str, value: Any) -> None:
    document = deepcopy(QUICKSTART)
    *tables, key = path.split(".")
    table = document
    for name in tables:
        table = table[name]
    table[key] = value
    errors = list(CHECK.iter_errors(document))
    assert errors
    places = {".".join(map(str, error.absolute_path)) for error in errors}
    assert any(path.startswith(place) or place.startswith(path) for place in places), places


@pytest.mark.parametrize(
    "space",
    [
        {"stem_stride": 4, "stages": 5, "depth": [1, 1, 2, 2, 3]},
        {"stem_stride": {"choice": [2, 4]}, "stages": {"low": 3, "high": 5, "step": 2}},
        {"stages": {"choice": [3, 4]}},
    ],
    ids=str,
)
def test_spaces_for_larger_pictures_are_right(space: dict[str, Any]) -> None:
    CHECK.validate(QUICKSTART | {"space": QUICKSTART["space"] | space})


@pytest.mark.parametrize("key", ["name", "budget", "data", "objectives", "proxy", "space"])
def test_what_is_missing_is_named(key: str) -> None:
    document = {name: value for name, value in QUICKSTART.items() if name != key}
    assert [error.message for error in CHECK.iter_errors(document)] == [
        f"{key!r} is a required property"
    ]
