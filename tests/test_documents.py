"""What the documents say against what the code has: keys, commands, files, links."""

import ast
import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from search.cli.app import COMMANDS

ROOT = Path(__file__).parents[1]
GUIDES = [
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "*.ipynb")
    for path in sorted((ROOT / "studies" / "guides").glob(pattern))
]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "studies/README.md", *GUIDES]
DOCUMENTS += ["studies/reference.md", "studies/RESULTS.md", "studies/cluster/README.md"]


def read(path: str | Path) -> str:
    """A document as Markdown; of a notebook the cells that are no code."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if not str(path).endswith(".ipynb"):
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def prose(path: str | Path) -> str:
    """Without the blocks of code, in which a # begins a comment and brackets index."""
    return re.sub(r"^```.*?^```$", "", read(path), flags=re.MULTILINE | re.DOTALL)


def anchors(path: str | Path) -> set[str]:
    """What # may name in a document: its headings, as GitHub writes them."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)  # a link shows its text
        name = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_or_a_guide(command: str) -> None:
    texts = map(read, ["README.md", *GUIDES])
    assert re.search(rf"hgcnas {command}\b", "\n".join(texts)), command


def test_the_files_that_the_contributing_page_lists_are_there() -> None:
    tree = read("CONTRIBUTING.md").partition("## What is where")[2]
    folder = ""
    lines = tree.partition("```\n")[2].partition("```")[0].splitlines()
    assert len(lines) > 40
    for line in lines:
        if not line.startswith(" "):
            folder = line.split()[0]
            assert (ROOT / folder).is_dir(), folder
        for name in re.findall(r"\b\w+\.py\b|^  \w+/", line):
            assert (ROOT / folder / name.strip()).exists(), folder + name


def test_the_contributing_page_lists_every_package_and_room() -> None:
    tree = read("CONTRIBUTING.md").partition("## What is where")[2]
    listed = set(re.findall(r"^ {0,2}(\w+)/", tree.partition("```\n")[2], re.MULTILINE))
    rooms = {path.parent.name for path in ROOT.glob("search/*/__init__.py")}
    assert {"hgcnet", "space", "search", *rooms} <= listed


def test_every_text_installs_the_source_by_extras_that_there_are() -> None:
    """Nothing is published, so that `pip install hgcnas` finds another one's package, or none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*map(ROOT.joinpath, DOCUMENTS), ROOT / "Makefile"]
    for package in ("hgcnet", "space", "search", "benchmarks"):
        texts += (ROOT / package).rglob("*.py")
    found: set[str] = set()
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip\s+install \W*hgcnas", text), path
        found |= {e for extras in re.findall(r"\.\[([a-z,]+)\]\"", text) for e in extras.split(",")}
    assert found == set(project["optional-dependencies"])


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_code_in_a_document_is_code(path: str) -> None:
    for language, block in re.findall(
        r"^```(\w+)\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL
    ):
        if language == "python":
            ast.parse(block)
        elif language == "toml":  # parameters of one name stand there as alternatives
            for line in re.findall(r"^\w+ = .*$", block, re.MULTILINE):
                tomllib.loads(line)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_what_a_document_links_to_is_there(path: str) -> None:
    """Files, and the headings in them."""
    folder = (ROOT / path).parent
    for target in re.findall(r"\]\(([^)\s:]+)\)", prose(path)):
        name, _, anchor = target.partition("#")
        file = folder / name if name else ROOT / path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("path", GUIDES)
def test_a_guide_ends_with_a_link_to_the_next_one(path: str) -> None:
    last = read(path).rstrip().rpartition("\n\n")[2]
    (target, *_) = re.findall(r"[Nn]ext: \[[^]]+\]\(([^)]+)\)", last.replace("\n", " "))
    assert (ROOT / path).parent.joinpath(target).exists()


def test_every_guide_is_in_the_list_of_guides() -> None:
    listed = set(re.findall(r"\]\((guides/[\w.-]+)\)", read("studies/README.md")))
    assert {f"studies/{path}" for path in listed} == {*GUIDES} - {"studies/guides/predict-onnx.md"}
