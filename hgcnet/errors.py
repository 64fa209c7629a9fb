"""User-facing errors. The command line prints them in one line and exits with 2.

A file may hold anything, and messages are read in a terminal: text from a file goes into a message
through `shown`, `shown_key` or `one_line`.
"""

import re
from collections.abc import Sequence

_LONGEST = 200  # characters of a value
_MOST = 30  # errors of one file


class UserError(Exception):
    """Says what is wrong, where, and what would be right."""


class ArchitectureError(UserError):
    """An architecture file or preset name that cannot be used."""


class StudyFileError(UserError):
    """A study file with one or more errors, one a line."""


class SpaceError(UserError):
    """A space in which nothing meets the limits, or an architecture outside the space."""


class DataError(UserError):
    """A data set that is missing, unreadable or too small."""


class RunError(UserError):
    """A run folder, storage or study in the wrong state for what was asked."""


class MissingPackageError(UserError):
    """A package that is needed is not installed."""

    def __init__(self, purpose: str, package: str, extra: str | None = None) -> None:
        install = f'".[{extra}]" in the source folder' if extra else package
        super().__init__(f"{purpose} needs the package {package}: pip install {install}")


def shown(value: object) -> str:
    """A value as Python writes it, in one line; the middle of a long one is left out."""
    try:
        return one_line(repr(value))
    except (
        ValueError,
        RecursionError,
    ):  # integers of more than 4,300 digits; lists in lists in ...
        return f"<{type(value).__name__}>"


def shown_key(key: str) -> str:
    """A key of a table: bare where TOML lets it be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", key) else shown(key)


def one_line(text: object) -> str:
    """A foreign text in one line; the middle of a long one is left out."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    cut = len(line) - _LONGEST
    return line if cut <= 0 else f"{line[:120]} ... ({cut} characters) ... {line[120 + cut :]}"


def join_errors(source: object, errors: Sequence[str]) -> str:
    """One line for each error of a file; of very many, the first ones."""
    lines = [f"{source}: {error}" for error in errors[:_MOST]]
    if (more := len(errors) - _MOST) > 0:
        lines.append(f"{source}: {more:,} more errors")
    return "\n".join(lines)
