"""Simulated searches: the samplers, the rungs and the loop of studies under a virtual clock."""

import heapq
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from optuna.storages import InMemoryStorage

from hgcnet.architecture import Architecture
from hgcnet.complexity import count
from hgcnet.errors import RunError
from hgcnet.machine import usable_cpus
from search.optuna_space import OptunaSpace
from search.pareto import HypervolumeBounds, running_hypervolume
from search.samplers.stored_bounds import bounds_of
from search.simulation.surrogate import Quality, Surrogate, cross_validate
from search.simulation.table import read_table
from search.study.search_loop import SearchLoop
from search.study.writer import StudyWriter
from search.study_file.differences import first_difference
from search.study_file.schema import StudyFile
from search.workers.protocol import Proposal
from space.search_space import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class TabulatedSpace:
    """A space with known accuracies, for simulated searches."""

    file: StudyFile
    space: OptunaSpace
    surrogate: Surrogate

    @property
    def bounds(self) -> HypervolumeBounds:
        """The bounds of the hypervolume, by the noise-free accuracy of the cheapest network."""
        space = self.space.space
        reference = float(self.surrogate.truth(space.cheapest())[0][-1])
        return bounds_of(space, self.file.costs, reference)


def read_tabulated_space(file: StudyFile, table: Path) -> tuple[TabulatedSpace, pd.DataFrame]:
    """The space of a study with the accuracies of a table, and that table.

    Raises:
        DataError: the table cannot be read.
        RunError: it was made with another space, data set, proxy or quality metric.
    """
    rows, made_by, task = read_table(table)
    if made_by.quality_metric != file.quality_metric:
        raise RunError(
            f"{table}: holds curves of {made_by.quality_metric}, but {file.source} has "
            f"{file.quality_metric} as its objective"
        )
    for key in ("data", "space", "limits", "proxy"):
        stored, given = ({key: f.document[key]} for f in (made_by, file))
        if (difference := first_difference(stored, given)) is not None:
            path, old, new = difference
            raise RunError(
                f"{table}: is of a study with {path} = {old!r}, but {file.source} has {new!r}"
            )
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    return TabulatedSpace(file=file, space=space, surrogate=Surrogate(rows, space.space)), rows


def simulate_search(
    world: TabulatedSpace,
    *,
    sampler: str,
    workers: int,
    trials: int,
    seed: int,
    early_stopping: bool = True,
) -> pd.DataFrame:
    """One search, up to `trials` trained networks; a row each, in the order in which they ended.

    The search sees noisy accuracies. A network has the same noise in every search with this seed. The
    hypervolume is that of the noise-free accuracies of finished trials, by the study's objectives.

    Returns:
        columns: trained (1, 2, ...), seconds (of the virtual clock), epochs (trained in all so far),
        hypervolume, number (of the trial), point (in the space), flops, num_params, accuracy (noise-free;
        NaN for stopped trials), truth (noise-free, also for those), observed (the last that the search saw).
    """
    file = replace(
        world.file,
        seed=seed,
        sampler=replace(world.file.sampler, kind=sampler),  # type: ignore[arg-type]
        budget=replace(world.file.budget, trials=trials, hours=None),
    )
    if not early_stopping:
        file = replace(file, early_stopping=replace(file.early_stopping, kind="none"))
    writer = StudyWriter(InMemoryStorage(), file, world.space)
    loop = SearchLoop(file, world.space, writer, {})
    frame = pd.DataFrame(_search(world, loop, workers, seed))
    frame.insert(0, "trained", np.arange(1, len(frame) + 1))
    costs = frame[list(file.costs)]
    frame["hypervolume"] = running_hypervolume(frame["accuracy"], costs, world.bounds)
    return frame


