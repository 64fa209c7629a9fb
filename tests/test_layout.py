"""The layout that DESIGN.md lays down: which package imports which, and what each file says first."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("hgcnet", "space", "search")
FILES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


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


@pytest.mark.parametrize("file", files_in("search/proxy"), ids=path_of)
def test_a_training_needs_no_ray_optuna_or_pydantic(file: Path) -> None:
    """A worker may have torch and numpy alone; what reads a data set is imported where it is read."""
    unwanted = {"ray", "optuna", "pydantic", "space"}
    assert not tops(imports_of(parse(file), at_load=False)) & unwanted
    for path, foreign in reached(file).items():
        assert path.startswith(("hgcnet/", "search/proxy/")) or path == "search/__init__.py"
        assert not foreign - sys.stdlib_module_names - {"torch", "numpy"}, path


def test_ray_is_imported_where_ray_is_spoken_to_only() -> None:
    with_ray = {
        path_of(file) for file in FILES if "ray" in tops(imports_of(parse(file), at_load=False))
    }
    assert with_ray <= {"search/cluster.py", "search/tuning.py", "search/worker.py"}


def test_the_loop_knows_no_ray() -> None:
    for path, foreign in reached(ROOT / "search/loop.py").items():
        assert "ray" not in foreign, path


def test_every_package_is_listed_to_be_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path_of(file.parent).replace("/", ".") for file in FILES}
    assert folders == set(project["tool"]["setuptools"]["packages"])
    for name in folders:
        assert (ROOT / name.replace(".", "/") / "__init__.py").is_file()


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
