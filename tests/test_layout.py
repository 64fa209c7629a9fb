"""The layout: which room imports which, what loads with what, and what each file says first."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from search.installed import NEEDED
from studies.pictures import rooms as picture

ROOT = Path(__file__).parents[1]
OURS = ("hgcnet", "space", "search")
FILES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))

# What the rooms of `search` may import of each other, in the order of the data. Everybody may
# import the files of SHARED; `api`, `run` and `cli` may import everything.
SHARED = {
    *("file_lock", "installed", "optuna_space", "pareto", "process_settings", "stop_signals"),
    *("units", "versions"),
}
ROOMS: dict[str, set[str]] = {
    "data": set(),
    "training": {"data"},
    "study_file": {"data", "training"},
    "estimation": set(),
    "samplers": {"estimation"},
    "early_stopping": {"estimation"},
    "workers": {"data", "training", "study_file"},
    "study": {"data", "training", "study_file", "samplers", "early_stopping", "workers"},
    "prepare": {"data", "study_file"},
    "forecast": {"data", "training", "workers", "prepare"},
    "results": {"training", "study_file", "estimation", "samplers", "study"},
    "predict_files": {"data"},
    "export": {"study_file", "results"},
    "retraining": {
        *("data", "training", "study_file", "workers", "prepare", "results"),
    },
    "simulation": {
        *("training", "study_file", "estimation", "samplers", "workers", "study", "prepare"),
        "retraining",
    },
    "report": {"training", "study", "results", "retraining"},
    "dashboard": {"training", "study_file", "estimation", "study", "results", "export", "report"},
}
FREE = {"api", "run", "cli"}


def path_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imports_of(node: ast.AST, *, at_load: bool) -> set[str]:
    """Dotted names imported in a tree; `at_load` leaves out those inside functions.

    What stands under `if TYPE_CHECKING:` is imported by nobody.
    """
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            names |= {child.module or "", *(f"{child.module}.{a.name}" for a in child.names)}
        elif (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING") or (
            at_load and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ):
            continue
        else:
            names |= imports_of(child, at_load=at_load)
    return names


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def files_in(folder: str) -> list[Path]:
    found = [file for file in FILES if path_of(file).startswith(f"{folder}/")]
    assert found, folder
    return found


def room_of(file: Path) -> str:
    """A folder of `search`, or a file that lies directly in it."""
    return file.relative_to(ROOT / "search").parts[0].removesuffix(".py")


def rooms_imported(file: Path) -> set[str]:
    """The rooms of `search` that a file imports from, also inside functions."""
    names = imports_of(parse(file), at_load=False)
    return {name.split(".")[1] for name in names if name.startswith("search.")} - {room_of(file)}


def reached(start: Path) -> dict[str, set[str]]:
    """Our files that are loaded with one file, and the foreign packages that each loads."""
    files = {path_of(file): file for file in FILES}
    found: dict[str, set[str]] = {}
    waiting = [path_of(start)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        names = imports_of(parse(files[path]), at_load=True)
        found[path] = tops(names) - set(OURS)
        for name in names:
            for part in _with_parents(name):
                stem = part.replace(".", "/")
                waiting += [p for p in (f"{stem}.py", f"{stem}/__init__.py") if p in files]
    return found


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


@pytest.mark.parametrize(
    ("package", "others"), [("hgcnet", {"space", "search"}), ("space", {"search"})]
)
def test_dependencies_point_one_way(package: str, others: set[str]) -> None:
    """hgcnet <- space <- search, also inside functions."""
    for file in files_in(package):
        assert not tops(imports_of(parse(file), at_load=False)) & others, path_of(file)


@pytest.mark.parametrize("file", files_in("search"), ids=path_of)
def test_a_room_imports_what_the_table_allows_it(file: Path) -> None:
    room = room_of(file)
    if room in FREE or room == "__init__":
        return
    allowed = set() if room in SHARED else ROOMS[room]
    assert rooms_imported(file) - SHARED <= allowed


def test_the_table_of_rooms_has_no_circle_and_nothing_too_much() -> None:
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        assert allowed <= set(order[: order.index(room)]), room
        files = [file for file in files_in("search") if room_of(file) == room]
        assert files, room
        assert allowed == set().union(*map(rooms_imported, files)) - SHARED, room


def test_the_picture_of_the_rooms_is_that_of_their_imports() -> None:
    imports = picture.imports_of_rooms()
    assert set(picture.shared_files(imports)) == SHARED
    assert ROOMS.keys() | {"hgcnet/", "space/"} == picture.CAPTIONS.keys()
    assert set(picture.CALLERS) == FREE
    drawn = (ROOT / "studies" / "pictures" / "rooms.svg").read_text(encoding="utf-8")
    assert picture.draw(imports) == drawn, (
        "python studies/pictures/rooms.py > studies/pictures/rooms.svg"
    )


def test_the_networks_need_torch_and_numpy_only() -> None:
    for file in files_in("hgcnet"):
        at_load = tops(imports_of(parse(file), at_load=True))
        foreign = at_load - sys.stdlib_module_names - {"hgcnet", "torch", "numpy"}
        assert not foreign, path_of(file)


@pytest.mark.parametrize("file", files_in("space"), ids=path_of)
def test_the_space_loads_without_torch_optuna_or_ray(file: Path) -> None:
    assert not tops(imports_of(parse(file), at_load=False)) & {"torch", "optuna", "ray"}
    for path, foreign in reached(file).items():
        assert not foreign & {"torch", "optuna", "ray"}, path


@pytest.mark.parametrize(
    "path", ["hgcnet/__init__.py", "hgcnet/architecture.py", "hgcnet/complexity.py"]
)
def test_counting_loads_without_torch(path: str) -> None:
    for loaded, foreign in reached(ROOT / path).items():
        assert not foreign - sys.stdlib_module_names - {"numpy"}, loaded


@pytest.mark.parametrize(
    "file", [*files_in("search/data"), *files_in("search/training")], ids=path_of
)
def test_a_training_needs_no_ray_optuna_or_pydantic(file: Path) -> None:
    """A worker may have torch and numpy alone; what reads a data set is imported where it is read."""
    unwanted = {"ray", "optuna", "pydantic", "space"}
    assert not tops(imports_of(parse(file), at_load=False)) & unwanted
    for path, foreign in reached(file).items():
        rooms = ("hgcnet/", "search/data/", "search/training/")
        assert path.startswith(rooms) or path == "search/__init__.py"
        assert not foreign - sys.stdlib_module_names - {"torch", "numpy"}, path


def test_ray_is_imported_where_ray_is_spoken_to_only() -> None:
    with_ray = {
        path_of(file) for file in FILES if "ray" in tops(imports_of(parse(file), at_load=False))
    }
    assert all(path.startswith("search/workers/ray_") for path in with_ray)


def test_what_is_private_of_a_library_is_used_in_its_fence_only() -> None:
    """`ray_inside`, `optuna_inside`, `dashboard_inside`: each says what it needs, and what is without it."""
    for file in FILES:
        if file.stem.endswith("_inside"):
            continue
        tree = parse(file)
        used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and not is_own(n)}
        imported = {part for name in imports_of(tree, at_load=False) for part in name.split(".")}
        private = {name for name in used | imported if re.match("_[^_]", name)}
        assert private <= {"_exit"}, path_of(file)


def is_own(attribute: ast.Attribute) -> bool:
    return isinstance(attribute.value, ast.Name) and attribute.value.id == "self"


def test_the_loop_knows_no_ray() -> None:
    for path, foreign in reached(ROOT / "search/study/search_loop.py").items():
        assert "ray" not in foreign, path


def test_no_two_files_of_search_have_the_same_name() -> None:
    names = [file.name for file in files_in("search") if file.name != "__init__.py"]
    assert len(names) == len(set(names))


def test_no_public_name_is_defined_twice() -> None:
    """One word, one thing; a command is named after the function of `search.api` that it words."""
    found: dict[str, list[str]] = {}
    for file in FILES:
        if room_of_or_package(file) in ("cli", "api"):
            continue
        for node in parse(file).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(path_of(file))
    twice = {name: sorted(set(paths)) for name, paths in found.items() if len(set(paths)) > 1}
    assert not twice


def room_of_or_package(file: Path) -> str:
    return room_of(file) if path_of(file).startswith("search/") else path_of(file).split("/")[0]


def test_every_package_is_listed_to_be_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path_of(file.parent).replace("/", ".") for file in FILES}
    mapped = set(project["tool"]["setuptools"]["package-dir"])  # study files, no code
    assert folders | mapped == set(project["tool"]["setuptools"]["packages"])
    for name in folders:
        assert (ROOT / name.replace(".", "/") / "__init__.py").is_file()


def declared(*extras: str) -> set[str]:
    """The distributions of the light install, or of these extras, as pyproject.toml has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = [project["optional-dependencies"][extra] for extra in extras]
    texts = chain(*parts) if extras else project["dependencies"]
    return {re.split(r"[\[<>=;]", text)[0].strip().replace("-", "_") for text in texts}


