"""Running studies: the loop that proposes, trains, stops and records, and what is made of its results.

    import search

    trials = search.run_study("studies/quickstart.toml")  # a DataFrame; the same call goes on
    trials = search.load_trials("quickstart")  # later, or from another notebook meanwhile
    file = search.export_architecture("quickstart", select="knee")

The names below load at first use, so that `import search` needs neither torch nor Ray nor Optuna: a
worker has the first alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.api import export_architecture as export_architecture
    from search.api import load_trials as load_trials
    from search.api import run_study as run_study
    from search.study.progress import Progress as Progress
    from search.study.progress import progress_line as progress_line

_HOMES = {
    "run_study": "search.api",
    "load_trials": "search.api",
    "export_architecture": "search.api",
    "Progress": "search.study.progress",
    "progress_line": "search.study.progress",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
