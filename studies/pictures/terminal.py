"""Draws terminal.svg: what `hgcnas run studies/quickstart.toml` prints in a terminal.

    python studies/pictures/terminal.py > studies/pictures/terminal.svg

It runs the command in a folder of its own, so the numbers differ each time: draw it on an idle
machine. Of the lines about trials it shows the first ones.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

STUDIES = Path(__file__).resolve().parents[1]
COMMAND = ("hgcnas", "run", "studies/quickstart.toml")
COLUMNS, ROWS = 112, 40
TRIALS_SHOWN = 4
# A piece of text, or what moves the cursor, erases or colours.
PIECES = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def printed(command: tuple[str, ...], folder: Path) -> str:
    """What a command writes to a terminal in a folder, with control characters. It must succeed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    program = Path(sys.executable).with_name(command[0])
    arguments = [str(program), *command[1:]]
    with subprocess.Popen(
        arguments, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # the terminal was closed: it ended
            pass
    os.close(ours)
    if process.returncode:
        sys.exit(b"".join(parts).decode())
    return b"".join(parts).decode()


def left_on_screen(text: str) -> list[str]:
    """The lines that stay: live lines are written over. Colours are kept."""
    lines, row = [""], 0
    for argument, control, move, piece in PIECES.findall(text):
        if move == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control == "A":
            row -= int(argument or 1)
        elif control == "K":
            lines[row] = ""
        elif control == "m":
            lines[row] += f"\x1b[{argument}m"
        else:
            lines[row] += piece
    return "\n".join(line.rstrip() for line in lines).rstrip().split("\n")


def shortened(lines: list[str]) -> list[str]:
    """Without most lines about trials."""
    trials = [index for index, line in enumerate(lines) if re.match(r"(\x1b\[\d+m)*trial \d", line)]
    left_out = trials[TRIALS_SHOWN:]
    marked = ["..." if index in left_out[:1] else line for index, line in enumerate(lines)]
    return [line for index, line in enumerate(marked) if index not in left_out[1:]]


def drawn(lines: list[str]) -> str:
    """The lines as SVG, below the command."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {' '.join(COMMAND)}", style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line), overflow="ignore", no_wrap=True)
    console.print()  # or the last line is cut at its feet
    svg = console.export_svg(title="hgcnas", theme=DIMMED_MONOKAI, unique_id="terminal")
    return re.sub(r"\s*@font-face {.*?}", "", svg, flags=re.DOTALL)  # an image loads no fonts


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "studies").symlink_to(STUDIES)
        text = printed(COMMAND, Path(folder))
    print(drawn(shortened(left_on_screen(text))))
