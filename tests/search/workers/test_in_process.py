"""Trainings without Ray, in this process: gone on with after Ctrl-C, and those that diverge."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hgcnet.architecture import Architecture, Stage
from hgcnet.errors import RunError
from search.data.data_config import DataConfig
from search.retraining.retraining_loop import RetrainingLoop, retrain
from search.retraining.training_folder import Training, TrainingFolder, repeated
from search.study_file.schema import Workers
from search.training.proxy_config import ProxyConfig
from search.training.recipe import Recipe
from search.workers.in_process import train_here
from tests.parts.made_up_table import FILE

RECIPE = Recipe(
    data=DataConfig(dataset="digits", resolution=8),
    proxy=ProxyConfig(epochs=3, batch_size=32, train_images=100, val_images=50),
)
NETWORK = Architecture(stem_channels=4, stages=(Stage(depth=1, growth=4, groups=2),))
WANTED = repeated({"one": NETWORK}, 2, seed=0)


class Interrupted(RetrainingLoop):
    """By Ctrl-C, when it has the first state of a training."""

    def on_checkpoint(self, number: int, state: bytes) -> None:
        super().on_checkpoint(number, state)
        raise KeyboardInterrupt


class Watched(RetrainingLoop):
    """Remembers which epochs were trained."""

    def __init__(self, wanted: Sequence[Training], trainings: TrainingFolder) -> None:
        super().__init__(wanted, trainings)
        self.trained: list[tuple[int, int]] = []

    def on_epoch(self, number: int, epoch: int, accuracy: float, seconds: float) -> bool:
        self.trained.append((number, epoch))
        return super().on_epoch(number, epoch, accuracy, seconds)


@pytest.mark.long
def test_what_ctrl_c_cut_short_goes_on_from_its_last_state_to_the_same_curve(
    tmp_path: Path,
) -> None:
    cut, whole = (TrainingFolder(tmp_path / name, RECIPE) for name in ("cut", "whole"))
    served = (RECIPE.load(), RECIPE.proxy, Workers(checkpoint_minutes=1e-9))
    with pytest.raises(KeyboardInterrupt):
        train_here(Interrupted(WANTED, cut), *served)
    assert not cut.fingerprints

    goes_on = Watched(WANTED, cut)
    train_here(goes_on, *served)
    assert goes_on.trained == [(0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert goes_on.is_complete
    train_here(RetrainingLoop(WANTED, whole), *served)
    curves = [[folder.row(training)["curve"] for training in WANTED] for folder in (cut, whole)]
    assert curves[0] == curves[1]


def test_trainings_that_all_diverge_are_an_error_with_the_first_reason(tmp_path: Path) -> None:
    recipe = replace(RECIPE, proxy=replace(RECIPE.proxy, learning_rate=1e30))
    trainings, said = TrainingFolder(tmp_path / "trainings", recipe), list[str]()
    with pytest.raises(RunError, match=r"^all trainings failed; one, seed 0: Diverged: the "):
        retrain(
            WANTED,
            trainings,
            FILE,
            without_ray=True,
            observe=lambda progress: said.append(progress.message),
        )
    assert [line.partition(" failed: ")[0] for line in said] == ["one, seed 0", "one, seed 1"]
    assert not trainings.fingerprints
