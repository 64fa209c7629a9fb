"""What the shell completes values by. Where nothing fits it completes paths, by itself.

It waits while this loads: nothing here may load pandas, Optuna, torch or Ray (nor may `search.cli.app`).
"""

from collections.abc import Callable
from pathlib import Path

import typer

from hgcnet.presets import PRESETS
from search.data.datasets import DATASETS
from search.study.run_folder import list_runs
from search.study_file.templates import find_templates


def _runs(ctx: typer.Context) -> list[str]:
    """The studies of the folder that --runs names, if it stands before."""
    return [folder.name for folder in list_runs(Path(ctx.params.get("runs") or "runs"))]


def _networks() -> list[str]:
    """Presets, and the files of this folder that may be architectures."""
    return [*PRESETS, *(path.name for path in sorted(Path().glob("*.toml")))]


# By the name of the parameter, or by FUNCTION.PARAMETER where a function has it otherwise.
COMPLETED: dict[str, Callable[..., list[str]]] = {
    "run": _runs,
    "network": _networks,
    "dataset": lambda: list(DATASETS),
    "init.name": lambda: list(find_templates()),
}
