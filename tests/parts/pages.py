"""What a reader of a page does, in the order of the page."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_BLOCK = re.compile(  # also in a list
    r"^ *(?:[-*] +|\d+\. +)?```(\S*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_COMMANDS = {  # by the language of their block; a backslash continues them
    "console": re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE),
    "sh": re.compile(r"^(?!#)((?:.*\\\n)*.+)$", re.MULTILINE),
}
_PROGRAM = re.compile(r"# (\S+\.py)\n")
_TO_BE_READ = ("", "toml", "json", "text")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a reader does."""

    kind: Literal["console", "sh", "python", "program"]
    text: str
    place: str  # page:line
    file_name: str = ""  # of a program


def read_page(path: Path, root: Path) -> tuple[Step, ...]:
    """All steps of a page, as `read_steps`."""
    return tuple(read_steps(path.read_text(encoding="utf-8"), str(path.relative_to(root))))


def read_steps(page: str, name: str) -> Iterator[Step]:
    """The commands and the Python blocks.

    A command of `console` begins with `$`; what else is there is printed. A line of `sh` is a command
    for other machines than the reader's. A Python block whose first line is `# NAME.py` is that file.

    Raises:
        ValueError: nothing would run a block.
    """
    for block in _BLOCK.finditer(page):
        language, text = block[1], textwrap.dedent(block[2])
        first = page.count("\n", 0, block.start(2)) + 1
        if language in ("console", "sh"):
            found = list(_COMMANDS[language].finditer(text))
            if not found:
                raise ValueError(f"{name}:{first}: a block of {language} without a command")
            for command in found:
                line = first + text.count("\n", 0, command.start())
                yield Step("sh" if language == "sh" else "console", command[1], f"{name}:{line}")
        elif language == "python" and (program := _PROGRAM.match(text)):
            yield Step("program", text, f"{name}:{first}", program[1])
        elif language == "python":
            yield Step("python", text, f"{name}:{first}")
        elif language not in _TO_BE_READ:
            raise ValueError(f"{name}:{first}: a block of {language}")


def as_typed(command: str) -> str:
    """A command on one line, without its comment."""
    return re.sub(r"\s+#\s.*$", "", command.replace("\\\n", " "), flags=re.MULTILINE).strip()
