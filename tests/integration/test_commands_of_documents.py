"""The commands and programs of the README and the guides are run in their order, as they stand there.

The data are small (`tests/parts/readers_folder.py`). What no test can run is in INSTEAD.
"""

import re
import shlex
import signal
import socket
import subprocess
import tomllib
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray.scripts.scripts
import typer.main

from search.cli.app import app
from search.study_file.reading import parse_study_file
from tests.parts.pages import Step, as_typed, read_page, read_steps
from tests.parts.processes import ROOT, Family, Processes, wait_until
from tests.parts.readers_folder import make_file_small, make_small, prepare_folder

STUDIES = ROOT / "studies"
PAGES = [
    *(ROOT / "README.md", STUDIES / "README.md", STUDIES / "cluster" / "README.md"),
    *sorted((STUDIES / "guides").glob("*.md")),
]

PORT = 8080
PATIENCE = 1800.0  # seconds for one command
# Begins in the folder, and with the variables, that the command before left.
SHELL = """. "$1"; set -o pipefail; eval "$2"; code=$?
{ export -p; printf 'cd %q\\n' "$PWD"; } > "$1"; exit $code"""
# Runs blocks as they come, all with the same names, as a notebook does.
PYTHON = """
import itertools, sys, time
from pathlib import Path

names = {"__name__": "__main__"}
for number in itertools.count():
    block = Path(sys.argv[1]) / str(number)
    while not block.exists():
        time.sleep(0.02)
    place, _, text = block.read_text().partition("\\n")
    exec(compile(text, place, "exec"), names)
    block.with_suffix(".done").touch()
"""
PROGRAMS: Mapping[str, Any] = {
    "hgcnas": typer.main.get_command(app),
    "ray": ray.scripts.scripts.cli,
}


def parse(command: str) -> list[str]:
    """Needs a cluster, or a database server. Arguments and options are such as the program takes."""
    program, name, *arguments = shlex.split(command)
    try:
        PROGRAMS[program].commands[name].make_context(name, arguments)
    except Exception as error:
        pytest.fail(f"{command}: {error!r}")
    return []


def find_paths(command: str) -> list[str]:
    """Needs a cluster (`test_cluster_files.py` runs our files with stand-ins), or calls tests. The files
    exist."""
    for path in re.findall(r"\b(?:studies|tests|benchmarks)/[\w./-]+", command):
        assert (ROOT / path).exists(), f"{command}: there is no {path}"
    return []


def find_extras(command: str) -> list[str]:
    """Needs the network; all is installed here. What is installed is this project, with extras that it
    has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    *options, target = shlex.split(command.partition(" install ")[2])
    assert set(options) <= {"-e", "--editable"}, command
    extras = re.fullmatch(r"\.(?:\[([\w,]+)\])?", target)
    assert extras is not None, command
    assert set((extras[1] or "search").split(",")) <= project["optional-dependencies"].keys(), (
        command
    )
    return []


def recipe_of(command: str) -> list[str]:
    """Needs the network, or calls this test; CI runs `make quickstart` and `make test`. What the recipe
    calls of ours is run."""
    dry_run = [*shlex.split(command), "--dry-run", "--directory", str(ROOT)]
    printed = subprocess.run(dry_run, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    return re.findall(r"^\.venv/bin/(hgcnas .*)$", printed.stdout, re.MULTILINE)


def nothing(command: str) -> list[str]:
    """Needs the network, or sets what the commands for other machines need."""
    return []


# Commands that are not run, by how they begin: what is checked, and returns what is run instead.
INSTEAD: Mapping[str, Callable[[str], list[str]]] = {
    r"make ": recipe_of,
    r"(python3? -m )?pip install ": find_extras,
    r"git clone ": nothing,
    r"(\w+=\S+ )*(sbatch|squeue|scancel|srun|docker|kubectl|helm|ssh) ": find_paths,
    r"ray ": parse,
}
# The same for those of `sh`, all of which need other machines.
ELSEWHERE = {
    **INSTEAD,
    r"hgcnas ": parse,
    r"(\.venv/bin/)?python ": find_paths,
    r"(export|umask|cd) ": nothing,
}


def commands_for(step: Step) -> list[str]:
    """What is run for a command of a page: itself, but for those of the tables."""
    command = as_typed(step.text)
    table = INSTEAD if step.kind == "console" else ELSEWHERE
    for begins, check in table.items():
        if re.match(begins, command):
            return check(command)
    assert step.kind == "console", f"{step.place}: nothing checks {command}"
    return [step.text]


class Reader:
    """Someone who does what a page says, step by step, in a folder of their own."""

    def __init__(self, processes: Processes, steps: Sequence[Step]) -> None:
        self._processes, self._folder = processes, processes.folder
        self._environment = prepare_folder(self._folder, steps)
        self._shell, self._blocks = self._folder / ".shell", self._folder / ".blocks"
        self._shell.touch()
        self._blocks.mkdir()
        self._number_of_blocks = 0
        self._python: Family | None = None

    def do(self, step: Step) -> None:
        """One step, to its end; fails with what it printed."""
        print(f"{step.place}: {step.text if step.kind == 'console' else step.kind}")
        if step.kind == "python":
            self._run_block(step)
        elif step.kind == "program":
            (self._folder / step.file_name).write_text(step.text, encoding="utf-8")
        else:
            for command in commands_for(step):
                self._run(command)

    def end(self) -> None:
        """After the last step."""
        if self._python is not None:
            self._give("end", "raise SystemExit")
            check_end(self._python)

    def _run(self, command: str) -> None:
        before, serves = self._toml_files(), command.startswith("hgcnas dashboard")
        if serves:
            wait_until(port_is_free, f"nobody else uses port {PORT}")
        shell = ("bash", "-c", SHELL, "bash", str(self._shell), command)
        family = self._processes.start(*shell, **self._environment)
        if serves:
            load_page(family)
            family.send_to_all(signal.SIGINT)
        check_end(family, 128 + signal.SIGINT if serves else 0)
        for path in self._toml_files() - before:
            make_file_small(path)

    def _toml_files(self) -> set[Path]:
        """Study files among them, which `hgcnas init` writes."""
        return set(self._folder.glob("*.toml"))

    def _run_block(self, step: Step) -> None:
        if self._python is None:
            self._python = self._processes.python(PYTHON, str(self._blocks), **self._environment)
        done = self._give(step.place, step.text)
        self._python.wait_until(done.exists, f"the block of {step.place} has run")

    def _give(self, place: str, text: str) -> Path:
        """Gives Python its next block; the file that is there once it has run."""
        block = self._blocks / str(self._number_of_blocks)
        self._number_of_blocks += 1
        (unfinished := block.with_suffix(".new")).write_text(f"{place}\n{text}", encoding="utf-8")
        unfinished.rename(block)
        return block.with_suffix(".done")


def port_is_free() -> bool:
    """Whether the dashboard can take the port that it takes by default."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", PORT)) != 0


