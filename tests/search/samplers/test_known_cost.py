"""The parts of the sampler that knows the cost, each against what it should be; and the whole."""

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.estimation.features import features_of
from search.estimation.gaussian_process import AccuracyModel
from search.optuna_space import OptunaSpace
from search.pareto import CostRange, HypervolumeBounds, normalised_hypervolume
from search.samplers.ehvi import expected_improvement, rectangles
from search.samplers.known_cost import KnownCostSampler
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from space.limits import Limits
from space.parameters import Choice, Growth, Parameters, Range
from space.search_space import SearchSpace
from tests.parts import made_up_table

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
FLOPS = CostRange(metric="flops", low=1e4, high=1e6)
BOUNDS = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=0.2)
UNIT = HypervolumeBounds(
    costs=(
        CostRange(metric="flops", low=1, high=np.e),
        CostRange(metric="num_params", low=1, high=np.e),
    ),
    reference_accuracy=0.2,
)


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
        return normalised_hypervolume(accuracy, flops(at)[:, None], BOUNDS)

    before = volume(levels, costs)
    # Nothing counts beyond an accuracy of 1 there, and here everything does.
    mean = 0.2 + 0.3 * mean
    samples = np.minimum(mean + 0.1 * std * nodes, 1.0)
    improved = [volume(np.append(levels, y), np.append(costs, cost)) - before for y in samples]
    ours = expected_improvement(
        *(np.array([value]) for value in (mean, 0.1 * std)),
        np.array([[cost]]),
        costs[:, None],
        levels,
        0.2,
    )
    # The axis of accuracy is in units of 1 - 0.2 there.
    assert ours[0] / 0.8 == pytest.approx(float(weights @ improved), abs=2e-3)


point = st.tuples(unit, unit, unit)


