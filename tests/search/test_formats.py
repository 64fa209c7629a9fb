"""A run as the first format wrote it is read, as is one of a program that has other keys."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parts.commands import hgcnas, refused
from tests.parts.old_run import OLD_RUN, change_stored_file, set_attribute

UNKNOWN = "novelty, objectives.weight, proxy.warm_up, space.dilation"
LEFT_OUT = (
    f"hgcnas: runs/old: the study has settings of a newer hgcnas, which are ignored: {UNKNOWN}\n"
)


def as_written(document: dict[str, Any]) -> None:
    """Changes nothing."""


def without_a_key(document: dict[str, Any]) -> None:
    """As from before there was the key."""
    del document["proxy"]["weight_decay"], document["early_stopping"]["reduction_factor"]


def with_unknown_keys(document: dict[str, Any]) -> None:
    """As a newer program writes it."""
    document["proxy"]["warm_up"] = 3
    document["objectives"][0] = {"metric": "val_accuracy", "weight": 2}
    document["space"]["dilation"] = {"choice": [1, 2]}
    document["novelty"] = {"kind": "none"}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    shutil.copytree(OLD_RUN, tmp_path / "old")
    return tmp_path / "old"


@pytest.mark.parametrize("change", [as_written, without_a_key, with_unknown_keys])
def test_every_reading_command_reads_it(
    change: Callable[[dict[str, Any]], None], runs: Path
) -> None:
    change_stored_file(runs / "runs" / "old", change)
    ended = hgcnas("status", "old", "--json", cwd=runs)
    assert ended.errors == (LEFT_OUT if change is with_unknown_keys else "")
    status = ended.json
    assert (status["finished"], status["trained"], status["failed"]) == (12, 12, 0)
    assert hgcnas("list", "--json", cwd=runs).json == [status]
    hgcnas("report", "old", cwd=runs)
    assert "Retrained: 2 epochs" in (runs / "runs/old/report.html").read_text()
    exported = hgcnas("export", "old", "-o", "net.toml", "--json", cwd=runs).json
    assert exported["trial"] == status["best_trial"]
    assert "class_names" not in (runs / "net.toml").read_text()  # it was not kept then


def test_what_is_trained_stays_trained_though_there_are_new_settings(runs: Path) -> None:
    folder = runs / "runs/old/table"
    recipe, trainings = folder / "recipe.json", (folder / "trainings.json").read_bytes()
    stored = json.loads(recipe.read_bytes())
    del stored["proxy"]["weight_decay"], stored["hold_out"]
    recipe.write_text(json.dumps(stored))
    options = ("--networks", "24", "--near-front", "4", "--without-ray")
    hgcnas("tabulate", "old.toml", "-o", "t.parquet", *options, cwd=runs)
    assert (folder / "trainings.json").read_bytes() == trainings
    recipe.write_text(json.dumps(stored | {"crop": 4}))
    said = hgcnas("tabulate", "old.toml", "-o", "t.parquet", *options, cwd=runs, code=2).errors
    assert "recipe.json: has settings of a newer hgcnas: crop; continue it with" in said


def test_what_a_newer_program_wrote_stops_run_in_one_line(runs: Path) -> None:
    change_stored_file(runs / "runs" / "old", with_unknown_keys)
    said = refused(runs, "run", "old.toml", "--trials", "20")
    assert said == (
        f"hgcnas: the study 'old' has settings of a newer hgcnas: {UNKNOWN}; continue it with that version\n"
    )


@pytest.mark.parametrize("command", [("status", "old"), ("run", "old.toml", "--trials", "20")])
def test_a_newer_format_is_refused_in_one_line(command: tuple[str, ...], runs: Path) -> None:
    set_attribute(runs / "runs" / "old", "format", 2)
    said = refused(runs, *command)
    assert "format 2 is from a newer hgcnas; this one reads formats up to 1" in said
    assert len(said.splitlines()) == 1
