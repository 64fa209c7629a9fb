"""Values for shell completion. Where none fits, the shell completes paths.

The shell waits while this loads: neither this file nor `search.cli.app` may load pandas, Optuna, torch or Ray.
"""

from collections.abc import Callable
from pathlib import Path

import typer

from hgcnet.presets import PRESETS
from search.data.datasets import DATASETS
from search.study.run_folder import list_runs
from search.study_file.templates import find_templates


def _runs(ctx: typer.Context) -> list[str]:
    """The studies in the folder of --runs, if that comes earlier in the line."""
    return [folder.name for folder in list_runs(Path(ctx.params.get("runs") or "runs"))]


def _networks() -> list[str]:
    """Presets, and the TOML files of this folder."""
    return [*PRESETS, *(path.name for path in sorted(Path().glob("*.toml")))]


# By parameter, or by FUNCTION.PARAMETER for one function alone.
COMPLETED: dict[str, Callable[..., list[str]]] = {
    "run": _runs,
    "network": _networks,
    "dataset": lambda: list(DATASETS),
    "init.name": lambda: list(find_templates()),
}