def _search(
    world: TabulatedSpace, loop: SearchLoop, workers: int, seed: int
) -> list[dict[str, Any]]:
    """Runs workers whose epochs take virtual seconds, until the loop has nothing more to start."""
    space, surrogate = world.space.space, world.surrogate
    events: list[tuple[float, int, int]] = []  # (time, trial, finished epochs), a heap
    running: dict[int, Architecture] = {}
    rows: list[dict[str, Any]] = []

    def start(now: float) -> None:
        while len(running) < workers and isinstance(proposal := loop.next(), Proposal):
            running[proposal.number] = proposal.architecture
            _, seconds = surrogate.truth(proposal.architecture)
            heapq.heappush(events, (now + seconds, proposal.number, 1))

    start(0.0)
    epochs = 0
    while events:
        now, number, epoch = heapq.heappop(events)
        epochs += 1
        network = running[number]
        observed = float(surrogate.curve(network, seed)[epoch - 1])
        truths, seconds = surrogate.truth(network)
        if loop.on_epoch(number, epoch, observed, seconds):
            heapq.heappush(events, (now + seconds, number, epoch + 1))
            continue
        loop.on_end(number)
        del running[number]
        truth, cost = float(truths[-1]), count(network, space.task)
        rows.append(
            {
                "seconds": now,
                "epochs": epochs,
                "number": number,
                "point": space.point_of(network).tolist(),
                "flops": cost.flops,
                "num_params": cost.num_params,
                "accuracy": truth if epoch == world.file.proxy.epochs else np.nan,
                "truth": truth,
                "observed": observed,
            }
        )
        start(now)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Searches by several samplers on one table."""

    page: Path  # of figures
    surrogate: Quality  # how well it predicts networks that are not in the table
    searches: pd.DataFrame  # as `simulate_searches` gives them
    summary: pd.DataFrame  # as `summarise_searches` gives it


def simulate_samplers(
    file: StudyFile,
    table: Path,
    page: Path,
    *,
    samplers: Sequence[str],
    workers: int,
    trials: int,
    seeds: int,
    observe: Callable[[str, int], None] = lambda sampler, seed: None,
) -> Simulation:
    """Simulates a study with every sampler and every seed on a table of its space.

    Args:
        page: where its figures will be written.

    Raises:
        UserError: as `read_tabulated_space`.
    """
    world, rows = read_tabulated_space(file, table)
    quality = cross_validate(rows, world.space.space)
    searches = simulate_searches(
        world, samplers=samplers, workers=workers, trials=trials, seeds=seeds, observe=observe
    )
    return Simulation(
        page=page, surrogate=quality, searches=searches, summary=summarise_searches(searches)
    )


def simulate_searches(
    world: TabulatedSpace,
    *,
    samplers: Sequence[str],
    workers: int,
    trials: int,
    seeds: int,
    early_stopping: bool = True,
    observe: Callable[[str, int], None] = lambda sampler, seed: None,
) -> pd.DataFrame:
    """Every sampler with every seed, as many at once as there are CPUs; with columns sampler, seed.

    Args:
        observe: is called after each search.
    """
    jobs = [(sampler, seed) for sampler in samplers for seed in range(seeds)]
    search = partial(
        simulate_search, world, workers=workers, trials=trials, early_stopping=early_stopping
    )
    # Not by fork, which would copy torch's and Arrow's threads.
    context = multiprocessing.get_context("spawn")
    try:
        processes = ProcessPoolExecutor(usable_cpus(), mp_context=context)
    except OSError as error:
        raise RunError(
            f"the processes of a simulation need shared memory: {error}; in a container, give /dev/shm by "
            "--shm-size"
        ) from error
    with processes as pool:
        found = {pool.submit(search, sampler=name, seed=seed): (name, seed) for name, seed in jobs}
        for future in as_completed(found):
            future.result()  # an error is raised at once
            observe(*found[future])
    frames = (future.result().assign(sampler=name, seed=s) for future, (name, s) in found.items())
    return pd.concat(frames, ignore_index=True)


def summarise_searches(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per sampler: medians over its seeds.

    `hypervolume_N` is after N trained networks. `to_reach` counts the networks until the first sampler's
    median at the end (infinite: never), `worst` those of the worst seed.
    """
    first = str(frame["sampler"].iloc[0])
    last = frame.groupby(["sampler", "seed"]).last()
    goal = float(last.loc[first, "hypervolume"].median())
    marks = [n for n in (10, 20, 50, 100, 200, 500, 1000) if n <= frame["trained"].max()]
    rows = []
    for sampler, group in frame.groupby("sampler", sort=False):
        needed = [trials_to_reach(search, goal) for _, search in group.groupby("seed")]
        at = group[group["trained"].isin(marks)].groupby("trained")["hypervolume"].median()
        rows.append(
            {"sampler": sampler}
            | {f"hypervolume_{mark}": float(at.get(mark, np.nan)) for mark in marks}
            | {"to_reach": float(np.median(needed)), "worst": max(needed), "goal": goal}
            | {name: float(last.loc[sampler, name].median()) for name in ("epochs", "seconds")}
        )
    return pd.DataFrame(rows)


def trials_to_reach(frame: pd.DataFrame, hypervolume: float) -> float:
    """The number of trained networks until a search reaches the hypervolume; infinite if never."""
    reached = frame.loc[frame["hypervolume"] >= hypervolume, "trained"]
    return float(reached.iloc[0]) if len(reached) else float("inf")
