"""The light install: networks are loaded and run, and the rest says what it lacks.

It is an environment of its own, with links to those distributions of this one that `dependencies` in
pyproject.toml names, and to what they require.
"""

import json
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

import hgcnet
from tests.parts.processes import ROOT, Family, Processes

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SMALL = hgcnet.Architecture(stem_channels=8, stages=(hgcnet.Stage(depth=2, growth=8, groups=2),))
TASK = hgcnet.Task(num_classes=5, resolution=16)
MISSING = 'needs the package typer: pip install ".[search]" in the source folder'


def with_requirements(texts: Iterable[str]) -> set[str]:
    """The names of distributions and of all that they require here."""
    found: set[tuple[str, str]] = set()  # with each extra that is asked for
    waiting = [Requirement(text) for text in texts]
    while waiting:
        asked = waiting.pop()
        for extra in {"", *asked.extras}:
            if (asked.name, extra) not in found:
                found.add((asked.name, extra))
                required = map(Requirement, distribution(asked.name).requires or ())
                waiting += [
                    r for r in required if r.marker is None or r.marker.evaluate({"extra": extra})
                ]
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def light_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of the light install."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    places = {ROOT / package for package in ("hgcnet", "space", "search")}
    for name in with_requirements(PROJECT["dependencies"]):
        files = distribution(name).files or ()
        tops = {file.parts[0] for file in files} - {"..", "__pycache__"}
        places |= {Path(str(distribution(name).locate_file(top))) for top in tops}
    for place in places:
        (packages / place.name).symlink_to(place)
    return str(folder / "bin" / "python")


def run(light_python: str, processes: Processes, code: str) -> Family:
    """A program in the light install, and in nothing else."""
    return processes.start(light_python, "-I", "-c", code)


def test_networks_are_loaded_and_run(light_python: str, processes: Processes, folder: Path) -> None:
    file = hgcnet.ArchitectureFile(architecture=SMALL, task=TASK)
    hgcnet.write_architecture(folder / "best.toml", file)
    model = hgcnet.HGCNet(SMALL, TASK).eval()
    hgcnet.save_model(folder / "trained", model, metrics={}, mean=[0.5] * 3, std=[0.25] * 3)
    images = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
    code = """
import json
import numpy
import torch
import hgcnet
torch.set_num_threads(1)
images = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
with torch.no_grad():
    shapes = [list(network.eval()(images).shape) for network in (
        hgcnet.load("best.toml"), hgcnet.create_model("hgcnet_42_g4"), hgcnet.load("trained").fused()
    )]
    logits = hgcnet.load("trained")(images).tolist()
hgcnet.write_architecture("again.toml", hgcnet.read_architecture("best.toml"))
flops = hgcnet.count(hgcnet.preset("hgcnet_42_g4"), hgcnet.Task()).flops
predicted = hgcnet.load("trained").predict([numpy.zeros((30, 40, 3), numpy.uint8)])
try:
    hgcnet.load("trained").predict(["best.toml"])
except hgcnet.errors.UserError as error:
    of_files = str(error)
found = {"shapes": shapes, "logits": logits, "flops": flops, "of_files": of_files}
print(json.dumps(found | {"class": predicted[0].class_name}))
"""
    ended = run(light_python, processes, code)
    found = json.loads(ended.succeed())
    assert ended.errors == ""
    assert found["shapes"] == [[2, 5], [2, 10], [2, 5]]
    with torch.no_grad():
        assert torch.allclose(torch.tensor(found["logits"]), model(images), atol=1e-6)
    assert found["flops"] == hgcnet.count(hgcnet.preset("hgcnet_42_g4"), hgcnet.Task()).flops
    assert hgcnet.read_architecture(folder / "again.toml") == file
    assert found["class"] in list("01234")
    assert found["of_files"] == "an image file needs the package pillow: pip install pillow"


def test_every_file_of_the_networks_and_of_the_space_can_be_imported(
    light_python: str, processes: Processes
) -> None:
    code = """
import pkgutil, sys
from importlib import import_module
import hgcnet, space
for package in (hgcnet, space):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        import_module(module.name)
print(sorted({"hgcnet.onnx_graph", "space.search_space"} - set(sys.modules)))
"""
    assert run(light_python, processes, code).succeed() == "[]\n"


@pytest.mark.parametrize("arguments", [["run", "quickstart.toml"], ["--help"], []])
def test_the_command_says_in_one_line_what_it_lacks(
    arguments: list[str], light_python: str, processes: Processes
) -> None:
    module, _, function = PROJECT["scripts"]["hgcnas"].partition(":")
    code = f"import sys\nsys.argv[1:] = {arguments}\nfrom {module} import {function}\n{function}()"
    ended = run(light_python, processes, code)
    assert (ended.end(), ended.output) == (2, "")
    assert ended.errors == f"hgcnas: the command line {MISSING}\n"


def test_a_function_of_search_says_in_one_line_what_it_lacks(
    light_python: str, processes: Processes
) -> None:
    ended = run(light_python, processes, "import search\nsearch.run_study('quickstart.toml')")
    assert ended.end() == 1
    last = ended.errors.splitlines()[-1]
    assert last == f"hgcnet.errors.MissingPackageError: search.run_study {MISSING}"
