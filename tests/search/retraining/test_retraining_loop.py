import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.errors import RunError
from search.data.data_config import DataConfig
from search.retraining.retraining_loop import RetrainingLoop
from search.retraining.training_folder import TrainingFolder, locked_folder, repeated
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.training.recipe import Recipe, with_options
from search.workers.protocol import Proposal, Retry, Wait

EPOCHS = 3
RECIPE = Recipe(
    data=DataConfig(dataset="digits", resolution=8),
    proxy=ProxyConfig(epochs=EPOCHS, train_images=100),
)


def network(growth: int) -> Architecture:
    return Architecture(
        stem_channels=4, stages=tuple(Stage(depth=1, growth=growth, groups=2) for _ in range(3))
    )


NETWORKS = {"small": network(4), "large": network(8)}
WANTED = repeated(NETWORKS, 2, seed=0)


@pytest.fixture
def open_trainings(tmp_path: Path) -> Callable[[], TrainingFolder]:
    return lambda: TrainingFolder(tmp_path / "trainings", RECIPE)


def take(loop: RetrainingLoop) -> Proposal:
    proposal = loop.next()
    assert isinstance(proposal, Proposal)
    return proposal


def finish(loop: RetrainingLoop, proposal: Proposal) -> None:
    for epoch in range(1, EPOCHS + 1):
        goes_on = loop.on_epoch(proposal.number, epoch, epoch / 10 + proposal.number / 100, 1.0)
        assert goes_on == (epoch < EPOCHS)
    loop.on_end(proposal.number)


def test_networks_share_their_seeds_which_more_repetitions_leave_as_they_are() -> None:
    seeds = {name: [t.seed for t in WANTED if t.name == name] for name in NETWORKS}
    assert seeds["small"] == seeds["large"]
    assert len(set(seeds["small"])) == 2
    assert [t.seed for t in repeated(NETWORKS, 5, seed=0)[: len(WANTED)]] == [
        t.seed for t in WANTED
    ]
    assert repeated(NETWORKS, 1, seed=1)[0].seed not in seeds["small"]


