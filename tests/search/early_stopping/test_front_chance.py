"""What the belief stops, on a made-up truth that its model can learn."""

import numpy as np
import pytest
from optuna.storages import InMemoryStorage

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.early_stopping.front_chance import LEAST_FINISHED, FrontChance
from search.optuna_space import OptunaSpace
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from space.search_space import SearchSpace

TASK = Task(in_channels=1, num_classes=10, resolution=8)
EPOCHS = 4
FILE = parse_study_file(
    {
        "name": "tiny",
        "budget": {"trials": 40},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {
            "stem_channels": 8,
            "bottleneck": {"choice": [1, 2]},
            "depth": {"low": 1, "high": 4, "per_stage": True},
            "groups": {"choice": [1, 2, 4], "per_stage": True},
            "growth": {"base": 8, "schedule": "linear"},
        },
        "objectives": ["val_accuracy", "flops"],
        "sampler": {"kind": "random"},
        "proxy": {"epochs": EPOCHS},
    },
    "tiny.toml",
)
SPACE = OptunaSpace(SearchSpace(FILE.parameters, FILE.limits, TASK))


def curve_of(network: Architecture, noise: np.random.Generator) -> list[float]:
    """Rises with the cost, and with depth in the last stage rather than in the first."""
    cost = np.log(count(network, TASK).flops / 1e4)
    end = 0.4 + 0.05 * cost + 0.04 * (network.stages[2].depth - network.stages[0].depth)
    share = np.array([0.5, 0.7, 0.9, 1.0])
    return [float(value) for value in end * share + noise.normal(0, 0.003, EPOCHS)]


@pytest.fixture(scope="module")
def writer() -> StudyWriter:
    """A study in which 30 networks have finished."""
    writer, rng = StudyWriter(InMemoryStorage(), FILE, SPACE), np.random.default_rng(0)
    for _ in range(30):
        proposal = writer.ask()
        assert proposal is not None
        writer.tell_finished(proposal, curve_of(proposal.architecture, rng), 1.0)
    return writer


def network(first: int, middle: int, last: int) -> Architecture:
    drawn = SPACE.space.cheapest()
    stages = [
        type(stage)(depth=depth, growth=stage.growth, groups=2, se="none")
        for stage, depth in zip(drawn.stages, (first, middle, last), strict=True)
    ]
    return type(drawn)(
        stem_channels=8, bottleneck=2, compression=drawn.compression, stages=tuple(stages)
    )


def test_it_stops_what_is_beaten_at_no_more_cost_and_nothing_else(writer: StudyWriter) -> None:
    rule, rng = FrontChance(SPACE, ["flops"], EPOCHS), np.random.default_rng(1)
    bad, good = network(4, 2, 1), network(1, 2, 4)
    assert not rule.goes_on(writer.frozen_trials(), bad, curve_of(bad, rng)[:2], 0)
    assert rule.goes_on(writer.frozen_trials(), good, curve_of(good, rng)[:2], 0)


def test_the_less_is_left_to_train_the_smaller_a_chance_is_enough(writer: StudyWriter) -> None:
    good = network(1, 2, 4)
    curve = np.array(curve_of(good, np.random.default_rng(1))[:2])

    def going(epochs: int) -> int:
        """Of worse and worse curves, how many go on."""
        rule = FrontChance(SPACE, ["flops"], epochs)
        return sum(
            rule.goes_on(writer.frozen_trials(), good, list(curve - loss), 0)
            for loss in np.linspace(0.03, 0.07, 11)
        )

    much_left, little_left = going(40), going(3)
    assert 0 < much_left < little_left < 11


def test_the_more_is_to_come_the_better_it_has_to_be(writer: StudyWriter) -> None:
    good = network(1, 2, 4)
    curve = np.array(curve_of(good, np.random.default_rng(1))[:2])
    rule = FrontChance(SPACE, ["flops"], EPOCHS)

    def going(to_come: int) -> int:
        """Of worse and worse curves, how many go on."""
        return sum(
            rule.goes_on(writer.frozen_trials(), good, list(curve - loss), to_come)
            for loss in np.linspace(-0.02, 0.1, 13)
        )

    assert 0 < going(1000) < going(0) < 13


def test_a_network_cheaper_than_all_others_goes_on_however_badly_it_trains(
    writer: StudyWriter,
) -> None:
    finished = [int(trial.user_attrs["flops"]) for trial in writer.frozen_trials()]
    cheapest = SPACE.space.cheapest()
    if count(cheapest, TASK).flops >= min(finished):
        pytest.fail("the draws of this seed hold the cheapest network; take another seed")
    assert FrontChance(SPACE, ["flops"], EPOCHS).goes_on(
        writer.frozen_trials(), cheapest, [0.01, 0.01], 0
    )


def test_nothing_stops_before_there_is_something_to_learn_from(writer: StudyWriter) -> None:
    bad = network(4, 2, 1)
    few = writer.frozen_trials()[: LEAST_FINISHED - 1]
    assert FrontChance(SPACE, ["flops"], EPOCHS).goes_on(few, bad, [0.01], 0)


def test_a_network_is_beaten_only_by_one_that_costs_no_more_in_any_objective(
    writer: StudyWriter,
) -> None:
    """Of several costs the finished networks that are cheaper in one alone do not count."""
    space, trials = SPACE.space, writer.frozen_trials()
    both = [
        (int(trial.user_attrs["flops"]), int(trial.user_attrs["num_params"])) for trial in trials
    ]
    for point in space.draw_points(np.random.default_rng(2), 2000):
        candidate = space.architecture_at(point)
        cost = count(candidate, TASK)
        by_flops = any(flops <= cost.flops for flops, _ in both)
        by_both = any(f <= cost.flops and p <= cost.num_params for f, p in both)
        if by_flops and not by_both:
            break
    else:
        pytest.fail("no network is cheaper in one count alone; take another seed")
    assert FrontChance(SPACE, ["flops", "num_params"], EPOCHS).goes_on(
        trials, candidate, [0.01, 0.01], 0
    )
