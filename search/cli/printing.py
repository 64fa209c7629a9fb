"""Printing of commands: for people, as JSON, and errors."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(highlight=False, markup=False)
err = Console(highlight=False, markup=False, stderr=True)

# What --json prints, and the lines and tables that people read.
Said = tuple[Any, list[str | Table]]


def say(*lines: str | Table) -> None:
    """Prints for people: lines unwrapped, tables as wide as the terminal."""
    for line in lines:
        out.print(line, soft_wrap=isinstance(line, str))


def print_json(document: Any) -> None:
    """Prints one document on one line."""
    print(json.dumps(document, default=str, allow_nan=False))


def complain(text: str) -> None:
    """Prints an error or a failure to stderr."""
    for line in text.splitlines():
        print(f"hgcnas: {line}", file=sys.stderr)
