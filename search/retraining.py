"""Trainings of given networks, each with several seeds: run by workers, kept in a folder, gone on with.

FOLDER/recipe.json      what all of its trainings share
FOLDER/trainings.json   every finished one, with its curve
FOLDER/states/          half-done trainings and, where they are wanted, trained networks
"""

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from hgcnet.errors import RunError
from hgcnet.files import replace_file
from hgcnet.presets import PAPER_TEST_ERROR
from search.checkpoints import Checkpoints
from search.loop import Wait
from search.proxy.config import ProxyConfig
from search.proxy.data import DataConfig, Splits, load_splits
from search.study import MAX_REPEATS, Again, Proposal
from search.study_file import Workers, first_difference


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What all trainings of a folder share."""

    data: DataConfig
    proxy: ProxyConfig
    hold_out: bool = True  # whether the validation part is kept out of the training

    def load(self) -> Splits:
        """The images that are trained and validated on.

        Raises:
            DataError: as `load_splits`.
        """
        return load_splits(
            self.data,
            resolution=self.resolution,
            train_images=self.proxy.train_images,
            val_images=self.proxy.val_images,
            hold_out=self.hold_out,
        )

    @property
    def resolution(self) -> int:
        """Of the images that are trained on, in pixels."""
        return self.proxy.resolution or self.data.resolution

    @property
    def name(self) -> str:
        """A folder's name, from what people vary."""
        images = self.proxy.train_images or "all"
        return f"{self.proxy.epochs}-epochs-{self.resolution}px-{images}-images"

    @property
    def text(self) -> str:
        """The same for reading."""
        images = f"{self.proxy.train_images or 'all'} images"
        return f"{self.proxy.epochs} epochs on {images} of {self.resolution} px"

    @property
    def is_the_papers(self) -> bool:
        """Whether it is the recipe of Xie, Zhou, Kung 2019, but for what is held out of the training."""
        proxy = self.proxy
        return (
            self.data.dataset in PAPER_TEST_ERROR
            and self.data.mirror is not False
            and (self.data.resolution, self.resolution) == (32, 32)
            and proxy.train_images is None
            and (proxy.epochs, proxy.batch_size) == (300, 128)
            and (proxy.learning_rate, proxy.weight_decay) == (0.1, 1e-4)
        )

    def document(self) -> dict[str, Any]:
        """Every setting, as JSON has it; `from_document` reads it back."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Recipe":
        """The recipe that a document stands for."""
        return cls(
            data=DataConfig(**document["data"]),
            proxy=ProxyConfig(**document["proxy"]),
            hold_out=document["hold_out"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingProgress:
    """The trainings of a folder at one moment."""

    done: int
    wanted: int
    seconds_left: float  # NaN while none ended since this process began
    message: str


def repeated(
    networks: Mapping[str, Architecture], repetitions: int, seed: int
) -> tuple[Training, ...]:
    """The same fresh seeds for every network, so that networks can be compared in pairs.

    No study trains with them: its seeds come from the networks' fingerprints.
    """
    seeds = np.random.SeedSequence([seed, 0x5EED]).generate_state(repetitions, np.uint64)
    return tuple(
        Training(name=name, architecture=network, repetition=k, seed=int(seeds[k] >> 1))
        for k in range(repetitions)
        for name, network in networks.items()
    )


class Trainings:
    """The folder of one recipe's trainings.

    Raises:
        RunError: it cannot be written, or holds trainings by another recipe.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self.states = Checkpoints(folder / "states")
        self._rows: dict[str, dict[str, Any]] = {}
        path = folder / "recipe.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                replace_file(path, _to_json(recipe.document()))
            stored = json.loads(path.read_bytes())
            if self._table.exists():
                self._rows = json.loads(self._table.read_bytes())
            if not (isinstance(stored, dict) and isinstance(self._rows, dict)):
                raise ValueError("it holds something else")
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror}") from error
        except ValueError as error:
            raise RunError(f"{folder}: is damaged, delete it: {error}") from error
        given = json.loads(_to_json(recipe.document()))
        if (difference := first_difference(stored, given)) is not None:
            key, old, new = difference
            raise RunError(
                f"{folder}: was made with {key} = {old!r}, not {new!r}; delete it, or train as before"
            )

    @property
    def _table(self) -> Path:
        return self.folder / "trainings.json"

    def has(self, training: Training) -> bool:
        """Whether it is finished."""
        return training.key in self._rows

    @property
    def fingerprints(self) -> set[str]:
        """Of the networks that have a finished training here."""
        return {key.partition("-")[0] for key in self._rows}

    def row(self, training: Training) -> dict[str, Any]:
        """What is kept of a finished training: seed, val_accuracy, epochs, seconds, curve."""
        return dict(self._rows[training.key])

    def add(
        self, training: Training, curve: Sequence[float], seconds: float, **measured: Any
    ) -> None:
        """Keeps a finished training.

        Args:
            curve: val_accuracy of every epoch; empty where nothing is held out.
            measured: whatever else is to be kept, as JSON can hold it.

        Raises:
            RunError: it cannot be written.
        """
        self._rows[training.key] = {
            "seed": training.seed,
            "val_accuracy": curve[-1] if curve else None,
            "epochs": self.recipe.proxy.epochs,
            "seconds": round(seconds, 3),
            "curve": list(curve),
            **measured,
        }
        try:
            replace_file(self._table, _to_json(self._rows))
        except OSError as error:
            raise RunError(f"{self._table}: cannot be written: {error.strerror}") from error

    def frame(self, trainings: Sequence[Training], task: Task) -> pd.DataFrame:
        """The finished ones among some trainings, a row each, in their order."""
        rows = []
        for training in filter(self.has, trainings):
            cost = count(training.architecture, task)
            rows.append(
                {
                    "name": training.name,
                    "architecture": str(training.architecture),
                    "fingerprint": training.architecture.fingerprint,
                    "flops": cost.flops,
                    "num_params": cost.num_params,
                    "repetition": training.repetition,
                    **self.row(training),
                }
            )
        columns = ("name", "architecture", "fingerprint", "flops", "num_params", "repetition")
        measured = ("seed", "val_accuracy", "epochs", "seconds", "curve")
        return pd.DataFrame(rows, columns=[*columns, *measured])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps every other process out of a folder of trainings.

    Raises:
        RunError: another one is there, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"{folder}: another process trains here") from None
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


