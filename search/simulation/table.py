"""A table of a space: networks that were really trained, for simulations of a search over it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from hgcnet.architecture import Architecture, Task
from hgcnet.atomic_write import replace_file
from hgcnet.errors import DataError, RunError, one_line
from hgcnet.latency import hardware_name
from search.pareto import non_dominated
from search.prepare import PreparedStudy
from search.retraining.recipe import Recipe
from search.retraining.retraining_loop import RetrainingProgress, retrain
from search.retraining.training_folder import Training, TrainingFolder, locked_folder
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.training.seeds import training_seed
from search.versions import versions
from space.search_space import SearchSpace

UNIFORM, NEAR_FRONT = "uniform", "near the front"
_STUDY = b"hgcnas_study"  # keys of the Parquet file's metadata
_MADE_WITH = b"hgcnas_made_with"


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
    """Trains networks of a study's space by its proxy; a row each, and whether all are there.

    First `uniform` feasible networks, then `near_front` that differ in one parameter from a network of
    the front so far, then a share of all of them with a second seed. Resumable: what is trained once
    stays trained, also where more is asked for later.

    Raises:
        UserError: the data or the workers are not to be had.
    """
    file, space = prepared.file, prepared.space.space
    recipe = Recipe(data=file.data, proxy=file.proxy)
    trainings = TrainingFolder(folder, recipe)
    rng = np.random.default_rng([file.seed, 1])
    origins: dict[str, str] = {}

    def train(wanted: Sequence[Training]) -> bool:
        return retrain(
            wanted,
            trainings,
            file.workers,
            file.source,
            ray_address=ray_address,
            without_ray=without_ray,
            observe=observe,
        ).is_complete

    def first_seeds(networks: Sequence[Architecture]) -> list[Training]:
        return [_training(network, 0, file.seed) for network in networks]

    with locked_folder(folder):
        drawn: list[Architecture] = []
        while len(drawn) < uniform and (network := space.sample(rng, origins)) is not None:
            drawn.append(network)
            origins[network.fingerprint] = UNIFORM
        wanted = first_seeds(drawn)
        is_complete = train(wanted)
        if is_complete and near_front:
            front = _front(trainings.frame(wanted, space.task), drawn)
            found = []
            for network in _neighbours(space, front, np.random.default_rng([file.seed, 2])):
                if network.fingerprint not in origins:
                    found.append(network)
                    origins[network.fingerprint] = NEAR_FRONT
                if len(found) == near_front:
                    break
            wanted += first_seeds(found)
            is_complete = train(wanted)
        if is_complete:
            again = rng.permutation(len(wanted))[: round(repeated_share * len(wanted))]
            networks = [wanted[row].architecture for row in sorted(again)]
            wanted += [_training(network, 1, file.seed) for network in networks]
            is_complete = train(wanted)
        frame = trainings.frame(wanted, space.task).drop(columns="name")
    frame.insert(0, "origin", frame["fingerprint"].map(origins))
    parameters = {training.architecture.fingerprint: training.architecture for training in wanted}
    values = [prepared.space.encode(parameters[f]) for f in frame["fingerprint"]]
    return pd.concat([frame, pd.DataFrame(values, index=frame.index)], axis=1), is_complete


def write_table(frame: pd.DataFrame, prepared: PreparedStudy, path: Path) -> None:
    """Writes a table with what it was made by: the study file, versions, hardware.

    Raises:
        RunError: it cannot be written.
    """
    curve = pa.array(frame["curve"], type=pa.list_(pa.float32()))
    table = pa.Table.from_pandas(frame.drop(columns="curve"), preserve_index=False)
    table = table.append_column("curve", curve)
    made_with = versions() | {"hardware": hardware_name(), "threads": prepared.file.workers.cpus}
    task = asdict(prepared.space.space.task)
    document: dict[str, Any] = {"file": prepared.file.document, "task": task}
    metadata = {_STUDY: json.dumps(document), _MADE_WITH: json.dumps(made_with)}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    buffer = BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error


def read_table(path: Path) -> tuple[pd.DataFrame, StudyFile, Task]:
    """A table, and the study and the task that it was made by.

    Raises:
        DataError: it cannot be read, or is none.
    """
    try:
        table = pyarrow.parquet.read_table(path)
        document = json.loads(table.schema.metadata[_STUDY])
        file = parse_study_file(document["file"], str(path))
        return table.to_pandas(), file, Task(**document["task"])
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is not a table of hgcnas: {one_line(error)}") from error


def _training(network: Architecture, repetition: int, seed: int) -> Training:
    """The first with the seed that a study would give."""
    text = f"second {network.fingerprint}" if repetition else network.fingerprint
    return Training(
        name=str(network),
        architecture=network,
        repetition=repetition,
        seed=training_seed(seed, text),
    )


def _front(frame: pd.DataFrame, networks: Sequence[Architecture]) -> list[Architecture]:
    losses = frame[["val_accuracy", "flops"]].to_numpy("float64") * [-1, 1]
    of = {network.fingerprint: network for network in networks}
    return [of[key] for key in frame["fingerprint"][non_dominated(losses)]]


def _neighbours(
    space: SearchSpace, networks: Sequence[Architecture], rng: np.random.Generator
) -> Iterator[Architecture]:
    """Feasible networks that differ from one of these in one parameter, in random order; with repeats."""
    found = [neighbour for network in networks for neighbour in space.neighbours(network)]
    for index in rng.permutation(len(found)):
        yield found[index]
