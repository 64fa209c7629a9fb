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
    from search.console import progress_line as progress_line
    from search.loop import Progress as Progress
    from search.notebook import export_architecture as export_architecture
    from search.notebook import load_trials as load_trials
    from search.notebook import run_study as run_study

_HOMES = {
    "run_study": "search.notebook",
    "load_trials": "search.notebook",
    "export_architecture": "search.notebook",
    "Progress": "search.loop",
    "progress_line": "search.console",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
