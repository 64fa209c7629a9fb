"""Studies: the loop that proposes, trains, stops and records, and the use of its results.

    import search

    trials = search.run_study("studies/quickstart.toml")  # a DataFrame; the same call resumes
    trials = search.load_trials("quickstart")  # later, or from another notebook meanwhile
    file = search.export_architecture("quickstart", select="knee")

`help("search.api")` explains the arguments that many share. The names below load at first use, so
that `import search` loads neither torch nor Ray nor Optuna: a worker loads only the first.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hgcnet.errors import UserError
    from search.api import (
        check_data,
        compare,
        confirm,
        enqueue,
        export_architecture,
        forecast_study,
        list_studies,
        load_trials,
        measure_fidelity,
        predict,
        run_study,
        simulate,
        study_status,
        tabulate,
        train,
        write_report,
    )
    from search.study.progress import Progress, progress_line

__all__ = [
    "Progress",
    "UserError",
    "check_data",
    "compare",
    "confirm",
    "enqueue",
    "export_architecture",
    "forecast_study",
    "list_studies",
    "load_trials",
    "measure_fidelity",
    "predict",
    "progress_line",
    "run_study",
    "simulate",
    "study_status",
    "tabulate",
    "train",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("search.installed").check_installed(f"search.{name}")
    return getattr(import_module("search.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
