"""Does a simulated search reach the same hypervolume as a real one on Ray, on the digits?

    python benchmarks/simulator.py               # about ten minutes on two cores

Searches of one sampler with two workers, in three forms:
    simulated   the loop under a virtual clock, accuracies by the table's surrogate
    replayed    the same accuracies on real Ray workers, which sleep a share of the table's seconds
    trained     real trainings on Ray

The first two must agree. The third differs by the error of the surrogate, which is printed, too: its
accuracies of the trained networks minus theirs.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
import pandas as pd
import tomli_w

# search.workers.ray_cluster comes before Ray: only then is all of Ray silent.
from search.workers.ray_cluster import joined_ray  # isort: skip
from optuna.storages import InMemoryStorage
from ray import tune

from search.api import export_architecture, run_study
from search.optuna_space import OptunaSpace
from search.pareto import normalised_hypervolume
from search.results.trials import costs_of, to_frame
from search.simulation.surrogate import Surrogate
from search.simulation.table import read_table
from search.simulation.virtual_clock import TabulatedSpace, simulate_search
from search.study.search_loop import SearchLoop
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.units import duration
from search.workers.ray_tune import fit_trials
from search.workers.ray_worker import EPOCH, QUALITY, SECONDS
from space.search_space import SearchSpace

TABLE = Path(__file__).parents[1] / "studies" / "tables" / "digits.parquet"
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--sampler", default="known_cost")
    parser.add_argument("--speed", type=float, default=4.0, help="of the replayed seconds")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table, file, task = read_table(TABLE)
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    world = TabulatedSpace(file=file, space=space, surrogate=Surrogate(table, space.space))
    volumes: dict[str, list[float]] = {"simulated": [], "replayed": [], "trained": []}
    errors: list[float] = []
    with TemporaryDirectory() as folder, joined_ray(None, num_cpus=WORKERS):
        for seed in range(arguments.seeds):
            study = _study(world, seed, arguments.sampler, arguments.trials)
            simulated = simulate_search(
                replace(world, file=study),
                sampler=arguments.sampler,
                workers=WORKERS,
                trials=arguments.trials,
                seed=seed,
            )
            volumes["simulated"].append(_volume(world, simulated, "observed"))
            replayed = _replay(replace(world, file=study), arguments.speed)
            volumes["replayed"].append(_volume(world, replayed, "val_accuracy"))
            path = Path(folder, "study.toml")
            path.write_text(tomli_w.dumps(study.document))
            trained = run_study(path, runs=folder)
            volumes["trained"].append(_volume(world, trained, "val_accuracy"))
            errors.append(_surrogate_error(world, study.name, folder, trained))
    print(
        f"measured hypervolume after {arguments.trials} trials of {arguments.sampler}, {WORKERS} workers,"
        f" {arguments.seeds} seeds"
    )
    for kind, values in volumes.items():
        print(f"{kind:10}{np.mean(values):8.4f} ± {np.std(values, ddof=1):.4f}")
    print(f"the surrogate's accuracy less the one trained: {np.mean(errors):+.4f}")


def _study(world: TabulatedSpace, seed: int, sampler: str, trials: int) -> StudyFile:
    """The table's study with another seed, whole trainings alone."""
    document = {
        **world.file.document,
        "name": f"seed-{seed}",
        "seed": seed,
        "budget": {"trials": trials},
        "sampler": {"kind": sampler},
        "early_stopping": {"kind": "none"},
    }
    return parse_study_file(document, source=__file__)


def _replay(world: TabulatedSpace, speed: float) -> pd.DataFrame:
    """The trials of a study on Ray whose trainings show what the surrogate says."""
    writer = StudyWriter(InMemoryStorage(), world.file, world.space)
    loop = SearchLoop(world.file, world.space, writer, {})
    trainable = tune.with_parameters(_Replayed, world=world, speed=speed)
    fit_trials(loop, tune.with_resources(trainable, {"cpu": 1}), WORKERS)
    return to_frame(writer.frozen_trials(), world.space, world.file.metrics)


class _Replayed(tune.Trainable):
    """Sleeps instead of training, and gives the keys of the real worker."""

    def setup(self, config: dict[str, Any], world: TabulatedSpace, speed: float) -> None:  # type: ignore[override]
        self._world, self._speed = world, speed
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        surrogate, network = self._world.surrogate, new_config["architecture"]
        self._curve = surrogate.curve(network, self._world.file.seed)
        _, self._seconds = surrogate.truth(network)
        self._epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        time.sleep(self._seconds / self._speed)
        self._epoch += 1
        return {
            EPOCH: self._epoch,
            QUALITY: float(self._curve[self._epoch - 1]),
            SECONDS: self._seconds,
            tune.result.DONE: self._epoch >= len(self._curve),
        }


def _volume(world: TabulatedSpace, frame: pd.DataFrame, accuracy: str) -> float:
    """The hypervolume of what was measured: nobody knows a real network's accuracy without noise."""
    costs = costs_of(frame, world.file.costs)
    return normalised_hypervolume(frame[accuracy], costs, world.bounds)


def _surrogate_error(world: TabulatedSpace, run: str, folder: str, trained: pd.DataFrame) -> float:
    """The mean of its accuracies of really trained networks less those that they had."""
    networks = [
        export_architecture(run, trial=number, runs=folder).architecture
        for number in trained["number"]
    ]
    said = np.array([world.surrogate.truth(network)[0][-1] for network in networks])
    return float(np.mean(said - trained["val_accuracy"]))


if __name__ == "__main__":
    begin = time.monotonic()
    main()
    print(f"\n{duration(time.monotonic() - begin)}")
