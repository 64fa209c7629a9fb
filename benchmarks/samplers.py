"""How many trainings does each sampler need, on tables of trained networks?

    python benchmarks/samplers.py                      # every section, hours
    python benchmarks/samplers.py --seeds 4 --sections quality reach

Sections:
    quality   how well the surrogate of each table predicts, and how much an epoch tells of a network
    reach     trained networks until random search's hypervolume after 200; 1, 16 and 64 at once
    stopping  epochs until the same hypervolume, with early stopping and without
    front     the estimated front and the measured one, by their true accuracies
    objectives  random and known_cost with params as an objective, in place of FLOPs or beside them
    ask       seconds per proposal after 100, 1,000 and 10,000 finished trials

Medians over seeds with 90 % bands; searches of the same seed see the same noise.
"""

import argparse
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.storages import InMemoryStorage

from hgcnet.complexity import count
from search.estimation.curve_reading import read_curves
from search.estimation.estimate import Observations, estimate_accuracy
from search.optuna_space import OptunaSpace
from search.pareto import non_dominated, normalised_hypervolume
from search.results.trials import costs_of
from search.simulation.surrogate import Surrogate, cross_validate
from search.simulation.table import read_table
from search.simulation.virtual_clock import TabulatedSpace, simulate_searches, trials_to_reach
from search.study.writer import StudyWriter
from search.study_file.schema import EarlyStopping, Objective
from search.units import duration
from space.search_space import SearchSpace

TABLES = Path(__file__).parents[1] / "studies" / "tables"
SECTIONS = ("quality", "reach", "stopping", "front", "objectives", "ask")
RANDOM_TRIALS = 200
PATIENCE = 60  # seconds of one proposal
FEW_SEEDS = 10  # for what takes long: Optuna's GP, and 64 at once
SEARCHES = {  # at once -> sampler -> trials. What is proposed at random does not depend on it
    1: {"random": RANDOM_TRIALS, "tpe": 200, "nsga2": 200, "gp": 60, "known_cost": 60},
    16: {"gp": 60, "known_cost": 60},
    64: {"known_cost": 150},
}
COSTS = (("num_params",), ("flops", "num_params"))  # objectives beside the accuracy
OTHER_SEARCHES = {
    "random": RANDOM_TRIALS,
    "known_cost": 100,
}  # by other objectives: sampler -> trials


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", choices=SEARCHES[1], default=list(SEARCHES[1]))
    parser.add_argument("--tables", nargs="+", default=sorted(TABLES.glob("*.parquet")), type=Path)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for path in arguments.tables:
        table, file, task = read_table(path)
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
        world = TabulatedSpace(file=file, space=space, surrogate=Surrogate(table, space.space))
        print(f"\n{path.stem}: {len(table)} trainings, {space.space.size:,} points")
        if "quality" in arguments.sections:
            print_quality(table, space.space)
            print_worth_of_epochs(world)
        if "reach" in arguments.sections:
            print_reach(world, arguments.samplers, arguments.seeds)
        if "stopping" in arguments.sections:
            print_stopping(world, arguments.seeds)
        if "front" in arguments.sections:
            print_front(world, arguments.samplers, arguments.seeds)
        if "objectives" in arguments.sections:
            for costs in COSTS:
                print_objectives(world, costs, arguments.seeds)
        if "ask" in arguments.sections:
            print_seconds_per_ask(world, arguments.samplers)


def print_quality(table: pd.DataFrame, space: SearchSpace) -> None:
    """What the surrogate predicts of networks that it has not seen."""
    found = cross_validate(table, space)
    print(
        f"surrogate of {found.networks} networks: tau {found.tau:.3f}, residual {found.residual:.4f}, "
        f"noise of a seed {found.noise:.4f}{'' if found.is_trusted else '; NOT TRUSTED'}"
    )


