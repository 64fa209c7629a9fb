"""What does a trial cost beside its training?

47 ms with two workers. A bare ask/tell loop that writes the same rows to the same SQLite storage takes 25 ms, nearly all
of it for the storage, which syncs each trial to the disk. Ray Tune with its own OptunaSearch, as a user would write it, on
Optuna's own storage, starts a process for each trial and takes 58 times as long as that loop.

                     slots  ms / trial    / plain  worker processes
    plain                1          25       1.00                 0   ask/tell, the same rows
    loop                 1          32       1.27                 0   our SearchLoop without Ray
    ours                 2          47       1.84                 2   the same under Ray Tune
    stock                2        1460      57.68                15   Tuner + OptunaSearch, 15 trials
    stock-reusing        2          48       1.88                 2   the same with reuse_actors=True
    ours                16          55       2.17                16   16 workers on two cores

200 empty trials, one round on an idle machine (--repeats 1 --slow-trials 15), 2 x AMD EPYC, Python 3.11.7, ray 2.60.0, optuna
5.0.0; start-up is left out: the first tenth of the trials is not timed. A sync takes 0.2 ms there.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
import ray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from hgcnet.architecture import Task
from search.dashboard.content import DashboardContent
from search.optuna_space import OptunaSpace
from search.study.search_loop import SearchLoop
from search.study.storage import open_storage, open_writer, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.workers.protocol import Wait
from search.workers.ray_cluster import joined_ray
from search.workers.ray_tune import fit_trials
from search.workers.ray_worker import EPOCH, QUALITY, SECONDS
from space.search_space import SearchSpace

OBJECTIVES: Mapping[str, Literal["maximize", "minimize"]] = {
    "val_accuracy": "maximize",
    "flops": "minimize",
}

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.toml"
DOCUMENT: Mapping[str, Any] = {
    "name": "overhead",
    "budget": {"trials": 1},
    "data": {"dataset": "digits", "resolution": 8},
    "space": tomllib.loads(QUICKSTART.read_text(encoding="utf-8"))["space"],
    "limits": {"flops": 1.5e6},
    "objectives": list(OBJECTIVES),
    "sampler": {"kind": "random"},
    "proxy": {"epochs": 1},
}


class EmptyTrainable(tune.Trainable):
    """Trains nothing; gives the keys of the real worker."""

    def setup(self, config: dict[str, Any], folder: Path, slots: int) -> None:  # type: ignore[override]
        """Once for each process."""
        self._folder, self._slots = folder, slots
        (folder / f"started-{os.getpid()}").touch()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial."""
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        wait_for_workers(self._folder, self._slots)
        return {EPOCH: 1, QUALITY: 0.5, SECONDS: 0.0, tune.result.DONE: True}


def train_nothing(config: dict[str, Any], folder: Path, slots: int) -> None:
    """The same as a function, which is what Tune's documentation shows."""
    (folder / f"started-{os.getpid()}").touch()
    wait_for_workers(folder, slots)
    tune.report({"val_accuracy": 0.5, "flops": 1.0})


def wait_for_workers(folder: Path, slots: int) -> None:
    """The very first steps wait until there is a worker for each slot."""
    (folder / f"stepped-{os.getpid()}").touch()
    while len(list(folder.glob("stepped-*"))) < slots:
        time.sleep(0.02)


def run_plain(folder: Path, trials: int, slots: int) -> None:
    """Writes finished rows once more, by Optuna alone: one ask, the same attributes, one tell each."""
    first = folder / "first"
    first.mkdir()
    run_loop(first, trials, slots)
    rows = read_rows(first)
    study = optuna.create_study(
        storage=open_writer(sqlite_url(folder), "overhead"),
        study_name="overhead",
        directions=list(OBJECTIVES.values()),
        sampler=_Replay(rows),
    )
    for row in rows:
        trial = study.ask(row.distributions)
        for key, value in row.user_attrs.items():
            trial.set_user_attr(key, value)
        study.tell(trial, row.values)


def run_loop(folder: Path, trials: int, slots: int) -> None:
    """Our SearchLoop without Ray."""
    loop = create_loop(folder, trials)
    while not isinstance(proposal := loop.next(), Wait):
        loop.on_epoch(proposal.number, 1, 0.5, 0.0)
        loop.on_end(proposal.number)


def run_ours(folder: Path, trials: int, slots: int) -> None:
    """The SearchLoop on Ray, as `hgcnas run` runs it."""
    with joined_ray(None, num_cpus=slots):
        fit_trials(
            create_loop(folder, trials), create_trainable(EmptyTrainable, folder, slots), slots
        )


def run_stock(folder: Path, trials: int, slots: int, **options: Any) -> None:
    """Tune with its own OptunaSearch, as its documentation shows it, and a study that is kept."""
    ray.init(address="local", num_cpus=slots)
    search = OptunaSearch(
        space=create_space(create_file(trials)).distributions,
        metric=list(OBJECTIVES),
        mode=["max", "min"],
        sampler=optuna.samplers.RandomSampler(seed=0),
        study_name="overhead",
        storage=optuna.storages.RDBStorage(sqlite_url(folder)),
    )
    tune.Tuner(
        create_trainable(train_nothing, folder, slots),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=trials, **options),
        run_config=tune.RunConfig(storage_path=str(folder / "tune")),
    ).fit()


