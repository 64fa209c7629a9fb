"""What does a trial cost beside its training?

QUESTION-AND-ANSWER
"""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from hgcnet.architecture import Task
from search.loop import SearchLoop, Wait
from search.samplers.parameters import OptunaSpace
from search.study import StudyWriter, open_storage, sqlite_url
from search.study_file import StudyFile, parse_study_file
from search.tuning import fit_trials
from search.worker import ACCURACY, EPOCH, SECONDS
from space.search_space import SearchSpace

METRICS, DIRECTIONS = ("val_accuracy", "flops"), ("maximize", "minimize")

DOCUMENT: Mapping[str, Any] = {
    "name": "overhead",
    "budget": {"trials": 1},
    "data": {"dataset": "digits", "resolution": 8},
    "space": {  # the quickstart's
        "operator": "hgc",
        "stem_channels": {"choice": [8, 16]},
        "bottleneck": {"choice": [1, 2, 4]},
        "depth": {"low": 1, "high": 3, "per_stage": True},
        "groups": {"choice": [1, 2, 4], "per_stage": True},
        "growth": {
            "base": {"low": 4, "high": 12, "step": 4},
            "schedule": {"choice": ["constant", "linear", "exponential"]},
        },
        "se": {"choice": ["none", "last", "all"]},
    },
    "limits": {"flops": 1.5e6},
    "objectives": [
        {"metric": metric, "direction": direction}
        for metric, direction in zip(METRICS, DIRECTIONS, strict=True)
    ],
    "sampler": {"kind": "random"},
    "proxy": {"epochs": 1},
}


class EmptyTrainable(tune.Trainable):
    """Trains nothing; gives the keys of the real worker and leaves a file for its process."""

    def setup(self, config: dict[str, Any], folder: Path, slots: int) -> None:  # type: ignore[override]
        """Once for each process."""
        self._folder, self._slots = folder, slots
        (folder / str(os.getpid())).touch()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial."""
        return True

    def step(self) -> dict[str, Any]:
        """One epoch; the very first ones wait until a worker for each slot is up."""
        while len(list(self._folder.iterdir())) < self._slots:
            time.sleep(0.05)
        result = {EPOCH: 1, ACCURACY: 0.5, SECONDS: 0.0}
        return result | {"flops": 1.0, tune.result.DONE: True}


def run_plain(folder: Path, rows: Sequence[FrozenTrial]) -> None:
    """Writes finished rows once more, by Optuna alone: one ask, the same attributes, one tell each."""
    study = optuna.create_study(
        storage=open_storage(sqlite_url(folder)),
        study_name="overhead",
        directions=list(DIRECTIONS),
        sampler=_Replay(rows),
    )
    for row in rows:
        trial = study.ask(row.distributions)
        for key, value in row.user_attrs.items():
            trial.set_user_attr(key, value)
        study.tell(trial, row.values)


def run_loop(folder: Path, num_trials: int) -> None:
    """Our SearchLoop without Ray."""
    loop = create_loop(folder, num_trials)
    while not isinstance(proposal := loop.next(), Wait):
        loop.on_epoch(proposal.number, 1, 0.5, 0.0)
        loop.on_end(proposal.number)


def run_ours(folder: Path, num_trials: int, slots: int = 2) -> None:
    """The SearchLoop on Ray, as `hgcnas run` runs it."""
    fit_trials(create_loop(folder, num_trials), create_trainable(folder, slots))


def run_stock(folder: Path, num_trials: int, **options: Any) -> None:
    """Tune with its own OptunaSearch, as its documentation shows it."""
    space = create_space(create_file(num_trials))
    search = OptunaSearch(
        space=space.distributions,
        metric=list(METRICS),
        mode=["max", "min"],
        sampler=optuna.samplers.RandomSampler(seed=0),
        study_name="overhead",
        storage=open_storage(sqlite_url(folder)),
    )
    tune.Tuner(
        create_trainable(folder, 2),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=num_trials, **options),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    ).fit()


class _Replay(BaseSampler):
    """Gives the parameters of finished rows."""

    def __init__(self, rows: Sequence[FrozenTrial]) -> None:
        self._rows = rows

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """That of the row."""
        return self._rows[trial.number].distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Those of the row."""
        return self._rows[trial.number].params

    def sample_independent(self, *args: Any) -> Any:
        """Never reached."""
        raise AssertionError


def create_file(num_trials: int) -> StudyFile:
    """The quickstart's study with another budget, and no early stopping."""
    return parse_study_file({**DOCUMENT, "budget": {"trials": num_trials}}, source=__file__)


def create_space(file: StudyFile) -> OptunaSpace:
    """Its space, for the digits."""
    task = Task(in_channels=1, num_classes=10, resolution=8)
    return OptunaSpace(SearchSpace(file.parameters, file.limits, task))


def create_loop(folder: Path, num_trials: int) -> SearchLoop:
    """A fresh study in SQLite."""
    file = create_file(num_trials)
    space = create_space(file)
    return SearchLoop(file, space, StudyWriter(open_storage(sqlite_url(folder)), file, space), {})


def create_trainable(folder: Path, slots: int) -> Any:
    """One CPU a trial."""
    pids = folder / "pids"
    pids.mkdir()
    return tune.with_resources(
        tune.with_parameters(EmptyTrainable, folder=pids, slots=slots), {"cpu": 1, "gpu": 0}
    )


def read_rows(folder: Path) -> list[FrozenTrial]:
    """The finished rows of a folder's study."""
    study = optuna.load_study(study_name="overhead", storage=open_storage(sqlite_url(folder)))
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


def ms_per_trial(rows: Sequence[FrozenTrial]) -> float:
    """From the tell that ends the first tenth to the last one, so that no start-up is in it."""
    told = sorted(
        row.datetime_complete for row in rows if isinstance(row.datetime_complete, datetime)
    )
    first = len(told) // 10
    return 1000 * (told[-1] - told[first]).total_seconds() / (len(told) - 1 - first)
