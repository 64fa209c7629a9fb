"""Planned trainings, the recipe that they share, and the folder that keeps them.

FOLDER/recipe.json      the recipe of all its trainings
FOLDER/data.json        the data that they began with
FOLDER/trainings.json   every finished training, with its curve
FOLDER/states/          half-done trainings and, on request, trained networks
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hgcnet.architecture import Architecture, Task
from hgcnet.atomic_write import make_folder, replace_file, writing
from hgcnet.complexity import count
from hgcnet.errors import RunError
from search.data.data_record import (
    DataRecord,
    absolute_root,
    data_difference,
    read_files,
    record_data,
)
from search.data.splits import ImageSet, Splits, load_test
from search.file_lock import hold_lock
from search.study_file.differences import first_difference
from search.training.checkpoints import Checkpoints
from search.training.recipe import FORMAT, Recipe
from search.training.seeds import paired_seeds
from search.versions import check_format, check_known, code_digest

DATA = "data_began_with"  # the key of recipe.json


def without_data(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe without its data."""
    return {key: value for key, value in document.items() if key != DATA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One planned training."""

    name: str  # of the network, for people
    architecture: Architecture
    repetition: int  # 0, 1, ... of this network
    seed: int

    @property
    def key(self) -> str:
        """The unique name of a training in its folder, also of its file."""
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
    """The same fresh seeds for every network, for paired comparisons."""
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
        self._table, self._files = folder / "trainings.json", folder / "data.json"
        self._rows: dict[str, dict[str, Any]] = {}
        path, given = folder / "recipe.json", json.loads(_to_json(recipe.document()))
        try:
            with writing(folder):
                make_folder(folder)
                if not path.exists():
                    replace_file(path, _to_json(given))
                stored = self._stored = json.loads(path.read_bytes())
                if self._table.exists():
                    self._rows = json.loads(self._table.read_bytes())
            if not (isinstance(stored, dict) and isinstance(self._rows, dict)):
                raise ValueError("it holds something else")
            check_format(stored.get("format"), FORMAT, path)
            kept, unknown = Recipe.from_document(without_data(stored))
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{folder}: is damaged ({error}); delete it to train again") from error
        check_known(unknown, f"{path}:")
        if kept.start and recipe.start and kept.start.sha256 == recipe.start.sha256:
            kept = replace(kept, start=recipe.start)  # the same weights, wherever they are
        before = json.loads(_to_json(kept.document()))
        if absolute_root(kept.data) == absolute_root(recipe.data):
            before["data"]["root"] = given["data"]["root"]  # the same root, spelled differently
        elif DATA in stored:
            before["data"]["root"] = given["data"]["root"]  # the same data may be elsewhere
            self.check_data()
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

    def check_data(self) -> DataRecord:
        """The record of the data, if they are those that the trainings began with.

        Raises:
            DataError: they are not available.
            RunError: they differ.
        """
        now, before = record_data(self.recipe.data), self._stored.get(DATA)
        if before is not None and (
            difference := data_difference(before, now, read_files(self._files))
        ):
            raise RunError(
                f"{self.folder}: its trainings began with other data than {self.recipe.data.root} has now: "
                f"{difference}; restore the data, delete the folder, or name another one"
            )
        return now

    def load(self) -> Splits:
        """The images to train and validate on; stores the record of them once they are read.

        Raises:
            UserError: as `check_data` and `Recipe.load`, or it cannot be stored.
        """
        begun = self._rows or (self.states.folder.is_dir() and any(self.states.folder.iterdir()))
        if DATA not in self._stored and begun and self.recipe.data.dataset == "image_folder":
            raise RunError(
                f"{self.folder}: was begun by an earlier hgcnas, which set other images of the folder aside "
                "for validation and test; delete it to train again, or name another one"
            )
        now, splits = self.check_data(), self.recipe.load()
        if DATA not in self._stored or (now.files and not self._files.exists()):
            self._stored = self._stored | {DATA: now.summary()}
            with writing(self.folder):
                replace_file(self._files, _to_json(now.document()))
                replace_file(self.folder / "recipe.json", _to_json(self._stored))
        return splits

    def load_test_images(self) -> ImageSet:
        """The test images, if the data have not changed.

        Raises:
            UserError: as `check_data`, or they cannot be read.
        """
        self.check_data()
        return load_test(self.recipe.data, resolution=self.recipe.resolution)

    def has(self, training: Training) -> bool:
        """Whether the training is finished."""
        return training.key in self._rows

    @property
    def fingerprints(self) -> set[str]:
        """Fingerprints of the networks with a finished training here."""
        return {key.partition("-")[0] for key in self._rows}

    def row(self, training: Training) -> dict[str, Any]:
        """The row of a finished training: seed, quality (by its metric), epochs, seconds, curve, code digest."""
        return dict(self._rows[training.key])

    def add(
        self, training: Training, curve: Sequence[float], seconds: float, **measured: Any
    ) -> None:
        """Stores a finished training.

        Args:
            curve: the quality after every epoch; empty if nothing is held out.
            measured: other values to store, as JSON can hold them.

        Raises:
            RunError: it cannot be written.
        """
        self._rows[training.key] = {
            "seed": training.seed,
            self.recipe.quality_metric: curve[-1] if curve else None,
            "epochs": self.recipe.proxy.epochs,
            "seconds": round(seconds, 3),
            "curve": list(curve),
            "code": code_digest(),
            **measured,
        }
        with writing(self._table):
            replace_file(self._table, _to_json(self._rows))

    def frame(self, trainings: Sequence[Training], task: Task) -> pd.DataFrame:
        """A row for each finished one of some trainings, in their order.

        The quality is in the column of the recipe's metric.
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
    """The cells of a network in a table."""
    cost = count(network, task)
    return {
        "architecture": str(network),
        "fingerprint": network.fingerprint,
        "flops": cost.flops,
        "num_params": cost.num_params,
    }


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder of trainings.

    Raises:
        RunError: another process trains there, or the folder cannot be written.
    """
    with writing(folder):
        make_folder(folder)
    with hold_lock(folder / "lock", lambda: "another process trains here; wait for it"):
        yield


def _to_json(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
