"""What the documents say against what the code has: keys, commands, files."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from search.cli.app import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEYS = (ROOT / "studies" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"hgcnas {command}\b", README + KEYS), command


def test_the_files_that_the_readme_lists_are_there() -> None:
    tree = README.partition("## What is where")[2]
    folder = ""
    for line in tree.partition("```\n")[2].partition("```")[0].splitlines():
        if not line.startswith(" "):
            folder = line.split()[0]
            assert (ROOT / folder).is_dir(), folder
        for name in re.findall(r"\b\w+\.py\b|^  \w+/", line):
            assert (ROOT / folder / name.strip()).exists(), folder + name


def test_every_text_installs_the_source_by_extras_that_there_are() -> None:
    """Nothing is published, so that `pip install hgcnas` finds another one's package, or none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*ROOT.glob("*.md"), ROOT / "Makefile", *ROOT.glob("studies/*.md")]
    for package in ("hgcnet", "space", "search", "benchmarks"):
        texts += (ROOT / package).rglob("*.py")
    found: set[str] = set()
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install \W*hgcnas", text), path
        found |= {e for extras in re.findall(r"\.\[([a-z,]+)\]\"", text) for e in extras.split(",")}
    assert found == set(project["optional-dependencies"])


@pytest.mark.parametrize("path", ["README.md", "studies/README.md", "CONTRIBUTING.md"])
def test_the_code_in_a_document_is_code(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            ast.parse(block)
        elif language == "toml":  # parameters of one name stand there as alternatives
            for line in re.findall(r"^\w+ = .*$", block, re.MULTILINE):
                tomllib.loads(line)


@pytest.mark.parametrize("path", ["README.md", "studies/README.md", "CONTRIBUTING.md"])
def test_the_files_that_a_document_links_to_are_there(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / path).parent.joinpath(target).exists(), target
