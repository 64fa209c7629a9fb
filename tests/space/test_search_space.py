"""The space: its size, its architectures, its limits, and draws that are uniform over networks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import chisquare

from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.complexity import count
from hgcnet.errors import SpaceError
from hgcnet.structure import STEM_STRIDES
from space.limits import Limits
from space.parameters import Choice, Growth, Parameters, Range
from space.search_space import SearchSpace

NO_LIMITS = Limits()
TASK = Task(in_channels=1, num_classes=10, resolution=8)

# Every kind of parameter, and every way of spelling one network twice.
VARIED = Parameters(
    operator=Choice(choice=("hgc", "sgc")),
    stem_channels=8,
    bottleneck=Choice(choice=(1, 2)),
    compression=Choice(choice=(0.4, 0.5)),
    depth=(1, 2, 1),
    groups=Choice(choice=(1, 3)),
    growth=Growth(
        base=Range(low=2, high=4, step=2), schedule=Choice(choice=("constant", "linear"))
    ),
    se=Choice(choice=("last", "all"), per_stage=True),
    se_reduction=Choice(choice=(2, 64)),
)


def every_architecture(space: SearchSpace) -> list[Architecture]:
    """All points, decoded one by one."""
    names = [axis.name for axis in space.axes]
    points = product(*(axis.values for axis in space.axes))
    return [space.decode(dict(zip(names, point, strict=True))) for point in points]


def feasible_fingerprints(space: SearchSpace) -> set[str]:
    return {a.fingerprint for a in every_architecture(space) if space.is_feasible(a)}


def test_size_is_the_product_of_the_axes() -> None:
    space = SearchSpace(VARIED, NO_LIMITS, TASK)
    assert space.size == len(every_architecture(space)) == 2 * 2 * 2 * 2 * 2 * 2 * 8 * 2


def test_networks_are_counted_once_however_they_are_spelt() -> None:
    for limits in (NO_LIMITS, Limits(flops=40_000), Limits(num_params=900)):
        space = SearchSpace(VARIED, limits, TASK)
        assert space.num_networks() == len(feasible_fingerprints(space))


def test_a_point_survives_the_way_to_an_architecture_and_back() -> None:
    space = SearchSpace(VARIED, NO_LIMITS, TASK)
    canonical = set()
    for architecture in every_architecture(space)[::7]:
        params = space.encode(architecture)
        assert space.decode(params).fingerprint == architecture.fingerprint
        assert space.encode(space.decode(params)) == params
        canonical.add((architecture.fingerprint, tuple(params.values())))
    assert len(canonical) == len({fingerprint for fingerprint, _ in canonical})


def test_growth_follows_its_schedule() -> None:
    growths = {}
    for schedule in ("constant", "linear", "exponential"):
        parameters = Parameters(depth=1, groups=1, growth=Growth(base=6, schedule=schedule))
        architecture = SearchSpace(parameters, NO_LIMITS, TASK).cheapest()
        growths[schedule] = [stage.growth for stage in architecture.stages]
    assert growths == {"constant": [6, 6, 6], "linear": [6, 12, 18], "exponential": [6, 12, 24]}


def test_growth_can_be_chosen_for_each_stage() -> None:
    parameters = Parameters(depth=1, groups=1, growth=Range(low=2, high=4, per_stage=True))
    space = SearchSpace(parameters, NO_LIMITS, TASK)
    assert [axis.name for axis in space.free_axes] == ["growth_0", "growth_1", "growth_2"]
    assert space.size == 27


@pytest.mark.parametrize(
    "limits",
    [
        NO_LIMITS,
        pytest.param(Limits(flops=40_000), marks=pytest.mark.long),
        pytest.param(Limits(num_params=900), marks=pytest.mark.long),
        Limits(flops=60_000, num_params=1_000),
    ],
)
def test_cheapest_and_dearest_equal_brute_force(limits: Limits) -> None:
    space = SearchSpace(VARIED, limits, TASK)
    everything = every_architecture(space)
    feasible = [count(a, TASK).flops for a in everything if space.is_feasible(a)]
    assert count(space.cheapest(), TASK).flops == min(feasible)
    assert space.flops_range() == (min(feasible), max(count(a, TASK).flops for a in everything))
    for metric in ("flops", "num_params"):
        low, high = space.cost_range(metric)
        assert low == min(
            getattr(count(a, TASK), metric) for a in everything if space.is_feasible(a)
        )
        most = max(getattr(count(a, TASK), metric) for a in everything)
        assert high == (getattr(limits, metric) or most)
    share = space.feasible_share(np.random.default_rng(0))
    assert share == pytest.approx(len(feasible) / len(everything))


def test_cheapest_equals_brute_force_where_rounding_makes_more_growth_cheaper() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        parameters = Parameters(
            depth=Range(low=1, high=2),
            groups=Choice(choice=tuple(int(g) for g in rng.choice(np.arange(1, 9), 3, False))),
            growth=Choice(
                choice=tuple(int(g) for g in rng.choice(np.arange(1, 12), 3, False)), per_stage=True
            ),
            bottleneck=int(rng.integers(1, 4)),
            compression=float(rng.uniform(0.1, 1)),
        )
        space = SearchSpace(parameters, NO_LIMITS, TASK)
        everything = [count(a, TASK).flops for a in every_architecture(space)]
        assert (
            space.flops_range() == space.cost_range("flops") == (min(everything), max(everything))
        )
        everything = [count(a, TASK).num_params for a in every_architecture(space)]
        assert space.cost_range("num_params") == (min(everything), max(everything))


def test_points_cost_what_their_architectures_do() -> None:
    space = SearchSpace(VARIED, NO_LIMITS, TASK)
    points = space.draw_points(np.random.default_rng(0), 50)
    counts = [count(space.architecture_at(point), TASK) for point in points]
    expected = [[cost.num_params, cost.flops] for cost in counts]
    assert space.costs_of(points, ("num_params", "flops")).tolist() == expected
    assert space.costs_of(points[:0], ("flops",)).shape == (0, 1)


def test_draws_are_uniform_over_the_feasible_networks() -> None:
    space = SearchSpace(VARIED, Limits(flops=30_000, num_params=900), TASK)
    expected = feasible_fingerprints(space)
    assert 20 < len(expected) < 200
    rng = np.random.default_rng(0)
    draws = Counter(space.sample(rng).fingerprint for _ in range(10 * len(expected)))
    assert set(draws) <= expected
    counts = [draws[fingerprint] for fingerprint in sorted(expected)]
    assert chisquare(counts).pvalue > 0.01


@pytest.mark.long
def test_draws_from_a_space_too_large_to_list_are_uniform_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("space.search_space.ENUMERABLE", 10)
    space = SearchSpace(VARIED, Limits(flops=30_000, num_params=900), TASK)
    expected = feasible_fingerprints(space)
    rng = np.random.default_rng(1)
    draws = Counter(space.sample(rng).fingerprint for _ in range(10 * len(expected)))
    assert set(draws) <= expected
    counts = [draws[fingerprint] for fingerprint in sorted(expected)]
    assert chisquare(counts).pvalue > 0.01


@pytest.fixture
def drawn_from(monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """A space as if it were too large to list, with three batches of draws."""
    monkeypatch.setattr("space.search_space.ENUMERABLE", 10)
    monkeypatch.setattr("space.search_space._BATCH", 8)
    monkeypatch.setattr("space.search_space._MAX_DRAWS", 3 * 8)
    return SearchSpace(VARIED, Limits(flops=30_000, num_params=900), TASK)


def test_points_are_drawn_in_batches_as_many_as_were_asked_for_or_the_draws_gave(
    drawn_from: SearchSpace,
) -> None:
    for number in (1, 5):
        points = drawn_from.draw_points(np.random.default_rng(0), number)
        assert len(points) == number
        assert all(drawn_from.is_feasible(drawn_from.architecture_at(point)) for point in points)
    assert 5 < len(drawn_from.draw_points(np.random.default_rng(0), 1000)) < 3 * 8


def test_draws_come_to_an_end_where_all_they_meet_was_seen(drawn_from: SearchSpace) -> None:
    assert drawn_from.sample(np.random.default_rng(0), feasible_fingerprints(drawn_from)) is None


def test_a_space_with_too_many_cheapest_corners_to_narrow_has_the_same_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("space.search_space._MAX_CORNERS", 1)
    space = SearchSpace(VARIED, Limits(flops=30_000, num_params=900), TASK)
    found = map(space.architecture_at, space.draw_points(np.random.default_rng(0), space.size))
    assert {network.fingerprint for network in found} == feasible_fingerprints(space)


def test_nothing_is_drawn_twice_and_the_end_is_known() -> None:
    space = SearchSpace(VARIED, Limits(flops=30_000, num_params=900), TASK)
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    while (architecture := space.sample(rng, seen)) is not None:
        assert architecture.fingerprint not in seen
        seen.add(architecture.fingerprint)
    assert seen == feasible_fingerprints(space)


def test_tight_limits_in_a_huge_space_are_met_by_draws() -> None:
    parameters = Parameters(
        depth=Range(low=1, high=30, per_stage=True),
        groups=Choice(choice=(1, 2, 4, 8), per_stage=True),
        growth=Growth(base=Range(low=4, high=40), schedule=Choice(choice=("constant", "linear"))),
    )
    loose = SearchSpace(parameters, NO_LIMITS, TASK)
    least = count(loose.cheapest(), TASK).flops
    space = SearchSpace(parameters, Limits(flops=1.2 * least), TASK)
    assert space.feasible_share(np.random.default_rng(0)) < 1e-4
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(20)]
    assert all(space.is_feasible(architecture) for architecture in drawn)


def test_a_space_in_which_nothing_meets_the_limits_is_refused() -> None:
    with pytest.raises(
        SpaceError,
        match=r"no architecture of the space meets flops 10; the fewest possible are",
    ):
        SearchSpace(VARIED, Limits(flops=10), TASK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 5}, "depth_0 = 5 (the space has 1) is not in the space"),
        ({"groups": 2}, "groups = 2-2-2 (the space has 1, 3) is not in the space"),
        ({"growth": 3}, "growth 3-3-3 is not in the space"),
    ],
)
def test_an_architecture_outside_the_space_is_named(change: dict[str, int], message: str) -> None:
    space = SearchSpace(VARIED, NO_LIMITS, TASK)
    stage = {"depth": 1, "groups": 3, "growth": 2, "se": "all"} | change
    stages = tuple(Stage(**(stage | {"depth": stage["depth"] + (s == 1)})) for s in range(3))
    architecture = Architecture(stages=stages, stem_channels=8, bottleneck=2, se_reduction=2)
    with pytest.raises(SpaceError) as caught:
        space.encode(architecture)
    assert message in str(caught.value)


def test_an_architecture_of_another_number_of_stages_is_named() -> None:
    stages = (Stage(depth=1, growth=2, groups=1),) * 2
    with pytest.raises(SpaceError, match="it has 2 stages; the space has 3"):
        SearchSpace(VARIED, NO_LIMITS, TASK).encode(Architecture(stages=stages))


def test_an_architecture_over_a_limit_is_named() -> None:
    loose = SearchSpace(VARIED, NO_LIMITS, TASK)
    tight = SearchSpace(VARIED, Limits(flops=20_000), TASK)
    dear = max(every_architecture(loose), key=lambda a: count(a, TASK).flops)
    with pytest.raises(SpaceError, match="is over the limit of 20,000"):
        tight.encode(dear)


# Strides, three to five stages, and a list that gives values to all five.
LARGER = Parameters(
    stem_channels=4,
    stem_stride=Choice(choice=(1, 4)),
    stages=Range(low=3, high=5),
    bottleneck=1,
    depth=Choice(choice=(1, 2), per_stage=True),
    groups=(1, 2, 1, 2, 2),
    growth=Growth(base=4, schedule=Choice(choice=("constant", "linear", "exponential"))),
    se=Choice(choice=("none", "last")),
)
LARGER_TASK = Task(resolution=64)


def test_a_network_of_fewer_stages_is_one_point_whatever_the_others_would_have() -> None:
    space = SearchSpace(LARGER, NO_LIMITS, LARGER_TASK)
    everything = {a.fingerprint: a for a in every_architecture(space)}
    by_stages = Counter(len(network.stages) for network in everything.values())
    assert space.num_networks() == len(everything)
    assert space.size == sum(2 * 3 * 2 * 2**stages for stages in (3, 4, 5))
    assert set(by_stages) == {3, 4, 5}
    for network in list(everything.values())[::17]:
        point = space.point_of(network)
        assert space.architecture_at(point).fingerprint == network.fingerprint
        absent = [
            position
            for axis, position in zip(space.axes, point, strict=True)
            if axis.name[-1].isdigit() and int(axis.name[-1]) >= len(network.stages)
        ]
        assert not any(absent)


@pytest.mark.parametrize(
    "limits", [NO_LIMITS, Limits(flops=150_000), Limits(flops=160_000, num_params=500)]
)
def test_spaces_of_several_numbers_of_stages_equal_brute_force(limits: Limits) -> None:
    parameters = replace(LARGER, se="none", growth=Choice(choice=(3, 4)))
    parameters = replace(parameters, groups=Choice(choice=(1, 2, 3)))
    space = SearchSpace(parameters, limits, LARGER_TASK)
    everything = list({a.fingerprint: a for a in every_architecture(space)}.values())
    feasible = [a for a in everything if space.is_feasible(a)]
    assert 0 < len(feasible) < len(everything) or limits == NO_LIMITS
    assert space.num_networks() == len(feasible)
    for metric in ("flops", "num_params"):
        costs = [getattr(count(a, LARGER_TASK), metric) for a in everything]
        low, high = space.cost_range(metric)
        assert low == min(getattr(count(a, LARGER_TASK), metric) for a in feasible)
        assert high == (getattr(limits, metric) or max(costs))
    least = min(count(a, LARGER_TASK).flops for a in feasible)
    assert count(space.cheapest(), LARGER_TASK).flops == least
    points = space.draw_points(np.random.default_rng(0), 10**6)
    drawn = [space.architecture_at(point).fingerprint for point in points]
    assert sorted(drawn) == sorted(a.fingerprint for a in feasible)


@pytest.mark.parametrize("enumerable", [200_000, pytest.param(10, marks=pytest.mark.long)])
def test_each_number_of_stages_is_drawn_equally_often_and_each_of_its_networks(
    monkeypatch: pytest.MonkeyPatch, enumerable: int
) -> None:
    monkeypatch.setattr("space.search_space.ENUMERABLE", enumerable)
    parameters = replace(LARGER, se="none", stem_stride=4, growth=4)
    space = SearchSpace(parameters, Limits(flops=230_000), LARGER_TASK)
    networks = {a.fingerprint: a for a in every_architecture(space) if space.is_feasible(a)}
    numbers = Counter(len(network.stages) for network in networks.values())
    assert set(numbers) == {3, 4, 5}
    rng = np.random.default_rng(2)
    draws = Counter(space.sample(rng).fingerprint for _ in range(600))
    assert set(draws) <= set(networks)
    expected = [600 / 3 / numbers[len(network.stages)] for network in networks.values()]
    assert chisquare([draws[f] for f in networks], expected).pvalue > 0.01
    seen: set[str] = set()
    if enumerable > 10:
        while (network := space.sample(rng, seen)) is not None:
            seen.add(network.fingerprint)
        assert seen == set(networks)


def draw_space(seed: int) -> Parameters:
    """Every way to declare a parameter, for three to five stages; of some hundreds of points."""
    rng = np.random.default_rng(seed)

    def some(values: Sequence[int], *, per_stage: bool = False) -> Choice[int]:
        drawn = rng.choice(values, 2, replace=False)
        return Choice(choice=tuple(map(int, drawn)), per_stage=per_stage)

    most = int(rng.integers(3, 6))
    listed = tuple(int(value) for value in rng.integers(1, 4, most))
    schedules = Choice(choice=("constant", "exponential"))
    growths = (listed, some((2, 3, 4, 6)), Growth(base=some((2, 3, 5)), schedule=schedules))
    return Parameters(
        operator=Choice(choice=("hgc", "sgc")) if seed % 5 == 0 else "hgc",
        stem_channels=3,
        stem_stride=some(STEM_STRIDES),
        stages=Range(low=3, high=most),
        bottleneck=1,
        depth=(listed, some((1, 2, 3)), some((1, 2), per_stage=True))[seed % 3],
        groups=(some((1, 2, 3, 4)), listed, some((1, 2, 4), per_stage=True))[seed // 2 % 3],
        growth=growths[int(rng.integers(3))],
        se=Choice(choice=("none", "last", "all")) if seed % 4 == 0 else "none",
    )


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 40))]
)
def test_any_space_of_several_numbers_of_stages_equals_brute_force(seed: int) -> None:
    parameters = draw_space(seed)
    loose = SearchSpace(parameters, NO_LIMITS, LARGER_TASK)
    everything = {a.fingerprint: count(a, LARGER_TASK) for a in every_architecture(loose)}
    middle = sorted(cost.flops for cost in everything.values())[len(everything) // 3]
    space = SearchSpace(parameters, Limits(flops=middle), LARGER_TASK)
    feasible = {f for f, cost in everything.items() if cost.flops <= middle}

    assert loose.num_networks() == len(everything)
    assert space.num_networks() == len(feasible)
    assert space.flops_range()[0] == min(everything[f].flops for f in feasible)
    points = space.draw_points(np.random.default_rng(seed), 10**6)
    networks = [space.architecture_at(point) for point in points]
    assert sorted(network.fingerprint for network in networks) == sorted(feasible)
    assert space.costs_of(points, ("flops", "num_params")).tolist() == [
        [everything[n.fingerprint].flops, everything[n.fingerprint].num_params] for n in networks
    ]
    for point, network in list(zip(points, networks, strict=True))[:5]:
        assert (space.point_of(network) == point).all()
        found = {space.architecture_at(p).fingerprint for p in space.neighbour_points(point[None])}
        by_values = {neighbour.fingerprint for neighbour in space.neighbours(network)}
        assert found - {network.fingerprint} == by_values


def test_what_is_feasible_with_three_stages_alone_is_found_in_a_huge_space() -> None:
    parameters = Parameters(
        stages=Choice(choice=(3, 5)),
        depth=Range(low=1, high=30, per_stage=True),
        groups=Choice(choice=(1, 2, 4), per_stage=True),
        growth=Growth(base=Range(low=4, high=40)),
        se=Choice(choice=("none", "last", "all"), per_stage=True),
    )
    least = SearchSpace(replace(parameters, stages=5), NO_LIMITS, TASK).cost_range("num_params")[0]
    space = SearchSpace(parameters, Limits(num_params=least - 1), TASK)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(30):
        network = space.sample(rng, seen)
        assert network is not None
        assert len(network.stages) == 3
        seen.add(network.fingerprint)


def test_neighbours_differ_in_one_parameter_or_in_their_last_stages() -> None:
    space = SearchSpace(LARGER, NO_LIMITS, LARGER_TASK)
    points = space.draw_points(np.random.default_rng(3), 12)
    for point in points:
        network = space.architecture_at(point)
        neighbours = space.neighbour_points(point[None])
        found = [space.architecture_at(neighbour) for neighbour in neighbours]
        for neighbour, changed in zip(found, neighbours != point, strict=True):
            if len(neighbour.stages) == len(network.stages):
                assert changed.sum() == 1
            else:
                assert neighbour.stem_stride == network.stem_stride
                common = min(len(neighbour.stages), len(network.stages))
                assert neighbour.stages[:common] == network.stages[:common]
        assert {len(a.stages) for a in found} == {3, 4, 5}
        by_values = {a.fingerprint for a in space.neighbours(network)}
        assert {a.fingerprint for a in found} - {network.fingerprint} == by_values


def test_a_number_of_stages_that_the_space_does_not_have_is_named() -> None:
    space = SearchSpace(replace(LARGER, stages=Choice(choice=(3, 5))), NO_LIMITS, LARGER_TASK)
    stages = (Stage(depth=1, growth=4, groups=1),) * 4
    with pytest.raises(SpaceError, match="it has 4 stages; the space has 3, 5"):
        space.encode(Architecture(stages=stages))
    network = replace(space.cheapest(), stem_stride=2)
    with pytest.raises(SpaceError, match=r"stem_stride = 2 \(the space has 1, 4\) is not in"):
        space.encode(network)


def test_growth_follows_its_schedule_over_five_stages() -> None:
    growths = {}
    for schedule in ("constant", "linear", "exponential"):
        parameters = Parameters(
            stages=5, depth=1, groups=1, growth=Growth(base=4, schedule=schedule)
        )
        network = SearchSpace(parameters, NO_LIMITS, LARGER_TASK).cheapest()
        growths[schedule] = [stage.growth for stage in network.stages]
    assert growths == {
        "constant": [4, 4, 4, 4, 4],
        "linear": [4, 8, 12, 16, 20],
        "exponential": [4, 8, 16, 32, 64],
    }
