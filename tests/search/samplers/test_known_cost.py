"""The parts of the sampler that knows the cost, each against what it should be; and the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.estimation.features import Scaling, features_of
from search.estimation.gaussian_process import AccuracyModel
from search.optuna_space import OptunaSpace
from search.pareto import HypervolumeBounds, normalised_hypervolume
from search.samplers.ehvi import expected_improvement, normalised_cost
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from space.parameters import Choice, Growth, Parameters, Range
from space.search_space import Limits, SearchSpace

TASK = Task(in_channels=1, num_classes=10, resolution=8)
SPACE = SearchSpace(
    Parameters(
        stem_channels=Choice(choice=(8, 16)),
        bottleneck=Choice(choice=(1, 2, 4)),
        depth=Range(low=1, high=3, per_stage=True),
        groups=Choice(choice=(1, 2, 4), per_stage=True),
        growth=Growth(base=Range(low=4, high=12, step=4), schedule="linear"),
        se=Choice(choice=("none", "all")),
    ),
    Limits(flops=400e3),
    TASK,
)
BOUNDS = HypervolumeBounds(flops_low=1e4, flops_high=1e6, reference_accuracy=0.2)


def accuracy_of(architecture: Architecture) -> float:
    """Mostly the cost; depth at the end and few groups help a little."""
    cost = np.log(count(architecture, TASK).flops / 1e4) / 4
    last, groups = architecture.stages[-1].depth, architecture.stages[0].groups
    return float(0.3 + 0.4 * cost + 0.02 * last - 0.01 * np.log2(groups))


unit = st.floats(0, 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(unit, unit), max_size=6), st.floats(0, 0.99), unit, st.floats(0.01, 0.3))
def test_the_expected_improvement_is_the_mean_of_what_samples_improve(
    front: list[tuple[float, float]], cost: float, mean: float, std: float
) -> None:
    """By quadrature over the accuracy, with the hypervolume of `search.pareto`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    costs = np.array([point[0] for point in front])
    levels = 0.2 + 0.8 * np.array([point[1] for point in front])

    def flops(at: np.ndarray) -> np.ndarray:
        return 1e4 * 100.0**at

    def volume(accuracy: np.ndarray, at: np.ndarray) -> float:
        return normalised_hypervolume(accuracy, flops(at), BOUNDS)

    before = volume(levels, costs)
    # Nothing counts beyond an accuracy of 1 there, and here everything does.
    mean = 0.2 + 0.3 * mean
    samples = np.minimum(mean + 0.1 * std * nodes, 1.0)
    improved = [volume(np.append(levels, y), np.append(costs, cost)) - before for y in samples]
    ours = expected_improvement(
        *(np.array([value]) for value in (mean, 0.1 * std, cost)), costs, levels, 0.2
    )
    # The axis of accuracy is in units of 1 - 0.2 there.
    assert ours[0] / 0.8 == pytest.approx(float(weights @ improved), abs=2e-3)


def test_costs_are_those_of_the_hypervolume() -> None:
    assert normalised_cost(np.array([1e3, 1e4, 1e5, 1e6, 1e7]), BOUNDS) == pytest.approx(
        [0, 0, 0.5, 1, 1.5]
    )


def test_features_tell_every_two_networks_apart_and_end_with_the_counts() -> None:
    points = SPACE.draw_points(np.random.default_rng(0), 300)
    features = features_of(SPACE, points)
    assert len(np.unique(features, axis=0)) == len(points)
    counts = [count(SPACE.architecture_at(point), TASK) for point in points]
    assert features[:, -2] == pytest.approx(np.log([cost.flops for cost in counts]))
    assert features[:, -1] == pytest.approx(np.log([cost.num_params for cost in counts]))


def learnt(number: int, noise: float = 0.0) -> tuple[AccuracyModel, np.ndarray, np.ndarray]:
    """A model of some networks, and other networks with their true accuracies."""
    rng = np.random.default_rng(0)
    points = SPACE.draw_points(rng, number + 200)
    accuracy = np.array([accuracy_of(SPACE.architecture_at(point)) for point in points])
    features = features_of(SPACE, points)
    model = AccuracyModel(Scaling.of(features), rng)
    seen = accuracy[:number] + rng.normal(0, noise, number)
    model.learn(features[:number], seen, features[:0])
    return model, features[number:], accuracy[number:]


def test_the_model_learns_from_few_networks_and_knows_how_well() -> None:
    model, others, accuracy = learnt(60)
    mean, std = model.predict(others)
    error = np.abs(mean - accuracy)
    assert error.mean() < 0.1 * accuracy.std()
    assert np.mean(error < 3 * std + 1e-3) > 0.9


