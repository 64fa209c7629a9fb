"""How long does the report of a large study take, and how large is it?

(the table of the last measurement goes here)
"""

import argparse
import heapq
import tempfile
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import optuna
from interleaved import describe_machine
from optuna.trial import FrozenTrial, TrialState, create_trial

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from hgcnet.presets import PRESETS
from search.report.page import write_page
from search.results import write_csv, write_parquet
from search.run_folder import RunFolder
from search.samplers.parameters import OptunaSpace
from search.storage import open_storage, sqlite_url
from search.stored_study import read_study
from search.study import StudyWriter
from search.study_file import StudyFile, parse_study_file, read_study_file
from search.summary import report_facts
from space.search_space import SearchSpace

SLOTS = 8
TASK = Task()
BEGIN = datetime(2026, 1, 1, 8)


def main() -> None:
    """Prints the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=Path("studies/cifar10.toml"))
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("-o", "--output", type=Path, help="a folder to keep the study in")
    parser.add_argument("--quick", action="store_true", help="200 trials")
    options = parser.parse_args()
    trials = 200 if options.quick else options.trials
    print(describe_machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder((options.output or Path(scratch)) / "made-up")
        if not folder.exists:
            store(made_up_study(read_study_file(options.study), trials), folder)
        measure(folder)


def measure(folder: RunFolder) -> None:
    """Does what `hgcnas report` does, step by step."""
    clock = [time.perf_counter()]

    def lap(name: str) -> None:
        clock.append(time.perf_counter())
        print(f"{name:32}{clock[-1] - clock[-2]:8.2f} s")

    stored = read_study(folder)
    frame = stored.trials()
    lap(f"{len(frame):,} trials read from SQLite")
    facts = report_facts(stored)
    lap("facts")
    page = folder.path / "report.html"
    write_page(
        page,
        title=f"hgcnas: {stored.file.name}",
        facts=facts,
        frame=frame,
        bounds=stored.bounds,
        run=stored.file.name,
        task=stored.space.space.task,
        rung_epochs=stored.rung_epochs,
    )
    lap("report.html")
    write_csv(frame, folder.path / "trials.csv")
    write_parquet(frame, folder.path / "trials.parquet")
    lap("trials.csv, trials.parquet")
    print(f"{'in all':32}{clock[-1] - clock[0]:8.2f} s")
    print(f"{'size of report.html':32}{page.stat().st_size / 1e6:8.2f} MB")


def made_up_study(file: StudyFile, trials: int) -> tuple[StudyFile, list[FrozenTrial]]:
    """A study in which nothing is trained: accuracies, seconds and stops are formulas with noise.

    Architectures are drawn from the study file's space; eight slots train them by a virtual clock.
    """
    document = {**file.with_trials(trials).document, "name": "made-up"}
    file = parse_study_file(document, "made-up.toml")
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, TASK))
    rng = np.random.default_rng(0)
    given = [("cheapest", space.space.cheapest())]
    given += [(f"start_with: {name}", PRESETS[name]) for name in file.sampler.start_with]
    drawn = (space.space.sample(rng) for _ in range(trials - len(given)))
    free_at = [0.0] * SLOTS  # seconds, a heap
    rows = []
    for number, (origin, network) in enumerate([*given, *((None, network) for network in drawn)]):
        epochs = file.proxy.epochs
        if origin is None and rng.random() < 0.6:
            epochs = int(rng.choice([4, 8], p=[0.7, 0.3]))  # the rungs of cifar10.toml
        cost = count(network, TASK)
        seconds = epochs * (4 + cost.flops / 5e6)
        start = heapq.heappop(free_at)
        heapq.heappush(free_at, start + 3 + seconds)
        curve = _curve(network, cost.flops, epochs, rng)
        has_failed = origin is None and rng.random() < 0.01
        attributes = asdict(cost) | {
            "architecture": str(network),
            "fingerprint": network.fingerprint,
            "curve": curve,
            "seconds": round(seconds, 3),
        }
        if origin is not None:
            attributes["origin"] = origin
        if has_failed:
            attributes["failure"] = "OutOfMemoryError: CUDA out of memory"
        state = TrialState.COMPLETE if epochs == file.proxy.epochs else TrialState.PRUNED
        row = create_trial(
            state=TrialState.FAIL if has_failed else state,
            values=None if has_failed or state == TrialState.PRUNED else [curve[-1], cost.flops],
            params=space.encode(network),
            distributions=space.distributions,
            user_attrs=attributes,
        )
        row.number = number
        row.datetime_start = BEGIN + timedelta(seconds=start)
        row.datetime_complete = row.datetime_start + timedelta(seconds=3 + seconds)
        rows.append(row)
    return file, rows


def store(study: tuple[StudyFile, list[FrozenTrial]], folder: RunFolder) -> None:
    """Writes a study as a run folder with a SQLite storage."""
    file, rows = study
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, TASK))
    folder.create(file.document, {})
    storage = open_storage(sqlite_url(folder.path))
    writer = StudyWriter(storage, file, space)
    writer.hypervolume_bounds()
    writer.set_reference_accuracy(rows[0].user_attrs["curve"][-1])
    optuna.load_study(study_name=file.name, storage=storage).add_trials(rows)
    storage.engine.dispose()


def _curve(network: Architecture, flops: int, epochs: int, rng: np.random.Generator) -> list[float]:
    """Rises with FLOPs and epochs; many groups cost a little, and SE in the last stage gives some."""
    stages = network.stages
    trait = -0.004 * np.mean([stage.groups for stage in stages]) + 0.01 * (stages[-1].se == "all")
    last = 0.93 - 0.35 * (flops / 1e6) ** -0.45 + trait
    reached = last * (1 - 0.55 * 0.7 ** np.arange(1, epochs + 1))
    curve: list[float] = (
        np.clip(reached + rng.normal(0, 0.006, epochs), 0.05, 0.99).round(4).tolist()
    )
    return curve


if __name__ == "__main__":
    main()
