"""Commands called in this process, which is faster than in one of their own."""

import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from search.cli.app import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """Of a command with --json."""
        return json.loads(self.output)


def hgcnas(*arguments: str, cwd: Path, code: int = 0) -> Ended:
    """A command in this process, which is faster; it must end with `code`."""
    out, err = StringIO(), StringIO()
    with (
        chdir(cwd),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main(arguments)
    result = Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())
    assert result.code == code, result
    return result


def file_names(folder: Path) -> list[str]:
    """All but the two files that SQLite keeps beside a database while it is open."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


def refused(folder: Path, *arguments: str) -> str:
    """What a command says, in this process, when it exits with 2 and leaves the folder as it was."""
    before = file_names(folder)
    ended = hgcnas(*arguments, cwd=folder, code=2)
    assert file_names(folder) == before
    return ended.errors