class RetrainingLoop:
    """Gives out what is not trained yet. What a dead process left half done goes on where it was."""

    def __init__(
        self,
        wanted: Sequence[Training],
        trainings: Trainings,
        observe: Callable[[RetrainingProgress], None] = lambda progress: None,
        *,
        keep_states: bool = False,
    ) -> None:
        self._wanted = wanted
        self._trainings = trainings
        self._observe = observe
        self._keep_states = keep_states
        self._epochs = trainings.recipe.proxy.epochs
        self._waiting = deque(n for n, training in enumerate(wanted) if not self._is_done(training))
        self._alone: deque[int] = deque()  # last of all: then nothing waits for their sake
        self._running: dict[int, tuple[list[float], float]] = {}  # their curves and seconds
        self._deaths: Counter[int] = Counter()
        self._done_before = len(wanted) - len(self._waiting)
        self._begin = time.monotonic()
        self._stop_requested = False
        self.failures: dict[str, str] = {}  # of trainings, in words -> the reason

    @property
    def has_work(self) -> bool:
        """Whether anything is left to train."""
        return bool(self._waiting or self._alone or self._running)

    def next(self) -> Proposal | Wait:
        """What to train next."""
        queue = self._waiting or self._alone
        if self._stop_requested or not queue:
            return Wait.FOR_RUNNING if self._running else Wait.DONE
        alone = queue is self._alone
        number = queue.popleft()
        training = self._wanted[number]
        checkpoint = self._trainings.states.load(training.key)
        curve = list(checkpoint.curve) if checkpoint else []
        self._running[number] = (curve, checkpoint.seconds if checkpoint else 0.0)
        return Proposal(
            number=number,
            architecture=training.architecture,
            fingerprint=training.architecture.fingerprint,
            seed=training.seed,
            origin=training.name,
            alone=alone,
            checkpoint=checkpoint.state if checkpoint else None,
        )

    def on_epoch(self, number: int, epoch: int, accuracy: float, seconds: float) -> bool:
        """Takes the result of one epoch; every training goes on to its end."""
        curve, before = self._running[number]
        del curve[epoch - 1 :]  # of a checkpoint that the worker could not use
        curve.append(round(accuracy, 6))
        self._running[number] = (curve, before + seconds)
        return epoch < self._epochs

    def on_checkpoint(self, number: int, state: bytes) -> None:
        """Keeps the state of a training."""
        self._trainings.states.save(self._wanted[number].key, state)

    def on_end(self, number: int) -> None:
        """The training is over."""
        curve, seconds = self._running.pop(number)
        training = self._wanted[number]
        if len(curve) < self._epochs:  # stopped; it goes on the next time
            return
        self._trainings.add(training, curve, seconds)
        if not self._keep_states:
            self._trainings.states.drop(training.key)
        self._changed(f"{_words(training)}: {curve[-1]:.4f}")

    def on_failure(self, number: int, reason: str, again: Again = Again.NO) -> None:
        """The training failed: it is repeated where that may help, else left to the next process."""
        self._running.pop(number)
        training = self._wanted[number]
        self._deaths[number] += 1
        if again is Again.NO or self._deaths[number] > MAX_REPEATS:
            self.failures[_words(training)] = reason
            self._changed(f"{_words(training)} failed: {reason}")
        elif again is Again.ALONE:
            self._alone.append(number)
        else:
            self._waiting.appendleft(number)

    def request_stop(self) -> None:
        """Nothing more is started."""
        self._stop_requested = True

    @property
    def stop_requested(self) -> bool:
        """Whether the running trainings are to be given up."""
        return self._stop_requested

    def close(self) -> None:
        """What still runs is given up; its last checkpoint stays."""
        self._waiting.extend(self._running)
        self._running.clear()

    def _is_done(self, training: Training) -> bool:
        is_kept = not self._keep_states or self._trainings.states.load(training.key) is not None
        return self._trainings.has(training) and is_kept

    def _changed(self, message: str) -> None:
        left = len(self._waiting) + len(self._alone) + len(self._running)
        done = len(self._wanted) - left - len(self.failures)
        since = done - self._done_before
        per_training = (time.monotonic() - self._begin) / since if since else float("nan")
        self._observe(
            RetrainingProgress(
                done=done,
                wanted=len(self._wanted),
                seconds_left=per_training * left,
                message=message,
            )
        )


