"""A study on a real Ray whose trainings are played by a function, and a loop that is watched."""

import itertools
import os
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial
from ray import tune

from hgcnet.architecture import Task
from search.optuna_space import OptunaSpace
from search.study.progress import Progress
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.training.checkpoints import Checkpoints
from search.workers.protocol import Proposal, Wait
from search.workers.ray_worker import EPOCH, FAILURE, QUALITY, SECONDS
from space.search_space import SearchSpace

Act = Callable[[int, int], float | str]  # (which training, epoch) -> val_accuracy or failure


def create_file(trials: int, **changes: Any) -> StudyFile:
    document = {
        "name": "study",
        "budget": {"trials": trials},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {
            "operator": "hgc",
            "stem_channels": {"choice": [8, 16]},
            "depth": {"low": 1, "high": 3, "per_stage": True},
            "groups": {"choice": [1, 2, 4], "per_stage": True},
            "growth": 4,
        },
        "objectives": ["val_accuracy", "flops"],
        "sampler": {"kind": "random"},
        "proxy": {"epochs": 1},
    }
    return parse_study_file(document | changes, source="study.toml")


class RecordedLoop(SearchLoop):
    """A loop that remembers what it gave out and how many trials ran at once."""

    def __init__(self, folder: Path, file: StudyFile, on_close: Callable[[], None] = lambda: None):
        task = Task(in_channels=1, num_classes=10, resolution=8)
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
        storage = open_writer(sqlite_url(folder), file.name)
        weakref.finalize(self, storage.close)
        self.writer = StudyWriter(storage, file, space)
        self.proposals: list[Proposal] = []
        self.most_running = 0
        self.on_close = on_close
        super().__init__(
            file, space, self.writer, {}, self.observe, checkpoints=Checkpoints(folder / "states")
        )

    def next(self) -> Proposal | Wait:
        proposal = super().next()
        if isinstance(proposal, Proposal):
            self.proposals.append(proposal)
        return proposal

    def observe(self, progress: Progress) -> None:
        self.most_running = max(self.most_running, progress.running)

    def close(self) -> None:
        self.on_close()
        super().close()

    @property
    def rows(self) -> list[FrozenTrial]:
        return self.writer.frozen_trials()

    @property
    def states(self) -> Counter[str]:
        return Counter(row.state.name for row in self.rows)


def create_trainable(folder: Path, act: Act, epochs: int = 1) -> Any:
    """A Trainable that trains nothing: `act` gives its accuracy or failure, raises, or kills it."""

    class Scripted(tune.Trainable):
        def setup(self, config):
            (folder / f"pid-{os.getpid()}").touch()
            self.reset_config(config)

        def reset_config(self, new_config):
            self._done = 0
            self._index = next(index for index in itertools.count() if claim(index))
            return True

        def step(self):
            self._done += 1
            outcome = act(self._index, self._done)
            if isinstance(outcome, str):
                return {FAILURE: outcome, tune.result.DONE: True}
            result = {EPOCH: self._done, QUALITY: outcome, SECONDS: 0.1}
            return result | {tune.result.DONE: self._done == epochs}

    def claim(index: int) -> bool:
        try:
            (folder / f"training-{index}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    return tune.with_resources(Scripted, {"cpu": 1})


def num_workers(folder: Path) -> int:
    return len(list(folder.glob("pid-*")))
