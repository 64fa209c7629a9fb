"""Whether the search is installed, or the networks alone."""

from importlib.util import find_spec

from hgcnet.errors import MissingPackageError

# What `search` imports beyond the light install, the extra `search` of pyproject.toml.
NEEDED = (
    *("typer", "rich", "pydantic", "pydantic_core", "annotated_types", "optuna", "sqlalchemy"),
    *("tenacity", "pandas", "pyarrow", "ray", "filelock", "scipy", "sklearn", "torchvision", "PIL"),
    *("plotly", "optuna_dashboard"),
)


def check_installed(purpose: str) -> None:
    """Checks all packages before any is imported, so that a missing one is named in one line.

    Raises:
        MissingPackageError: one of them is missing.
    """
    for package in NEEDED:
        if find_spec(package) is None:
            raise MissingPackageError(purpose, package, extra="search")
