"""Do the time of a trial and the driver's memory stay constant over many trials that train nothing?

They do.

    first hundred   93 ms a trial
    last hundred    82 ms a trial, 0.88 times as long
    memory         776 MB at the end, 24 for 1,000 trials

400 trials, 4 workers, 2 CPUs (AMD EPYC), Python 3.11, ray 2.60.0, optuna 5.0.0.

`tests/faults/test_soak.py` runs it, too.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

# search.workers.ray_cluster comes before Ray, as in the command line: only then is all of Ray silent.
from search.workers.ray_cluster import joined_ray  # isort: skip
from ray import tune

from hgcnet.architecture import Task
from search.optuna_space import OptunaSpace
from search.study.progress import Progress
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.workers.ray_tune import fit_trials
from search.workers.ray_worker import EPOCH, QUALITY, SECONDS
from space.search_space import SearchSpace

WORKERS = 4
FIRST = 50  # trials until every worker is there and warm

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.toml"
DOCUMENT: Mapping[str, Any] = {
    "name": "soak",
    "data": {"dataset": "digits", "resolution": 8},
    "space": tomllib.loads(QUICKSTART.read_text(encoding="utf-8"))["space"],
    "objectives": ["val_accuracy", "flops"],
    "sampler": {"kind": "random"},
    "proxy": {"epochs": 1},
}


def soak(trials: int, folder: Path) -> dict[str, Any]:
    """Runs the study; its figures."""
    file = parse_study_file({**DOCUMENT, "budget": {"trials": trials}}, source=__file__)
    task = Task(in_channels=1, num_classes=10, resolution=8)
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    writer = StudyWriter(open_writer(sqlite_url(folder), file.name), file, space)
    ends: list[float] = []  # when the n-th trial was told
    memory: list[float] = []  # MB of the driver then

    def observe(progress: Progress) -> None:
        if progress.trained > len(ends):
            ends.append(time.monotonic())
            memory.append(resident_mb())

    loop = SearchLoop(file, space, writer, {}, observe)
    with joined_ray(None, num_cpus=WORKERS):
        fit_trials(loop, create_trainable(), WORKERS)
    times = [1000 * (after - before) for before, after in pairwise(ends)]
    return {
        "states": Counter(row.state.name for row in writer.frozen_trials()),
        "first_ms": statistics.mean(times[FIRST : FIRST + 100]),
        "last_ms": statistics.mean(times[-100:]),
        "mb": memory[-1],
        "mb_per_1000": 1000 * (memory[-1] - memory[FIRST]) / (len(memory) - FIRST),
    }


def create_trainable() -> Any:
    """Gives the keys of the real worker at once; trains nothing."""

    class Empty(tune.Trainable):
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def step(self) -> dict[str, Any]:
            return {EPOCH: 1, QUALITY: 0.5, SECONDS: 0.0, tune.result.DONE: True}

    return tune.with_resources(Empty, {"cpu": 1})


def resident_mb() -> float:
    """Memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", type=int, nargs="?", default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(arguments.trials, Path(folder))
    if arguments.json:
        print(json.dumps(figures))
        return
    first, last = figures["first_ms"], figures["last_ms"]
    print(f"    first hundred {first:4.0f} ms a trial")
    print(f"    last hundred  {last:4.0f} ms a trial, {last / first:.2f} times as long")
    print(
        f"    memory        {figures['mb']:4.0f} MB at the end, {figures['mb_per_1000']:.0f} for 1,000 trials"
    )
    print(f"{arguments.trials} trials, {WORKERS} workers, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
