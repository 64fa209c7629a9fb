"""The epochs of one training, and the states that come with them."""

from functools import partial

import pytest
import torch

from hgcnet.architecture import Architecture, Stage
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_splits
from search.training.checkpoints import read_progress
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.training.steps import Step, TrainingSteps

NETWORK = Architecture(stem_channels=8, stages=(Stage(depth=1, growth=4, groups=2),))
HOURS = 600.0  # minutes: no state is due in a test


@pytest.fixture(scope="module")
def splits() -> Splits:
    config = DataConfig(dataset="digits", resolution=8)
    return load_splits(config, resolution=8, train_images=100, val_images=50)


def begin(
    splits: Splits,
    state: bytes | None = None,
    *,
    minutes: float = HOURS,
    keep_last: bool = False,
    network: Architecture = NETWORK,
) -> TrainingSteps:
    proxy, cpu = ProxyConfig(epochs=3, batch_size=64), torch.device("cpu")
    create = partial(ProxyTraining, network, splits, proxy, seed=7, device=cpu)
    return TrainingSteps(create, state, minutes=minutes, keep_last=keep_last)


def curve(steps: list[Step]) -> list[float]:
    return [step.result.val_accuracy for step in steps]


@pytest.mark.parametrize(
    ("minutes", "keep_last", "expected"),
    [
        (HOURS, False, [False, False, False]),
        (HOURS, True, [False, False, True]),
        (0, False, [True, True, False]),
        (0, True, [True, True, True]),
    ],
)
def test_a_state_comes_when_it_is_due_and_after_the_last_epoch_where_it_is_wanted(
    splits: Splits, minutes: float, keep_last: bool, expected: list[bool]
) -> None:
    steps = list(begin(splits, minutes=minutes, keep_last=keep_last))

    assert [step.state is not None for step in steps] == expected
    assert [step.is_last for step in steps] == [False, False, True]
    assert [step.result.epoch for step in steps] == [1, 2, 3]
    for number, step in enumerate(steps, start=1):
        if step.state is not None:
            assert read_progress(step.state)[0] == curve(steps)[:number]


def test_the_epochs_that_are_left_are_those_of_the_whole_training(splits: Splits) -> None:
    whole = list(begin(splits, minutes=0))

    rest = list(begin(splits, whole[0].state))

    assert [step.result.epoch for step in rest] == [2, 3]
    assert curve(rest) == curve(whole)[1:]


def test_a_state_of_a_finished_training_leaves_no_epoch(splits: Splits) -> None:
    last = list(begin(splits, keep_last=True))[-1]

    continued = begin(splits, last.state)

    assert continued.training.is_over
    assert list(continued) == []
    with pytest.raises(RuntimeError, match="all 3 epochs"):
        continued.run_epoch()


def test_a_state_that_is_damaged_or_of_another_network_costs_only_its_epochs(
    splits: Splits,
) -> None:
    other = Architecture(stem_channels=8, stages=(Stage(depth=2, growth=4, groups=2),))
    foreign = begin(splits, minutes=0, network=other).run_epoch().state
    expected = curve(list(begin(splits)))

    for state in (b"no state", foreign):
        assert curve(list(begin(splits, state))) == expected
