"""What notebooks and scripts call: a study run, its trials read back, one of its networks exported."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hgcnet.architecture import ArchitectureFile
from search.export import export_trial, select_trial
from search.prepare import prepare
from search.results.stored_study import StoredStudy, read_study
from search.run import drive
from search.study.progress import Progress
from search.study.run_folder import RunFolder, find_run
from search.study_file.reading import read_study_file


def run_study(
    study: str | Path,
    *,
    trials: int | None = None,
    runs: str | Path = "runs",
    storage: str | None = None,
    ray_address: str | None = None,
    observe: Callable[[Progress], None] | None = None,
) -> pd.DataFrame:
    """Starts the study of a study file, or continues it where it was left; `hgcnas run` as a function.

        trials = search.run_study("studies/quickstart.toml")
        trials[trials["on_front"]].sort_values("flops")

    It returns when the budget is used. Interrupting it (Ctrl-C, the notebook's stop button) stops it
    cleanly, and a second interrupt ends the process at once; the same call goes on. It can run in a
    thread, which no interrupt reaches. A Ray that the process has initialised already is used as it is.

    Args:
        study: the study file.
        trials: the budget of trials, instead of the file's.
        runs: the folder that holds the run folders; the study is `runs/<its name>`.
        storage: the URL of a PostgreSQL database in place of the run folder's SQLite; by default
            what the environment has in HGCNAS_STORAGE.
        ray_address: HOST:PORT of a Ray cluster to join; by default RAY_ADDRESS, else this machine.
        observe: is called with the study's state after every event. `search.progress_line` words it:
            `lambda progress: print(search.progress_line(progress), end="\\r")`.

    Returns:
        One row a trial, those of earlier runs included, as `load_trials`.

    Raises:
        hgcnet.errors.UserError: the study cannot be run as asked; nothing was written.
    """
    file = read_study_file(study)
    if trials is not None:
        file = file.with_trials(trials)
    folder, url = RunFolder(Path(runs) / file.name), _storage(storage)
    drive(
        prepare(file),
        folder,
        storage_url=url,
        ray_address=ray_address or os.environ.get("RAY_ADDRESS"),
        observe=observe or (lambda progress: None),
    )
    return read_study(folder, url).estimated_trials()


def load_trials(
    run: str | Path, *, runs: str | Path = "runs", storage: str | None = None
) -> pd.DataFrame:
    """The trials of a study, also while it runs: one row each, oldest first.

    Columns (`search.results.trials.COLUMNS` has all, with their types): `number`, `state` ("finished",
    "stopped" early, "failed", "running" or "waiting"), `on_front`, `val_accuracy` in [0, 1] after the
    last epoch of finished trials, `estimated_accuracy` (what a model of the study makes of it: single
    trainings are noisy; NaN while few have finished; the front is decided by it), `flops` (multiply-adds of one image), `num_params`, `architecture`
    in one line, `depth`, `growth`, `groups` and `se` stage by stage ("7-7-6"), `seconds` of training,
    `failure` with its reason, and `curve`, the list of val_accuracy of every epoch.

    Args:
        run: a study's name, or its run folder.
        runs: the folder in which a name is looked up.
        storage: as in `run_study`.

    Raises:
        hgcnet.errors.RunError: there is no such study, or it cannot be read.
    """
    return _read(run, runs, storage).estimated_trials()


def export_architecture(
    run: str | Path,
    *,
    trial: int | None = None,
    select: str = "best",
    runs: str | Path = "runs",
    storage: str | None = None,
) -> ArchitectureFile:
    """The architecture of one finished trial, with its task and where it came from.

        file = search.export_architecture("quickstart", select="knee")
        model = hgcnet.HGCNet(file.architecture, file.task)  # fresh weights
        hgcnet.write_architecture("net.toml", file)  # hgcnet.load("net.toml") rebuilds it

    Args:
        run: a study's name, or its run folder.
        trial: the number of a finished trial; `select` is then not looked at.
        select: "best", the most accurate; "knee"; or "max-flops=60e6", the most accurate within.
        runs: the folder in which a name is looked up.
        storage: as in `run_study`.

    Raises:
        hgcnet.errors.RunError: there is no such study or trial, or nothing meets the rule.
    """
    stored = _read(run, runs, storage)
    number = trial if trial is not None else select_trial(stored.estimated_trials(), select)
    return export_trial(stored, number)


def _read(run: str | Path, runs: str | Path, storage: str | None) -> StoredStudy:
    return read_study(find_run(str(run), Path(runs)), _storage(storage))


def _storage(given: str | None) -> str | None:
    """As the command line has it: the environment's, if none is given."""
    return given or os.environ.get("HGCNAS_STORAGE")
