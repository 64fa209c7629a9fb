"""How long does the report of a large study take, and how large is it?

A few seconds of CPU time, and half of the 15 MB that a page may have; plotly.js is 4.5 MB of it.

                             wall time  CPU time
    the frame                   0.70 s    0.26 s
    report.html                 9.67 s    1.93 s
    trials.csv, trials.parquet  0.43 s    0.08 s
    in all                     10.80 s    2.27 s
    report.html                 7.94 MB

5,000 trials of studies/cifar10.toml, one run at nice 19 on 2 x Intel Xeon (avx512, amx) at load 5.4: the wall
time is that of a machine in use. A run at load 10 took 104 s of wall time and 2.63 s of CPU time. Reading the
rows from the storage is not included.
"""

import argparse
import heapq
import tempfile
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from interleaved import describe_machine
from optuna.trial import FrozenTrial, TrialState, create_trial

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from hgcnet.presets import PRESETS
from search.optuna_space import OptunaSpace
from search.report.page import write_page
from search.results.trials import to_frame, write_csv, write_parquet
from search.samplers.stored_bounds import bounds_of
from search.study_file.reading import read_study_file
from search.study_file.schema import StudyFile
from space.search_space import SearchSpace

SLOTS = 8
RUNGS = (4, 8)  # of cifar10.toml
TASK = Task()
BEGIN = datetime(2026, 1, 1, 8)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=Path("studies/cifar10.toml"))
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("-o", "--output", type=Path, help="a folder to keep the report in")
    parser.add_argument("--quick", action="store_true", help="200 trials")
    options = parser.parse_args()
    file = read_study_file(options.study)
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, TASK))
    rows = made_up_trials(file, space, 200 if options.quick else options.trials)
    print(describe_machine())
    print(f"{len(rows):,} trials of {options.study}\n\n{'':28}{'wall time':>10}{'CPU time':>10}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.output or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        measure(file, space, rows, folder)
        print(f"{'report.html':28}{(folder / 'report.html').stat().st_size / 1e6:8.2f} MB")


def measure(file: StudyFile, space: OptunaSpace, rows: list[FrozenTrial], folder: Path) -> None:
    """Does what `hgcnas report` does with the rows of a storage."""
    laps = [(time.perf_counter(), time.process_time())]

    def lap(name: str, since: int = -1) -> None:
        laps.append((time.perf_counter(), time.process_time()))
        wall, cpu = (end - begin for begin, end in zip(laps[since - 1], laps[-1], strict=True))
        print(f"{name:28}{wall:8.2f} s{cpu:8.2f} s")

    frame = to_frame(rows, space, file.metrics)
    lap("the frame")
    reference = float(frame["val_accuracy"].iloc[0])
    write_page(
        folder / "report.html",
        title="hgcnas: made-up",
        facts={"Trials": f"{len(rows):,}, made up"},
        frame=frame,
        bounds=bounds_of(space.space, file.costs, reference),
        run="made-up",
        task=TASK,
        rung_epochs=RUNGS,
    )
    lap("report.html")
    write_csv(frame, folder / "trials.csv")
    write_parquet(frame, folder / "trials.parquet")
    lap("trials.csv, trials.parquet")
    lap("in all", since=-len(laps))


def made_up_trials(file: StudyFile, space: OptunaSpace, trials: int) -> list[FrozenTrial]:
    """A study in which nothing is trained: accuracies, seconds and stops are formulas with noise.

    Architectures are drawn from the space; eight slots train them by a virtual clock.
    """
    rng = np.random.default_rng(0)
    given = [("cheapest", space.space.cheapest())]
    given += [(f"start_with: {name}", PRESETS[name]) for name in file.sampler.start_with]
    points = space.space.draw_points(rng, trials - len(given))
    drawn = map(space.space.architecture_at, points)
    free_at = [0.0] * SLOTS  # seconds, a heap
    rows = []
    for number, (origin, network) in enumerate([*given, *((None, network) for network in drawn)]):
        epochs = file.proxy.epochs
        if origin is None and rng.random() < 0.6:
            epochs = int(rng.choice(RUNGS, p=[0.7, 0.3]))
        cost = count(network, TASK)
        seconds = round(epochs * (4 + cost.flops / 5e6))
        start = heapq.heappop(free_at)
        heapq.heappush(free_at, start + 3 + seconds)
        curve = _curve(network, cost.flops, epochs, rng)
        has_failed = origin is None and rng.random() < 0.01
        attributes = asdict(cost) | {
            "architecture": str(network),
            "fingerprint": network.fingerprint,
            "curve": curve,
            "seconds": float(seconds),
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
    return rows


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