def test_the_model_tells_noise_from_what_networks_do() -> None:
    model, others, accuracy = learnt(100, noise=0.03)
    mean, std = model.predict(others)
    assert np.sqrt(np.mean((mean - accuracy) ** 2)) < 0.02
    assert std.mean() < 0.02


def test_what_networks_may_reach_together_is_drawn_as_it_is_predicted_of_each() -> None:
    model, others, _ = learnt(30, noise=0.03)
    networks = np.concatenate([others[:8], others[:1]])
    mean, std = model.predict(networks)
    drawn = model.draw(networks, 4000, np.random.default_rng(0))
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.1 * std.max())
    assert drawn.std(axis=0) == pytest.approx(std, rel=0.1)
    assert drawn[:, 8] == pytest.approx(drawn[:, 0], abs=0.01 * std[0])  # the same network


@pytest.mark.parametrize("has_learnt", [False, True])
def test_smoothing_takes_noise_away_also_before_anything_was_learnt(has_learnt: bool) -> None:
    rng = np.random.default_rng(0)
    points = SPACE.draw_points(rng, 80)
    accuracy = np.array([accuracy_of(SPACE.architecture_at(point)) for point in points])
    features, seen = features_of(SPACE, points), accuracy + rng.normal(0, 0.03, 80)
    model = AccuracyModel(Scaling.of(features), rng)
    if has_learnt:
        model.learn(features, seen, features[:0])
    smooth = model.smooth(features, seen)
    assert np.std(smooth - accuracy) < 0.7 * np.std(seen - accuracy)


def test_what_is_being_trained_leaves_less_to_learn_near_it() -> None:
    rng = np.random.default_rng(0)
    points = SPACE.draw_points(rng, 30)
    features = features_of(SPACE, points)
    accuracy = np.array([accuracy_of(SPACE.architecture_at(point)) for point in points])
    model = AccuracyModel(Scaling.of(features), rng)
    model.learn(features[:20], accuracy[:20], features[:0])
    mean, std = model.predict(features[20:])
    model.learn(features[:20], accuracy[:20], features[20:])
    estimated, left = model.predict(features[20:])
    assert estimated == pytest.approx(mean, abs=1e-3)
    assert (left < std).all()


def test_what_is_foretold_counts_for_less_than_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    points = SPACE.draw_points(rng, 41)
    features = features_of(SPACE, points)
    accuracy = np.array([accuracy_of(SPACE.architecture_at(point)) for point in points])
    accuracy[40] += 0.1  # unlike its neighbours
    shifts = []
    for deviation in (0.0, 0.05, 10.0):
        model = AccuracyModel(Scaling.of(features), np.random.default_rng(0))
        model.learn(features[:40], accuracy[:40], features[:0])
        before, _ = model.predict(features[40:])
        uncertainty = np.append(np.zeros(40), deviation)
        model.learn(features, accuracy, features[:0], uncertainty)
        after, _ = model.predict(features[40:])
        shifts.append(float(after[0] - before[0]))
    assert shifts[0] > 2 * shifts[1] > 0
    assert shifts[2] == pytest.approx(0, abs=1e-4)


def search(kind: str, number: int, seed: int) -> float:
    """The hypervolume of a search, one training after another."""
    document = {
        "name": "x",
        "seed": seed,
        "budget": {"trials": number},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {"depth": 1, "groups": 1, "growth": 4},  # replaced by SPACE below
        "objectives": [
            {"metric": "val_accuracy", "direction": "maximize"},
            {"metric": "flops", "direction": "minimize"},
        ],
        "sampler": {"kind": kind},
        "proxy": {"epochs": 1},
    }
    file = parse_study_file(document, "x.toml")
    writer = StudyWriter(InMemoryStorage(), file, OptunaSpace(SPACE))
    bounds = writer.hypervolume_bounds()
    cheapest = SPACE.cheapest()
    bounds = writer.set_reference_accuracy(accuracy_of(cheapest))
    writer.enqueue(cheapest, "cheapest")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        proposal = writer.ask()
        assert proposal is not None
        accuracy = accuracy_of(proposal.architecture)
        writer.tell_finished(proposal, [accuracy + rng.normal(0, 0.01)], 1.0)
        found.append((accuracy, count(proposal.architecture, TASK).flops))
    accuracies, flops = np.array(found).T
    return normalised_hypervolume(accuracies, flops, bounds)


def test_a_search_finds_in_25_trials_what_random_search_needs_100_for() -> None:
    ours = [search("known_cost", 25, seed) for seed in range(2)]
    assert np.mean(ours) > np.mean([search("random", 100, seed) for seed in range(2)])