def check_end(family: Family, expected: int = 0) -> None:
    """That a process ends with an exit code, and without a traceback."""
    code = family.end(PATIENCE)
    said = family.errors + family.output
    assert code == expected, f"exit code {code}: {said}"
    assert "Traceback (most recent call last)" not in said, said


def load_page(family: Family) -> None:
    """The page at the address that a command prints."""
    found = family.wait_until(lambda: re.search(r"http://\S+", family.output), "it serves")
    with urllib.request.urlopen(found[0]) as response:
        assert response.status == 200
        assert b"optuna" in response.read().lower()


def follow(steps: Sequence[Step], processes: Processes) -> None:
    """All steps of a page."""
    reader = Reader(processes, steps)
    for step in steps:
        reader.do(step)
    reader.end()


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=str(page.relative_to(ROOT)), marks=pytest.mark.long) for page in PAGES],
)
def test_every_step_of_a_page_does_what_it_should(page: Path, processes: Processes) -> None:
    follow(read_page(page, ROOT), processes)


WRONG = {  # with what is said of it
    "an option": ("```console\n$ hgcnas list --runs runs --jsn\n```", "No such option: --jsn"),
    "the option of a cluster": ("```sh\nray start --hed\n```", "No such option '--hed'"),
    "a command after a good one": ("```console\n$ true\nyes\n$ hgcnas lst  # all\n```", "'lst'"),
    "a command before a pipe": ("```console\n$ hgcnas lst \\\n  | cat\n```", "'lst'"),
    "a study of a cluster": ("```sh\nsbatch studies/cifar.toml\n```", "no studies/cifar.toml"),
    "an extra": ('```console\n$ pip install ".[serch]"\n```', "serch"),
    "a target": ("```console\n$ make quick-start\n```", "No rule to make target 'quick-start'"),
    "Python": ("```python\na = 1\n```\n\n```python\nb = c\n```", "'c' is not defined"),
    "a command that nothing checks": ("```sh\nrsync a b\n```", "nothing checks rsync a b"),
    "a language": ("```bash\n$ true\n```", "a block of bash"),
    "a block without a command": ("```console\nhgcnas list\n```", "without a command"),
}


@pytest.mark.parametrize(("page", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_on_a_page_is_said(page: str, said: str, processes: Processes) -> None:
    failures = (AssertionError, ValueError, pytest.fail.Exception)
    with pytest.raises(failures, match=re.escape(said)):
        follow(tuple(read_steps(page, "page.md")), processes)


def test_names_and_variables_and_the_folder_are_kept_between_steps(processes: Processes) -> None:
    page = """
```console
$ export LEFT=right  # comment
$ mkdir new && cd new
$ echo $LEFT \\
    > here
```

1. ```python
   with open("new/here") as file:
       left = file.read()
   ```

```python
# program.py
print(1 / 1)
```

```python
assert left == "right\\n"
```

```console
$ cd ..
$ python program.py | grep 1.0
```
"""
    follow(tuple(read_steps(page, "page.md")), processes)


@pytest.mark.parametrize(
    "path", sorted(STUDIES.rglob("*.toml")), ids=lambda path: str(path.relative_to(STUDIES))
)
def test_every_study_file_is_one_when_it_is_made_small(path: Path) -> None:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    small = parse_study_file(make_small(document), path.name)
    assert (small.name, small.data.dataset) == (document["name"], document["data"]["dataset"])
    assert (small.budget.trials, small.proxy.epochs, small.workers.gpus) == (4, 1, 0)
