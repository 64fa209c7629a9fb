"""What the commands share: their common arguments, and how they print."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from search.cli import terminal

if TYPE_CHECKING:
    from search.retraining.retraining_loop import RetrainingProgress

out, err = Console(), Console(stderr=True)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A study's name, or its run folder.")]
Network = Annotated[
    str, typer.Argument(metavar="ARCH.toml|PRESET", help="An architecture file or a preset's name.")
]
NetworkOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="ARCH.toml|PRESET|FOLDER",
        help="An architecture file, a preset's name, or a model folder.",
    ),
]
Runs = Annotated[
    Path, typer.Option("--runs", help="The folder of studies; each has a run folder in it.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="HGCNAS_STORAGE",
        help="postgresql://USER:PASSWORD@HOST/DATABASE, instead of SQLite in the run folder.",
        show_envvar=True,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS",
        help="HOST:PORT of a Ray cluster to join, or auto. Default: this machine alone.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def complain(text: str) -> None:
    """A error or a failure, to stderr."""
    for line in text.splitlines():
        print(f"hgcnas: {line}", file=sys.stderr)


def print_json(document: Any) -> None:
    """One document on one line."""
    print(json.dumps(document, default=str, allow_nan=False))


@contextmanager
def training_progress(as_json: bool) -> Iterator[Callable[["RetrainingProgress"], None]]:
    """Shows how far the trainings are; beside a JSON document on stderr."""
    printer = terminal.ProgressPrinter(err if as_json else out)
    with printer.showing():
        yield printer.take_training