@settings(deadline=None, max_examples=30)
@given(st.lists(point, max_size=8), point, st.floats(0.01, 0.1))
def test_the_expected_improvement_of_two_costs_is_the_mean_of_what_samples_improve(
    front: list[tuple[float, float, float]], candidate: tuple[float, float, float], std: float
) -> None:
    """By quadrature over the accuracy, with the exact hypervolume of `search.pareto`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    known = np.reshape(np.array(front), (-1, 3))
    costs, levels = known[:, :2], 0.2 + 0.8 * known[:, 2]

    def volume(accuracy: np.ndarray, at: np.ndarray) -> float:
        return normalised_hypervolume(accuracy, np.exp(at), UNIT)

    before = volume(levels, costs)
    mean, cost = 0.2 + 0.4 * candidate[2], np.array([candidate[:2]])
    samples = np.minimum(mean + std * nodes, 1.0)
    improved = [volume(np.append(levels, y), np.vstack([costs, cost])) - before for y in samples]
    ours = expected_improvement(np.array([mean]), np.array([std]), cost, costs, levels, 0.2)
    assert ours[0] / 0.8 == pytest.approx(float(weights @ improved), abs=2e-3)


def test_the_expected_improvement_of_many_networks_is_that_of_random_draws() -> None:
    """Monte Carlo over the accuracies, for a front of some tens of networks."""
    rng = np.random.default_rng(0)
    front = rng.random((60, 3))
    costs, levels = front[:, :2], 0.2 + 0.7 * front[:, 2] * front[:, :2].mean(axis=1)
    at, mean = rng.random((8, 2)), rng.uniform(0.2, 0.8, 8)
    before = normalised_hypervolume(levels, np.exp(costs), UNIT)
    ours = expected_improvement(mean, np.full(8, 0.05), at, costs, levels, 0.2)
    for own, cost, center in zip(ours, at, mean, strict=True):
        drawn = np.minimum(rng.normal(center, 0.05, 400), 1.0)
        places = np.exp(np.vstack([costs, cost]))
        gains = np.array(
            [normalised_hypervolume(np.append(levels, y), places, UNIT) for y in drawn]
        )
        gains = 0.8 * (gains - before)
        assert own == pytest.approx(gains.mean(), abs=4 * gains.std() / 20 + 1e-6)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("size", [0, 1, 5, 40])
def test_the_rectangles_cover_the_plane_once_at_the_level_that_is_reached(
    k: int, size: int
) -> None:
    rng = np.random.default_rng([k, size])
    costs = rng.integers(0, 12, (size, k)) / 10  # with ties, and some beyond the reference
    accuracy = rng.integers(0, 8, size) / 8
    low, high, level = rectangles(costs, accuracy, 0.3)
    assert len(level) <= 2 * size + 1
    assert (np.diff(level) >= 0).all()
    places = rng.uniform(-0.1, 1, (500, k))
    inside = ((low <= places[:, None]) & (places[:, None] < high)).all(axis=2)
    assert (inside.sum(axis=1) == 1).all()
    is_reached = (costs <= places[:, None]).all(axis=2)  # (500, size)
    expected = np.where(is_reached, accuracy, 0.3).max(axis=1, initial=0.3)
    assert (level[inside.argmax(axis=1)] == expected).all()


def test_thousands_of_networks_against_a_front_of_hundreds_are_each_judged_alone() -> None:
    rng = np.random.default_rng(0)
    front = np.abs(rng.normal(size=(200, 3)))
    front /= np.linalg.norm(front, axis=1)[:, None]  # none dominates another
    mean, costs = rng.random(5000), rng.random((5000, 2))
    at_front, std = (1 - front[:, :2], front[:, 2], 0.0), np.full(5000, 0.02)
    found = expected_improvement(mean, std, costs, *at_front)
    few = slice(None, None, 500)
    alone = expected_improvement(mean[few], std[few], costs[few], *at_front)
    assert found[few] == pytest.approx(alone)


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
    model = AccuracyModel(features, rng)
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
    model = AccuracyModel(features, rng)
    if has_learnt:
        model.learn(features, seen, features[:0])
    smooth = model.smooth(features, seen)
    assert np.std(smooth - accuracy) < 0.7 * np.std(seen - accuracy)


def test_a_prediction_rests_on_a_bounded_number_of_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.estimation.gaussian_process.MAX_KNOWN", 60)
    model, others, accuracy = learnt(200)
    assert len(model._process.X_train_) == 60
    mean, _ = model.predict(others)
    assert np.abs(mean - accuracy).mean() < 0.1 * accuracy.std()


def test_what_is_being_trained_leaves_less_to_learn_near_it() -> None:
    rng = np.random.default_rng(0)
    points = SPACE.draw_points(rng, 30)
    features = features_of(SPACE, points)
    accuracy = np.array([accuracy_of(SPACE.architecture_at(point)) for point in points])
    model = AccuracyModel(features, rng)
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
        model = AccuracyModel(features, np.random.default_rng(0))
        model.learn(features[:40], accuracy[:40], features[:0])
        before, _ = model.predict(features[40:])
        uncertainty = np.append(np.zeros(40), deviation)
        model.learn(features, accuracy, features[:0], uncertainty)
        after, _ = model.predict(features[40:])
        shifts.append(float(after[0] - before[0]))
    assert shifts[0] > 2 * shifts[1] > 0
    assert shifts[2] == pytest.approx(0, abs=1e-4)


def search(kind: str, number: int, seed: int, costs: tuple[str, ...] = ("flops",)) -> float:
    """The hypervolume of a search by these costs, one training after another."""
    document = {
        "name": "x",
        "seed": seed,
        "budget": {"trials": number},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {"depth": 1, "groups": 1, "growth": 4},  # replaced by SPACE below
        "objectives": ["val_accuracy", *costs],
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
        counts = count(proposal.architecture, TASK)
        found.append((accuracy, *(getattr(counts, cost) for cost in costs)))
    rows = np.array(found)
    return normalised_hypervolume(rows[:, 0], rows[:, 1:], bounds)


def test_where_every_candidate_was_seen_nothing_is_proposed() -> None:
    space = made_up_table.SPACE.space
    points = space.draw_points(np.random.default_rng(0), space.size)  # all
    seen = {space.architecture_at(point).fingerprint for point in points}
    study = optuna.create_study(directions=["maximize", "minimize"])
    sampler = KnownCostSampler(made_up_table.SPACE, ("flops",), seen, seed=0)
    assert sampler.sample_relative(study, study.ask()._cached_frozen_trial, {}) == {}


@pytest.mark.long
def test_a_search_finds_in_25_trials_what_random_search_needs_100_for() -> None:
    ours = [search("known_cost", 25, seed) for seed in range(2)]
    assert np.mean(ours) > np.mean([search("random", 100, seed) for seed in range(2)])


@pytest.mark.parametrize(
    "costs", [("num_params",), pytest.param(("num_params", "flops"), marks=pytest.mark.long)]
)
def test_a_search_goes_by_the_costs_that_are_its_objectives(costs: tuple[str, ...]) -> None:
    assert search("known_cost", 25, 0, costs) > search("random", 75, 0, costs)