def run_stock_reusing(folder: Path, trials: int, slots: int) -> None:
    """The same with reuse_actors=True, which its user has to know of."""
    run_stock(folder, trials, slots, reuse_actors=True)


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


RUNS: Mapping[str, Callable[[Path, int, int], None]] = {
    "plain": run_plain,
    "loop": run_loop,
    "ours": run_ours,
    "stock": run_stock,
    "stock-reusing": run_stock_reusing,
}


def create_file(trials: int) -> StudyFile:
    """The quickstart's study with another budget, one epoch and no early stopping."""
    return parse_study_file({**DOCUMENT, "budget": {"trials": trials}}, source=__file__)


def create_space(file: StudyFile) -> OptunaSpace:
    """Its space, for the digits."""
    task = Task(in_channels=1, num_classes=10, resolution=8)
    return OptunaSpace(SearchSpace(file.parameters, file.limits, task))


def create_loop(folder: Path, trials: int) -> SearchLoop:
    """A fresh study in SQLite, shown in the dashboard as `hgcnas run` shows it."""
    file = create_file(trials)
    space = create_space(file)
    writer = StudyWriter(open_writer(sqlite_url(folder), file.name), file, space)
    content = DashboardContent(writer, file, space, folder / "artifacts", say=print)
    return SearchLoop(file, space, writer, {}, lambda progress: content.update())


def create_trainable(trainable: Any, folder: Path, slots: int) -> Any:
    """With its parameters, for one CPU."""
    workers = folder / "workers"
    workers.mkdir()
    trainable = tune.with_parameters(trainable, folder=workers, slots=slots)
    return tune.with_resources(trainable, {"cpu": 1})


def read_rows(folder: Path) -> list[FrozenTrial]:
    """The finished rows of a folder's study."""
    study = optuna.load_study(study_name="overhead", storage=open_storage(sqlite_url(folder)))
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


def ms_per_trial(rows: Sequence[FrozenTrial]) -> float:
    """From the tell that ends the first tenth to the last one: no start-up is in it."""
    told = sorted(
        row.datetime_complete for row in rows if isinstance(row.datetime_complete, datetime)
    )
    first = len(told) // 10
    return 1000 * (told[-1] - told[first]).total_seconds() / (len(told) - 1 - first)


def measure(name: str, trials: int, slots: int) -> tuple[float, int]:
    """Milliseconds per trial and the number of worker processes, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        RUNS[name](Path(folder), trials, slots)
        workers = len(list(Path(folder).glob("workers/started-*")))
        return ms_per_trial(read_rows(Path(folder))), workers


def measure_apart(name: str, trials: int, slots: int) -> tuple[float, int]:
    """The same in a process of its own, so that no run sees the environment of another."""
    command = [sys.executable, __file__, "--only", name, "--trials", str(trials)]
    done = subprocess.run(
        [*command, "--slots", str(slots)], capture_output=True, text=True, check=True
    )
    ms, workers = json.loads(done.stdout.splitlines()[-1])
    return ms, workers


def main() -> None:
    """Prints the table, or with --only one measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--slow-trials", type=int, default=40, help="of what starts a process each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--only", choices=RUNS, help="one measurement, as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.trials, options.slots)))
        return

    cases = [(name, 2) for name in RUNS] + [("ours", 16)]
    results: dict[tuple[str, int], list[tuple[float, int]]] = {case: [] for case in cases}
    for _ in range(options.repeats):  # interleaved: other load falls on all of them alike
        for name, slots in cases:
            trials = options.slow_trials if name == "stock" else options.trials
            results[name, slots].append(measure_apart(name, trials, slots))

    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ray", "optuna"))
    print(f"{os.cpu_count()} x {read_processor()}, Python {platform.python_version()}, {versions}")
    print(f"{options.trials} empty trials, median of {options.repeats} (least - most)\n")
    plain = [ms for ms, _ in results["plain", 2]]
    print(f"{'':16}{'slots':>6}{'ms / trial':>12}{'':16}{'/ plain':>9}{'worker processes':>18}")
    for (name, slots), runs in results.items():
        times = [ms for ms, _ in runs]
        spread = f"({min(times):.0f} - {max(times):.0f})"
        # Of each round: what else the machine does changes from one to the next.
        ratio = statistics.median(ms / base for ms, base in zip(times, plain, strict=True))
        workers = max(workers for _, workers in runs)
        median, at_once = statistics.median(times), slots if workers else 1
        print(f"{name:16}{at_once:6}{median:12.0f} {spread:15}{ratio:9.2f}{workers:18}")


def read_processor() -> str:
    """Its name, as Linux knows it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
