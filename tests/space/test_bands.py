"""Limits with a lower bound: what they admit, uniform draws, the cheapest network, errors."""

import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from hgcnet.architecture import Task
from hgcnet.complexity import count
from hgcnet.errors import SpaceError
from search.study_file.reading import parse_study_file
from space.limits import Band, Limits
from space.search_space import SearchSpace
from tests.space.test_search_space import (
    TASK,
    VARIED,
    every_architecture,
    feasible_fingerprints,
)

BANDS = [
    Limits(flops=Band(min=30_000, max=40_000)),
    Limits(flops=Band(min=40_000)),
    Limits(flops=40_000, num_params=Band(min=1_500, max=2_500)),
]
CIFAR_TASK = Task(in_channels=3, num_classes=10, resolution=32)
STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.long)], ids=["listed", "drawn"])
def is_drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the space is as if it were too large to list."""
    if request.param:
        monkeypatch.setattr("space.search_space.ENUMERABLE", 10)
    return bool(request.param)


@pytest.mark.parametrize("limits", BANDS)
@pytest.mark.usefixtures("is_drawn")
def test_a_band_equals_brute_force(limits: Limits) -> None:
    space = SearchSpace(VARIED, limits, TASK)
    everything = every_architecture(space)
    costs = [count(a, TASK) for a in everything]
    inside = [
        cost
        for cost in costs
        if all(
            least <= getattr(cost, metric) <= most
            for metric in ("flops", "num_params")
            for least, most in [limits.of(metric)]
        )
    ]
    assert 0 < len(inside) < len(everything)
    assert [space.is_feasible(a) for a in everything].count(True) == len(inside)
    assert count(space.cheapest(), TASK).flops == min(cost.flops for cost in inside)
    for metric in ("flops", "num_params"):
        lower, upper = limits.of(metric)
        low, high = space.cost_range(metric)
        assert low == (lower or min(getattr(cost, metric) for cost in inside))
        assert high == min(upper, max(getattr(cost, metric) for cost in costs))
    share = space.feasible_share(np.random.default_rng(0))
    assert share == pytest.approx(len(inside) / len(everything), rel=0.1)


@pytest.mark.parametrize(
    "is_drawn", [False, pytest.param(True, marks=pytest.mark.long)], indirect=True
)
@pytest.mark.usefixtures("is_drawn")
def test_2000_draws_from_a_band_are_uniform_over_its_networks() -> None:
    space = SearchSpace(VARIED, Limits(flops=Band(min=14_000, max=20_000)), TASK)
    expected = feasible_fingerprints(space)
    assert 20 < len(expected) < 200
    rng = np.random.default_rng(0)
    draws = Counter(space.sample(rng).fingerprint for _ in range(2000))
    assert set(draws) <= expected
    assert chisquare([draws[fingerprint] for fingerprint in sorted(expected)]).pvalue > 0.01


def test_neighbours_stay_inside_the_band() -> None:
    space = SearchSpace(VARIED, Limits(flops=Band(min=30_000, max=40_000)), TASK)
    point = space.draw_points(np.random.default_rng(0), 1)
    neighbours = space.neighbour_points(point)
    assert len(neighbours) > 0
    assert all(space.is_feasible(space.architecture_at(point)) for point in neighbours)


def test_the_cheapest_network_of_a_large_space_is_at_the_lower_limit() -> None:
    document = tomllib.loads((STUDIES / "cifar10-cpu.toml").read_text(encoding="utf-8"))
    file = parse_study_file(
        document | {"limits": {"flops": {"min": 40e6, "max": 55.5e6}}}, "x.toml"
    )
    spaces = [SearchSpace(file.parameters, file.limits, CIFAR_TASK) for _ in range(2)]
    cheapest, again = (space.cheapest() for space in spaces)
    assert cheapest == again
    assert 40e6 <= count(cheapest, CIFAR_TASK).flops <= 40.1e6
    assert spaces[0].cost_range("flops") == (40e6, 55.5e6)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            Limits(flops=Band(min=1e9)),
            r"meets flops 1,000,000,000 or more; the fewest possible are .* parameters, the most \d",
        ),
        (Limits(flops=Band(min=30_001, max=30_001)), r"meets flops 30,001 to 30,001; "),
    ],
)
@pytest.mark.usefixtures("is_drawn")
def test_a_band_without_networks_is_refused(limits: Limits, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SearchSpace(VARIED, limits, TASK)


def test_a_network_below_a_limit_is_named() -> None:
    space = SearchSpace(VARIED, Limits(flops=Band(min=40_000)), TASK)
    cheap = SearchSpace(VARIED, Limits(), TASK).cheapest()
    with pytest.raises(SpaceError, match=r"flops [\d,]+ is under the limit of 40,000"):
        space.encode(cheap)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(), "none"),
        (Limits(flops=60e6), "flops 60000000"),
        (Limits(flops=Band(max=60e6)), "flops 60000000"),
        (
            Limits(flops=Band(min=4, max=6), num_params=Band(min=2)),
            "flops 4 to 6, num_params 2 or more",
        ),
    ],
)
def test_limits_as_text(limits: Limits, text: str) -> None:
    assert limits.as_text("{:.0f}".format) == text