def foreign_imports(*packages: str) -> dict[str, set[str]]:
    """What these packages of ours import of others, also inside functions, and what gives it."""
    files = chain.from_iterable(map(files_in, packages))
    names = set().union(*(tops(imports_of(parse(file), at_load=False)) for file in files))
    given_by = packages_distributions()
    return {
        name: {distribution.lower().replace("-", "_") for distribution in given_by[name]}
        for name in names - sys.stdlib_module_names - set(OURS)
    }


FOR_FILES = {"PIL": {"pillow"}}  # of the search's extra; the networks read files of images by it


def test_what_the_networks_and_the_space_import_is_the_light_install() -> None:
    imports = foreign_imports("hgcnet", "space")
    light = declared()
    for package, given_by in imports.items():
        assert given_by & (light | declared("onnx") | FOR_FILES.get(package, set())), package
    assert light <= set().union(*imports.values())


def test_what_the_search_imports_is_the_light_install_and_its_extra() -> None:
    """Not by way of another package, which may drop it."""
    light, extra = declared(), declared("search")
    assert not light & extra
    imports = foreign_imports("search") | FOR_FILES
    for package, given_by in imports.items():
        assert given_by & (light | extra), package
    assert extra <= set().union(*imports.values())
    # All of it is looked for before a command begins, so that a light install says so in one line.
    assert set(NEEDED) == {name for name, given_by in imports.items() if not given_by & light}


def test_the_newest_tested_versions_are_of_those_declared() -> None:
    """A bound is moved with .ci/constraints.txt, and all but what pydantic pins has a lower one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = map(Requirement, [*project["dependencies"], *chain(*extras.values())])
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {canonicalize_name(name): version for name, version in (s.split("==") for s in lines)}
    for requirement in declared:
        if requirement.name == project["name"]:  # another extra
            continue
        version = tested[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: {version}"
        assert ">=" in str(requirement.specifier) or requirement.name == "pydantic-core"


@pytest.mark.parametrize("file", FILES, ids=path_of)
def test_every_file_says_its_responsibility_in_its_first_line(file: Path) -> None:
    docstring = ast.get_docstring(parse(file), clean=False)
    assert docstring is not None
    first = docstring.splitlines()[0]
    assert first == first.strip()
    assert 10 <= len(first) <= 110
    assert first.endswith((".", ":", "?"))
    assert file.read_text(encoding="utf-8").startswith('"""')


def test_tests_have_no_init_files() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
