"""Trainings that are wanted, the recipe that they share, and the folder in which they are kept.

FOLDER/recipe.json      what all of its trainings share
FOLDER/trainings.json   every finished one, with its curve
FOLDER/states/          half-done trainings and, where they are wanted, trained networks
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hgcnet.architecture import Architecture, Task
from hgcnet.atomic_write import replace_file, writing
from hgcnet.complexity import count
from hgcnet.errors import RunError
from search.file_lock import hold_lock
from search.study_file.differences import first_difference
from search.training.checkpoints import Checkpoints
from search.training.recipe import FORMAT, Recipe
from search.training.seeds import paired_seeds
from search.versions import check_format, check_known


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training that is wanted."""

    name: str  # of the network, for people
    architecture: Architecture
    repetition: int  # 0, 1, ... of this network
    seed: int

    @property
    def key(self) -> str:
        """What no other training of a folder has; a file's name."""
        return f"{self.architecture.fingerprint}-{self.seed:x}"


def plan_trainings(
    networks: Iterable[tuple[str, Architecture]],
    repetitions: Iterable[int],
    seed_of: Callable[[str, int], int],
) -> tuple[Training, ...]:
    """Every repetition of every network; `seed_of` takes the network's fingerprint and the repetition."""
    networks = tuple(networks)
    return tuple(
        Training(
            name=name, architecture=network, repetition=k, seed=seed_of(network.fingerprint, k)
        )
        for k in repetitions
        for name, network in networks
    )


def repeated(
    networks: Mapping[str, Architecture], repetitions: int, seed: int
) -> tuple[Training, ...]:
    """The same fresh seeds for every network, so that networks can be compared in pairs."""
    seeds = paired_seeds(seed, repetitions)
    return plan_trainings(networks.items(), range(repetitions), lambda _, k: seeds[k])


class TrainingFolder:
    """The folder of one recipe's trainings.

    Raises:
        RunError: it cannot be written, or holds trainings by another recipe.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self.states = Checkpoints(folder / "states")
        self._table = folder / "trainings.json"
        self._rows: dict[str, dict[str, Any]] = {}
        path, given = folder / "recipe.json", json.loads(_to_json(recipe.document()))
        try:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                if not path.exists():
                    replace_file(path, _to_json(given))
                stored = json.loads(path.read_bytes())
                if self._table.exists():
                    self._rows = json.loads(self._table.read_bytes())
            if not (isinstance(stored, dict) and isinstance(self._rows, dict)):
                raise ValueError("it holds something else")
            check_format(stored.get("format"), FORMAT, path)
            kept, unknown = Recipe.from_document(stored)
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{folder}: is damaged ({error}); delete it to train again") from error
        check_known(unknown, f"{path}:")
        if kept.start and recipe.start and kept.start.sha256 == recipe.start.sha256:
            kept = replace(kept, start=recipe.start)  # the same weights, from wherever
        before = json.loads(_to_json(kept.document()))
        if (difference := first_difference(before, given)) is not None:
            key, old, new = difference
            if key.partition(".")[0] == "start":
                began = f"with the weights of {kept.start.model}" if kept.start else "afresh"
                raise RunError(
                    f"{folder}: its trainings began {began}; begin so again"
                    + (f" (--from {kept.start.model}, as it was then)" if kept.start else "")
                    + ", or name another folder"
                )
            raise RunError(
                f"{folder}: its trainings have {key} = {old!r}, not {new!r}; give the old value, or "
                "delete the folder"
            )

    def has(self, training: Training) -> bool:
        """Whether it is finished."""
        return training.key in self._rows

    @property
    def fingerprints(self) -> set[str]:
        """Of the networks that have a finished training here."""
        return {key.partition("-")[0] for key in self._rows}

    def row(self, training: Training) -> dict[str, Any]:
        """What is kept of a finished training: seed, quality (by its metric), epochs, seconds, curve."""
        return dict(self._rows[training.key])

    def add(
        self, training: Training, curve: Sequence[float], seconds: float, **measured: Any
    ) -> None:
        """Keeps a finished training.

        Args:
            curve: the quality after every epoch; empty where nothing is held out.
            measured: whatever else is to be kept, as JSON can hold it.

        Raises:
            RunError: it cannot be written.
        """
        self._rows[training.key] = {
            "seed": training.seed,
            self.recipe.quality_metric: curve[-1] if curve else None,
            "epochs": self.recipe.proxy.epochs,
            "seconds": round(seconds, 3),
            "curve": list(curve),
            **measured,
        }
        with writing(self._table):
            replace_file(self._table, _to_json(self._rows))

    def frame(self, trainings: Sequence[Training], task: Task) -> pd.DataFrame:
        """The finished ones among some trainings, a row each, in their order.

        What they are compared by stands in the column of the recipe's metric.
        """
        rows = [
            {"name": training.name}
            | network_cells(training.architecture, task)
            | {"repetition": training.repetition}
            | self.row(training)
            for training in filter(self.has, trainings)
        ]
        columns = ["name", "architecture", "fingerprint", "flops", "num_params", "repetition"]
        measured = ["seed", self.recipe.quality_metric, "epochs", "seconds", "curve"]
        return pd.DataFrame(rows, columns=columns + measured)


def network_cells(network: Architecture, task: Task) -> dict[str, Any]:
    """What a row of a table says of a network."""
    cost = count(network, task)
    return {
        "architecture": str(network),
        "fingerprint": network.fingerprint,
        "flops": cost.flops,
        "num_params": cost.num_params,
    }


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keeps every other process out of a folder of trainings.

    Raises:
        RunError: another one is there, or it cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder / "lock", lambda: "another process trains here; wait for it"):
        yield


def _to_json(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