def retrain(
    wanted: Sequence[Training],
    trainings: Trainings,
    workers: Workers,
    source: str,
    *,
    ray_address: str | None = None,
    without_ray: bool = False,
    observe: Callable[[RetrainingProgress], None] = lambda progress: None,
    keep_states: bool = False,
) -> bool:
    """Trains what is not trained yet; whether everything is trained now.

    Call it under `locked`. What fails is left to the next call.

    Args:
        source: the study file, for messages.
        without_ray: trains in this process, one network after another.
        keep_states: keeps the trained networks, too.

    Raises:
        UserError: the data or the workers are not to be had, or all that was left failed.
    """
    # Ray takes seconds to load; those who only read what was trained need none of it.
    loop = RetrainingLoop(wanted, trainings, observe, keep_states=keep_states)
    if not loop.has_work:
        return True
    recipe = trainings.recipe
    if without_ray:
        from search.in_process import train_here

        train_here(loop, recipe.load(), recipe.proxy, workers, keep_states=keep_states)
    else:
        from search.cluster import check_resources, joined_ray
        from search.tuning import run_trials

        with joined_ray(ray_address) as resources:
            check_resources(resources, workers, source)
            run_trials(loop, recipe.load(), recipe.proxy, workers, keep_states=keep_states)
    if loop.failures and not any(map(trainings.has, wanted)):
        words, reason = next(iter(loop.failures.items()))
        raise RunError(f"all trainings failed; {words}: {reason}")
    return not loop.has_work and not loop.failures


def with_options(recipe: Recipe, **given: int | None) -> Recipe:
    """The recipe with the settings of its proxy that are given and not None."""
    changes: dict[str, Any] = {
        "resolution": recipe.resolution
    }  # said: two spellings are one recipe
    changes |= {key: value for key, value in given.items() if value is not None}
    return replace(recipe, proxy=replace(recipe.proxy, **changes))


def _words(training: Training) -> str:
    return f"{training.name}, seed {training.repetition}"


def _to_json(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
