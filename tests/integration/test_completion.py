"""What the Tab key completes: commands, options, and values by what is there."""

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.parts.processes import HGCNAS, Processes, wait_until


@pytest.fixture
def started(folder: Path) -> Path:
    """A folder with an architecture file and two studies; one lies elsewhere than in runs/."""
    for run in ("runs/digits", "elsewhere/cifar"):
        (folder / run).mkdir(parents=True)
        (folder / run / "study.toml").touch()
    (folder / "mine.toml").touch()
    return folder


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hgcnas exp", ["export", "export-onnx"]),
        ("hgcnas status --j", ["--json"]),
        ("hgcnas status ", ["digits"]),
        ("hgcnas status --runs elsewhere ", ["cifar"]),
        ("hgcnas init own", ["own-images"]),
        ("hgcnas describe hgcnet_6", ["hgcnet_67_g4"]),
        ("hgcnas describe mi", ["mine.toml"]),
        ("hgcnas train net.toml --dataset cifar", ["cifar10", "cifar100"]),
        ("hgcnas train net.toml --device c", ["cpu", "cuda"]),
        ("hgcnas run ", []),  # the shell then completes a path
    ],
)
def test_bash_is_told_what_completes_a_line(
    line: str, expected: list[str], started: Path, processes: Processes
) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    told = processes.hgcnas(_HGCNAS_COMPLETE="complete_bash", **words)
    assert told.succeed().split() == expected
    assert told.errors == ""


@contextmanager
def bash(folder: Path) -> Iterator[tuple[Callable[[str], object], Callable[[], str]]]:
    """A bash in a terminal, whose home is the folder: what types there, and what is seen."""
    here, there = pty.openpty()
    path = os.pathsep.join([str(Path(HGCNAS).parent), os.environ["PATH"]])
    environment = {"PATH": path, "HOME": str(folder), "TERM": "dumb", "PS1": "ready> "}
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        cwd=folder,
        env=environment,
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    seen = bytearray()

    def read() -> None:
        with suppress(OSError):  # as Linux says that the other end is closed
            while chunk := os.read(here, 65536):
                seen.extend(chunk)

    reader = Thread(target=read)
    reader.start()
    try:
        yield lambda text: os.write(here, text.encode()), lambda: seen.decode()
    finally:
        shell.kill()
        shell.wait()
        reader.join()
        os.close(here)


def test_a_real_bash_completes_after_install_completion(folder: Path) -> None:
    with bash(folder) as (type_keys, seen):
        wait_until(lambda: "ready> " in seen(), "bash is there")
        type_keys("hgcnas --install-completion && source ~/.bashrc && echo in''stalled\n")
        wait_until(lambda: "\ninstalled" in seen(), "completion is installed")
        type_keys("hgcnas desc\t")
        wait_until(lambda: "hgcnas describe " in seen(), "the command is completed")
        type_keys("hgcnet_67\t--js\t> found.json && echo do''ne\n")
        wait_until(lambda: "\ndone" in seen(), "the completed line has run")
    assert "layers" in json.loads((folder / "found.json").read_text())
