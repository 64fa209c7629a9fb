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
    """Before anything of them is imported: what is missing is then told in one line.

    Raises:
        MissingPackageError: one of them is not there.
    """
    for package in NEEDED:
        if find_spec(package) is None:
            raise MissingPackageError(purpose, package, extra="search")