def print_worth_of_epochs(world: TabulatedSpace, networks: int = 600) -> None:
    """How far curves err that were cut after so many epochs, and what an epoch of them is worth.

    Worth: knowledge (1 / variance) for an epoch, against that for an epoch of a whole training. Above 1
    a sampler learns more from many short trainings than from few whole ones.
    """
    space = world.space.space
    points = space.draw_points(np.random.default_rng(0), networks)
    drawn = [space.architecture_at(point) for point in points]
    truth = np.array([world.surrogate.truth(network)[0][-1] for network in drawn])
    curves = [world.surrogate.curve(network, 0) for network in drawn]
    errors = {}
    for epochs in range(1, world.surrogate.epochs):
        cut = [curve[:epochs] for curve in curves]
        accuracy, _ = read_curves(curves, truth, cut)
        errors[epochs] = float(np.std(accuracy[networks:] - truth))
    errors[world.surrogate.epochs] = whole = float(np.std(accuracy[:networks] - truth))
    last = np.std([curve[-1] for curve in curves] - truth)
    print(f"a whole training errs by {last:.4f} by its last epoch alone, by {whole:.4f} by all")
    print("epochs " + "".join(f"{epochs:8}" for epochs in errors))
    print("errs by" + "".join(f"{error:8.4f}" for error in errors.values()))
    worth = [
        whole**2 * world.surrogate.epochs / (error**2 * epochs) for epochs, error in errors.items()
    ]
    print("worth  " + "".join(f"{value:8.2f}" for value in worth), flush=True)


def print_reach(world: TabulatedSpace, samplers: Sequence[str], seeds: int) -> None:
    """Trained networks until the median that random search, which always runs, has after 200."""
    goal = float("nan")
    for workers, kinds in SEARCHES.items():
        _print_head(f"{workers} at once")
        found: dict[str, list[pd.DataFrame]] = {}
        for kind, trials in kinds.items():
            if kind not in ("random", *samplers):
                continue
            frame = simulate_searches(
                world,
                samplers=[kind],
                workers=workers,
                trials=trials,
                seeds=min(seeds, FEW_SEEDS) if kind == "gp" or workers == 64 else seeds,
                early_stopping=False,
            )
            found[kind] = [search for _, search in frame.groupby("seed")]
            if kind == "random":
                goal = float(np.median([s["hypervolume"].iloc[-1] for s in found[kind]]))
            _print_reached(kind, found[kind], goal)
        if {"gp", "known_cost"} <= found.keys():
            _print_against_gp(found["known_cost"], found["gp"], goal)
    print(f"reached: hypervolume {goal:.4f}, random search's median after {RANDOM_TRIALS}")


def print_objectives(world: TabulatedSpace, costs: Sequence[str], seeds: int) -> None:
    """The same one at a time where these costs are the objectives beside the accuracy."""
    objectives = [Objective(metric="val_accuracy")]
    objectives += [Objective(metric=cost) for cost in costs]
    world = replace(world, file=replace(world.file, objectives=tuple(objectives)))
    _print_head(", ".join(costs))
    goal = float("nan")
    for kind, trials in OTHER_SEARCHES.items():
        frame = simulate_searches(
            world, samplers=[kind], workers=1, trials=trials, seeds=seeds, early_stopping=False
        )
        searches = [search for _, search in frame.groupby("seed")]
        if kind == "random":
            goal = float(np.median([search["hypervolume"].iloc[-1] for search in searches]))
        _print_reached(kind, searches, goal)
    print(f"reached: hypervolume {goal:.4f}, random search's median after {RANDOM_TRIALS}")


def _print_head(title: str) -> None:
    print(
        f"\n{title:20}{'median':>8}{'5 %':>7}{'95 %':>7}{'worst':>7}"
        f"{'hv at 25':>10}{'hv at 50':>10}{'at end':>10}{'seeds':>7}"
    )


def _print_reached(kind: str, searches: list[pd.DataFrame], goal: float) -> None:
    needed = [trials_to_reach(search, goal) for search in searches]
    low, middle, high = np.quantile(needed, [0.05, 0.5, 0.95], method="higher")
    at = [np.median([s["hypervolume"].iloc[row] for s in searches]) for row in (24, 49, -1)]
    print(
        f"{kind:20}{middle:8.0f}{low:7.0f}{high:7.0f}{max(needed):7.0f}{at[0]:10.4f}{at[1]:10.4f}"
        f"{at[2]:10.4f}{len(searches):7}",
        flush=True,
    )


