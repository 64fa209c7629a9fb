"""Trains networks of a space for a table: uniform draws, and neighbours of their front."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from hgcnet.architecture import Architecture
from search.pareto import non_dominated
from search.prepare import PreparedStudy
from search.retraining.retraining_loop import RetrainingProgress, retrain
from search.retraining.training_folder import (
    Training,
    TrainingFolder,
    locked_folder,
    plan_trainings,
)
from search.training.quality import ACCURACY, QualityMetric
from search.training.recipe import Recipe
from search.training.seeds import table_seed

UNIFORM, NEAR_FRONT = "uniform", "near the front"


def train_table(
    prepared: PreparedStudy,
    folder: Path,
    *,
    uniform: int,
    near_front: int,
    repeated_share: float = 0.1,
    ray_address: str | None = None,
    without_ray: bool = False,
    observe: Callable[[RetrainingProgress], None] = lambda progress: None,
) -> tuple[pd.DataFrame, bool]:
    """Trains networks of a study's space by its proxy; a row each, and whether all are trained.

    First `uniform` feasible networks, then `near_front` that differ in one parameter from a network of
    the front so far, then a share of all of them with a second seed. Resumable; more networks can be added
    later.

    Raises:
        UserError: the data or the workers are not available.
    """
    file, space = prepared.file, prepared.space.space
    recipe = Recipe(data=file.data, proxy=file.proxy, quality_metric=file.quality_metric)
    trainings = TrainingFolder(folder, recipe)
    rng = np.random.default_rng([file.seed, 1])
    origins: dict[str, str] = {}
    wanted: list[Training] = []

    def train(networks: Sequence[Architecture], repetition: int) -> bool:
        named = [(str(network), network) for network in networks]
        wanted.extend(plan_trainings(named, [repetition], partial(table_seed, file.seed)))
        return retrain(
            wanted,
            trainings,
            file,
            ray_address=ray_address,
            without_ray=without_ray,
            observe=observe,
        ).is_complete

    with locked_folder(folder):
        drawn: list[Architecture] = []
        while len(drawn) < uniform and (network := space.sample(rng, origins)) is not None:
            drawn.append(network)
            origins[network.fingerprint] = UNIFORM
        is_complete = train(drawn, 0)
        if is_complete and near_front:
            front = _front(
                trainings.frame(wanted, space.task), drawn, file.costs, file.quality_metric
            )
            # Networks that differ from one of these in one parameter, in random order; with repeats.
            near = [neighbour for network in front for neighbour in space.neighbours(network)]
            found: list[Architecture] = []
            for index in np.random.default_rng([file.seed, 2]).permutation(len(near)):
                if len(found) < near_front and near[index].fingerprint not in origins:
                    found.append(near[index])
                    origins[near[index].fingerprint] = NEAR_FRONT
            is_complete = train(found, 0)
        if is_complete:
            again = rng.permutation(len(wanted))[: round(repeated_share * len(wanted))]
            is_complete = train([wanted[row].architecture for row in sorted(again)], 1)
        frame = trainings.frame(wanted, space.task).drop(columns="name")
    frame.insert(0, "origin", frame["fingerprint"].map(origins))
    networks = {training.architecture.fingerprint: training.architecture for training in wanted}
    values = [prepared.space.encode(networks[f]) for f in frame["fingerprint"]]
    return pd.concat([frame, pd.DataFrame(values, index=frame.index)], axis=1), is_complete


def _front(
    frame: pd.DataFrame,
    networks: Sequence[Architecture],
    costs: Sequence[str],
    metric: QualityMetric = ACCURACY,
) -> list[Architecture]:
    losses = np.column_stack([-frame[metric], frame[list(costs)]])
    of = {network.fingerprint: network for network in networks}
    return [of[key] for key in frame["fingerprint"][non_dominated(losses)]]