def test_every_training_is_given_out_once_and_kept(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    said: list[str] = []
    loop = RetrainingLoop(WANTED, open_trainings(), lambda progress: said.append(progress.message))
    for _ in WANTED:
        finish(loop, take(loop))
    assert loop.next() is Wait.DONE
    assert not loop.has_work
    assert said[0] == "small, seed 0: 0.3000"
    frame = open_trainings().frame(WANTED, Task(in_channels=1, resolution=8))
    assert frame["name"].tolist() == ["small", "large", "small", "large"]
    assert frame["val_accuracy"].tolist() == pytest.approx([0.3, 0.31, 0.32, 0.33])
    assert frame["curve"][0] == pytest.approx([0.1, 0.2, 0.3])
    assert (frame["seconds"] == EPOCHS).all()


def test_the_next_process_trains_only_what_is_missing(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    loop = RetrainingLoop(WANTED, open_trainings())
    finish(loop, take(loop))
    take(loop)  # and its process dies
    again = RetrainingLoop(WANTED, open_trainings())
    names = []
    while isinstance(proposal := again.next(), Proposal):
        names.append((proposal.origin, proposal.seed))
        finish(again, proposal)
    assert names == [(t.name, t.seed) for t in WANTED[1:]]
    assert not RetrainingLoop(WANTED, open_trainings()).has_work


def test_a_training_whose_process_died_after_its_last_state_is_not_trained_again(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    torch.set_num_threads(1)
    training = ProxyTraining(
        WANTED[0].architecture, RECIPE.load(), RECIPE.proxy, seed=0, device=torch.device("cpu")
    )
    accuracies = [training.run_epoch().val_accuracy for _ in range(EPOCHS)]
    loop = RetrainingLoop(WANTED[:1], open_trainings(), keep_states=True)
    loop.on_checkpoint(take(loop).number, training.save_state())  # and its process dies
    again = RetrainingLoop(WANTED[:1], open_trainings(), keep_states=True)
    assert again.next() is Wait.DONE
    assert open_trainings().row(WANTED[0])["curve"] == pytest.approx(accuracies, abs=1e-6)
    assert open_trainings().states.load(WANTED[0].key) is not None
    assert not again.has_work


def test_a_half_done_training_goes_on_from_its_checkpoint(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    torch.set_num_threads(1)
    training = ProxyTraining(
        WANTED[0].architecture, RECIPE.load(), RECIPE.proxy, seed=0, device=torch.device("cpu")
    )
    first = training.run_epoch()
    loop = RetrainingLoop(WANTED[:1], open_trainings())
    loop.on_checkpoint(take(loop).number, training.save_state())
    again = RetrainingLoop(WANTED[:1], open_trainings())
    proposal = take(again)
    assert proposal.checkpoint is not None
    for epoch in (2, 3):
        again.on_epoch(proposal.number, epoch, 0.9, 1.0)
    again.on_end(proposal.number)
    row = open_trainings().row(WANTED[0])
    assert row["curve"] == pytest.approx([first.val_accuracy, 0.9, 0.9], abs=1e-6)
    assert open_trainings().states.load(WANTED[0].key) is None


def test_a_stop_leaves_what_runs_to_the_next_process(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    loop = RetrainingLoop(WANTED[:1], open_trainings())
    take(loop)
    loop.request_stop("stopped on request")
    assert loop.next() is Wait.FOR_RUNNING
    loop.close()
    assert loop.has_work
    assert RetrainingLoop(WANTED[:1], open_trainings()).has_work


def test_a_training_that_gets_further_with_every_death_is_not_given_up(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    loop = RetrainingLoop(WANTED[:1], open_trainings())
    for epochs in (0, 0, 1, 1, 2, 2, 2):
        if epochs:
            buffer = io.BytesIO()
            torch.save({"curve": [0.1] * epochs, "seconds": 1.0}, buffer)
            loop.on_checkpoint(0, buffer.getvalue())
        loop.on_failure(take(loop).number, "its worker died", Retry.SOON)
        assert loop.has_work
    loop.on_failure(take(loop).number, "its worker died", Retry.SOON)
    assert loop.failures == {"small, seed 0": "its worker died"}


def test_a_training_that_dies_comes_again_twice_and_alone_last(
    open_trainings: Callable[[], TrainingFolder],
) -> None:
    loop = RetrainingLoop(WANTED, open_trainings())
    first = take(loop)
    loop.on_failure(first.number, "its worker died", Retry.SOON)
    assert take(loop) == first
    loop.on_failure(first.number, "out of memory", Retry.ALONE)
    for _ in WANTED[1:]:
        finish(loop, take(loop))
    assert take(loop) == replace(first, alone=True)
    loop.on_failure(first.number, "its worker died", Retry.SOON)
    assert loop.next() is Wait.DONE
    assert loop.failures == {"small, seed 0": "its worker died"}
    assert RetrainingLoop(WANTED, open_trainings()).has_work


def test_trainings_by_another_recipe_are_not_mixed_in(
    open_trainings: Callable[[], TrainingFolder], tmp_path: Path
) -> None:
    open_trainings()
    with pytest.raises(RunError, match=r"have proxy\.batch_size = 128, not 64"):
        TrainingFolder(tmp_path / "trainings", with_options(RECIPE, batch_size=64))


def test_two_spellings_of_a_recipe_are_one() -> None:
    assert with_options(RECIPE, resolution=8) == with_options(RECIPE)
    assert with_options(RECIPE, epochs=None, resolution=None) == with_options(RECIPE)


def test_a_folder_that_is_in_use_or_damaged_is_named(
    open_trainings: Callable[[], TrainingFolder], tmp_path: Path
) -> None:
    folder = open_trainings().folder
    with (
        locked_folder(folder),
        pytest.raises(RunError, match="another process trains here"),
        locked_folder(folder),
    ):
        pass
    for damaged in ("{", "[]"):
        (folder / "trainings.json").write_text(damaged)
        with pytest.raises(RunError, match="is damaged"):
            open_trainings()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        TrainingFolder(tmp_path / "file" / "trainings", RECIPE)