def _print_against_gp(ours: list[pd.DataFrame], gp: list[pd.DataFrame], goal: float) -> None:
    ratios = [
        trials_to_reach(our, goal) / trials_to_reach(their, goal)
        for our, their in zip(ours, gp, strict=False)  # the seeds that both have
    ]
    level = float(np.median([search["hypervolume"].iloc[49] for search in gp]))
    reached = np.median([trials_to_reach(search, level) for search in ours])
    print(f"known_cost / gp, paired seeds: median {np.median(ratios):.2f}")
    print(f"gp's hypervolume at 50 is reached by known_cost at {reached:.0f}", flush=True)


def print_stopping(world: TabulatedSpace, seeds: int) -> None:
    """Epochs until the median hypervolume of whole trainings alone, 4 at once."""
    early = {
        kind: replace(world, file=replace(world.file, early_stopping=early_stopping))
        for kind, early_stopping in {
            "none": EarlyStopping(kind="none"),
            "moasha, rungs 2 4": EarlyStopping(kind="moasha", min_epochs=2),
            "front_chance, rung 4": EarlyStopping(kind="front_chance", min_epochs=4),
            "front_chance, rungs 2 4": EarlyStopping(kind="front_chance", min_epochs=2),
            "front_chance, rungs 1 2 4": EarlyStopping(kind="front_chance", min_epochs=1),
        }.items()
    }
    for sampler, trials, budget in (("random", 80, 160), ("known_cost", 30, 45)):
        print(
            f"\n{sampler}, 4 at once: epochs until what {trials} whole trainings reach\n"
            f"{'':20}{'median':>8}{'5 %':>7}{'95 %':>7}{'ratio':>7}{'stopped':>9}{'members lost':>14}{'hv lost':>9}"
        )
        goal = whole = float("nan")
        for kind, of_kind in early.items():
            frame = simulate_searches(
                of_kind, samplers=[sampler], workers=4, trials=budget, seeds=seeds
            )
            if kind == "none":
                goal = float(frame.loc[frame["trained"] == trials, "hypervolume"].median())
            epochs = [_epochs_to(search, goal) for _, search in frame.groupby("seed")]
            low, middle, high = np.quantile(epochs, [0.05, 0.5, 0.95], method="higher")
            whole = middle if kind == "none" else whole
            members, volume = _lost(world, frame)
            print(
                f"{kind:20}{middle:8.0f}{low:7.0f}{high:7.0f}{middle / whole:7.2f}"
                f"{frame['accuracy'].isna().mean():9.0%}{members:14.1%}{volume:9.2%}",
                flush=True,
            )


def _epochs_to(search: pd.DataFrame, goal: float) -> float:
    reached = search.loc[search["hypervolume"] >= goal, "epochs"]
    return float(reached.iloc[0]) if len(reached) else float("inf")


def _lost(world: TabulatedSpace, early: pd.DataFrame) -> tuple[float, float]:
    """Of the true fronts of all that was started: the share of their networks that was stopped, and of
    their hypervolume what is lost with those."""
    lost = members = 0
    volumes = []
    for _, search in early.groupby("seed"):
        truth, costs = search["truth"].to_numpy(), costs_of(search, world.file.costs)
        stopped = search["accuracy"].isna().to_numpy()
        front = non_dominated(np.column_stack([-truth, costs]))
        members += int(front.sum())
        lost += int((front & stopped).sum())
        all_of_it = normalised_hypervolume(truth, costs, world.bounds)
        kept = normalised_hypervolume(truth[~stopped], costs[~stopped], world.bounds)
        volumes.append(1 - kept / all_of_it)
    return lost / members, float(np.mean(volumes))


