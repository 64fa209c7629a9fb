"""The commands and options that people type and scripts hold: none goes, or comes, unnoticed."""

import re
from pathlib import Path

import pytest
import typer

from search.cli.app import COMMANDS, app
from tests.parts.commands import hgcnas

STUDY, STORED, RAY = "--runs --json", "--runs --storage --json", "--ray-address"
SURFACE = {
    "init": "NAME FILE.toml --json",
    "check-data": "STUDY.toml|FOLDER|FILE.npz --json",
    "run": f"STUDY.toml --trials --dry-run --no-report --join --workers --grace {STORED} {RAY}",
    "list": STORED,
    "status": f"RUN {STORED}",
    "report": f"RUN -o --output --open {STORED}",
    "dashboard": "RUN --host --port --runs --storage",
    "export": f"RUN --trial --select -o --output {STORED}",
    "enqueue": f"RUN ARCH.toml|PRESET {STORED}",
    "confirm": f"RUN --epochs --seeds --train-images --resolution --select --recipe {STORED} {RAY} "
    "--workers",
    "compare": f"STUDY.toml --seeds --against --epochs --train-images --resolution --test --workers {STUDY} {RAY}",
    "fidelity": (
        "STUDY.toml --networks --reference-epochs --reference-images --reference-seeds --proxy "
        f"--workers {STUDY} {RAY}"
    ),
    "tabulate": f"STUDY.toml -o --output --networks --near-front --without-ray --workers {STUDY} {RAY}",
    "simulate": f"STUDY.toml --table --workers --seeds --samplers --trials {STUDY}",
    "schema": "--markdown --json",
    "train": (
        "ARCH.toml|PRESET|FOLDER --dataset -o --output --root --epochs --seeds --seed --batch-size "
        "--learning-rate --weight-decay --recipe --class-weights --from --resolution --train-images "
        "--hold-out --channels --fit --unreadable --device --json"
    ),
    "predict": "FOLDER PATHS --top -o --output --json",
    "describe": (
        "ARCH.toml|PRESET|FOLDER --num-classes --in-channels --resolution --latency --json"
    ),
    "export-onnx": "ARCH.toml|PRESET|FOLDER -o --output --form --resolution --json",
}


def test_the_commands_are_these() -> None:
    assert list(COMMANDS) == list(SURFACE)


@pytest.mark.parametrize("command", SURFACE)
def test_a_command_takes_these_arguments_and_options(command: str) -> None:
    found = [
        name
        for parameter in typer.main.get_command(app).commands[command].params
        for name in (
            [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
        )
    ]
    assert sorted(found) == sorted(SURFACE[command].split())


@pytest.mark.parametrize("command", SURFACE)
def test_every_option_and_command_is_explained(command: str) -> None:
    spoken_of = typer.main.get_command(app).commands[command]
    assert spoken_of.help
    assert [parameter.opts for parameter in spoken_of.params if not parameter.help] == []


def test_a_help_shows_what_is_in_brackets(tmp_path: Path) -> None:
    words = re.sub(r"[│\s]+", " ", hgcnas("run", "--help", cwd=tmp_path).output)
    assert "default the study's `[workers] at_once`, else as many" in words


def test_an_option_that_is_a_key_of_a_study_file_has_its_description() -> None:
    parameters = typer.main.get_command(app).commands["train"].params
    helps = {parameter.name: parameter.help for parameter in parameters}
    assert helps["learning_rate"] == "Learning rate at the start. A cosine takes it to 0."