def print_front(world: TabulatedSpace, samplers: Sequence[str], seeds: int) -> None:
    """The true hypervolume of the front that people would be shown."""
    print(
        "\nthe front that is shown, scored on the truth (median), and how often belief is the better"
    )
    print(
        f"{'':12}{'trials':>8}{'measured':>10}{'estimated':>10}{'everything':>12}{'better':>8}{'worse':>7}"
    )
    for kind, trials in (("known_cost", 15), ("known_cost", 50), ("tpe", 100), ("random", 200)):
        if kind not in samplers:
            continue
        frame = simulate_searches(
            world, samplers=[kind], workers=1, trials=trials, seeds=seeds, early_stopping=False
        )
        found = np.array(
            [_shown(world, search, int(seed)) for seed, search in frame.groupby("seed")]
        )
        medians = np.median(found, axis=0)
        gain = found[:, 1] - found[:, 0]
        print(
            f"{kind:12}{trials:8}{medians[0]:10.4f}{medians[1]:10.4f}{medians[2]:12.4f}"
            f"{(gain > 0).sum():8}{(gain < 0).sum():7}",
            flush=True,
        )


def _shown(world: TabulatedSpace, search: pd.DataFrame, seed: int) -> tuple[float, float, float]:
    """True hypervolumes of the measured front, of the estimated one, and of everything trained."""
    space = world.space.space
    points = np.array(search["point"].tolist())
    seen = Observations(
        finished=points,
        stopped=points[:0],
        pending=points[:0],
        curves=[world.surrogate.curve(space.architecture_at(point), seed) for point in points],
        cut_curves=[],
    )
    costs, truth = costs_of(search, world.file.costs), search["accuracy"].to_numpy()
    volumes = []
    for values in (search["observed"].to_numpy(), estimate_accuracy(space, seen)):
        front = non_dominated(np.column_stack([-values, costs]))
        volumes.append(normalised_hypervolume(truth[front], costs[front], world.bounds))
    return volumes[0], volumes[1], float(search["hypervolume"].iloc[-1])


def print_seconds_per_ask(world: TabulatedSpace, samplers: Sequence[str]) -> None:
    """With so many finished trials in memory; a sampler that took too long is not asked again."""
    print("\nseconds a proposal, median of 5, after so many finished trials")
    print(f"{'':8}" + "".join(f"{kind:>13}" for kind in samplers))
    is_slow: set[str] = set()
    for number in (100, 1000, 10_000):
        print(f"{number:8,}", end="", flush=True)
        storage = _filled_storage(world, number)
        for kind in samplers:
            seconds = np.inf if kind in is_slow else _seconds_per_ask(world, storage, kind)
            if seconds == np.inf:
                is_slow.add(kind)
            print(
                f"{'not reached' if seconds == np.inf else f'{seconds:.3f}':>13}",
                end="",
                flush=True,
            )
        print()


def _writer(world: TabulatedSpace, storage: InMemoryStorage, kind: str) -> StudyWriter:
    sampler = replace(world.file.sampler, kind=kind)
    return StudyWriter(storage, replace(world.file, sampler=sampler), world.space)


def _filled_storage(world: TabulatedSpace, number: int) -> InMemoryStorage:
    """A study of so many finished networks."""
    storage, rng = InMemoryStorage(), np.random.default_rng(0)
    writer = _writer(world, storage, "random")
    writer.hypervolume_bounds()
    for _ in range(number):
        proposal = writer.ask()
        assert proposal is not None, "the space has too few networks"
        flops = count(proposal.architecture, world.space.space.task).flops
        accuracy = 0.1 * np.log10(flops) + rng.normal(0, 0.01)
        writer.tell_finished(proposal, [float(accuracy)], 1.0)
    return storage


def _seconds_per_ask(world: TabulatedSpace, storage: InMemoryStorage, kind: str) -> float:
    """The median of five; infinite where one takes longer than PATIENCE."""
    writer = _writer(world, storage, kind)
    seconds: list[float] = []
    signal.signal(signal.SIGALRM, _give_up)
    for _ in range(5):
        begin = time.perf_counter()
        signal.alarm(PATIENCE)
        try:
            proposal = writer.ask()
        except TimeoutError:
            writer.close_interrupted()
            return np.inf
        finally:
            signal.alarm(0)
        seconds.append(time.perf_counter() - begin)
        assert proposal is not None
        writer.tell_failed(proposal, "only asked", [], 0.0)
    return float(np.median(seconds))


def _give_up(signal_number: int, frame: object) -> None:
    raise TimeoutError


if __name__ == "__main__":
    begin = time.monotonic()
    main()
    print(f"\n{duration(time.monotonic() - begin)}")
