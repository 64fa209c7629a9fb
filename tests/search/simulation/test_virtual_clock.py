"""Tables, the surrogate of one, and searches on it under a virtual clock."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from hgcnet.complexity import count
from hgcnet.errors import DataError, RunError
from search.pareto import non_dominated, normalised_hypervolume
from search.prepare import prepare
from search.retraining.fidelity import spread_networks
from search.simulation.surrogate import Surrogate, cross_validate
from search.simulation.table import read_table, write_table
from search.simulation.tabulation import NEAR_FRONT, UNIFORM, _front, train_table
from search.simulation.virtual_clock import (
    TabulatedSpace,
    read_tabulated_space,
    simulate_search,
)
from search.study_file.reading import parse_study_file
from search.study_file.schema import EarlyStopping, Objective
from tests.parts.made_up_table import (
    DOCUMENT,
    EPOCHS,
    FILE,
    NOISE,
    SPACE,
    TASK,
    accuracy_of,
    made_up_table,
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return made_up_table()


@pytest.fixture(scope="module")
def world(table: pd.DataFrame) -> TabulatedSpace:
    return TabulatedSpace(file=FILE, space=SPACE, surrogate=Surrogate(table, SPACE.space))


def test_a_surrogate_foretells_to_within_the_noise_and_knows_the_noise(
    table: pd.DataFrame, world: TabulatedSpace
) -> None:
    quality = cross_validate(table, SPACE.space)
    assert quality.networks == 150
    assert quality.is_trusted
    assert quality.noise == pytest.approx(NOISE, rel=0.2)
    assert quality.residual < 1.5 * NOISE
    points = SPACE.space.draw_points(np.random.default_rng(1), 100)
    networks = [SPACE.space.architecture_at(point) for point in points]
    found = np.array([world.surrogate.truth(network)[0][-1] for network in networks])
    assert np.abs(found - [accuracy_of(network) for network in networks]).mean() < 0.6 * NOISE


def test_a_network_shows_the_same_noise_in_every_search_of_a_seed(world: TabulatedSpace) -> None:
    network = SPACE.space.cheapest()
    truth, seconds = world.surrogate.truth(network)
    shown = np.array([world.surrogate.curve(network, seed) for seed in range(500)])
    assert (world.surrogate.curve(network, 3) == shown[3]).all()
    assert shown.mean(axis=0) == pytest.approx(truth, abs=3 * NOISE / 500**0.5)
    assert shown[:, -1].std() == pytest.approx(NOISE, rel=0.25)
    assert seconds == pytest.approx(count(network, TASK).flops / 1e5, rel=0.3)


def test_a_simulated_search_is_scored_on_what_it_does_not_see(world: TabulatedSpace) -> None:
    frame = simulate_search(world, sampler="random", workers=1, trials=20, seed=0)
    assert frame["trained"].tolist() == list(range(1, 21))
    assert frame["epochs"].tolist() == [EPOCHS * n for n in range(1, 21)]
    assert frame["hypervolume"].is_monotonic_increasing
    assert not np.allclose(frame["accuracy"], frame["observed"], atol=NOISE / 10)
    assert frame["hypervolume"].iloc[-1] == normalised_hypervolume(
        frame["accuracy"], frame[["flops"]], world.bounds
    )
    again = simulate_search(world, sampler="random", workers=1, trials=20, seed=0)
    pd.testing.assert_frame_equal(frame, again)
    other = simulate_search(world, sampler="random", workers=1, trials=20, seed=1)
    assert frame["flops"].tolist() != other["flops"].tolist()


def test_a_table_is_made_near_the_front_of_the_objectives() -> None:
    networks = [
        SPACE.space.architecture_at(p)
        for p in SPACE.space.draw_points(np.random.default_rng(0), 40)
    ]
    counts = [count(network, TASK) for network in networks]
    frame = pd.DataFrame(
        {
            "fingerprint": [network.fingerprint for network in networks],
            "val_accuracy": [accuracy_of(network) for network in networks],
            "flops": [cost.flops for cost in counts],
            "num_params": [cost.num_params for cost in counts],
        }
    )
    fronts = [
        {network.fingerprint for network in _front(frame, networks, costs)}
        for costs in (("flops",), ("num_params",), ("flops", "num_params"))
    ]
    assert fronts[0] != fronts[1]
    assert fronts[2] >= fronts[0] | fronts[1]


@pytest.mark.parametrize("cost", ["flops", "num_params"])
def test_networks_for_fidelity_spread_over_the_cost(cost: str) -> None:
    networks = spread_networks(SPACE.space, 8, 0, cost)
    logs = np.log([getattr(count(network, TASK), cost) for network in networks])
    assert (np.diff(logs) > 0).all()
    assert np.diff(logs) == pytest.approx(np.ptp(logs) / 7, rel=0.3)


@pytest.mark.parametrize("costs", [("num_params",), ("num_params", "flops")])
@pytest.mark.parametrize("sampler", ["random", "known_cost"])
def test_a_simulated_search_goes_by_the_objectives(
    world: TabulatedSpace, sampler: str, costs: tuple[str, ...]
) -> None:
    objectives = [Objective(metric="val_accuracy")]
    objectives += [Objective(metric=cost) for cost in costs]  # type: ignore[arg-type]
    other = replace(world, file=replace(world.file, objectives=tuple(objectives)))
    assert other.bounds.metrics == costs
    assert other.bounds.reference_accuracy == world.bounds.reference_accuracy
    frame = simulate_search(other, sampler=sampler, workers=2, trials=12, seed=0)
    assert frame["hypervolume"].iloc[-1] == normalised_hypervolume(
        frame["accuracy"], frame[list(costs)], other.bounds
    )


def test_workers_share_the_virtual_time(world: TabulatedSpace) -> None:
    one, four = (
        simulate_search(world, sampler="random", workers=workers, trials=40, seed=0)
        for workers in (1, 4)
    )
    seconds = [EPOCHS * world.surrogate.truth(SPACE.space.cheapest())[1]]
    assert one["seconds"].iloc[0] == pytest.approx(seconds[0])
    assert one["seconds"].iloc[-1] / four["seconds"].iloc[-1] == pytest.approx(4, rel=0.25)
    assert sorted(one["number"]) == sorted(four["number"]) == list(range(40))
    assert four["number"].tolist() != sorted(four["number"])


def test_early_stopping_saves_epochs_and_stops_nothing_twice(world: TabulatedSpace) -> None:
    early = {"kind": "moasha", "min_epochs": 1, "reduction_factor": 2}
    stopping = replace(world, file=parse_study_file(DOCUMENT | {"early_stopping": early}, "x"))
    frame = simulate_search(stopping, sampler="random", workers=4, trials=40, seed=0)
    assert 5 <= frame["accuracy"].isna().sum() <= 35
    assert frame["epochs"].iloc[-1] < 0.9 * 40 * EPOCHS
    whole = simulate_search(
        stopping, sampler="random", workers=4, trials=40, seed=0, early_stopping=False
    )
    assert whole["accuracy"].notna().all()


@pytest.mark.long
def test_the_belief_stops_half_of_a_random_search_and_less_of_its_front_than_halving_does(
    world: TabulatedSpace,
) -> None:
    def search(kind: Literal["front_chance", "moasha"]) -> tuple[float, int]:
        early = EarlyStopping(kind=kind, min_epochs=1, reduction_factor=2)
        stopping = replace(world, file=replace(world.file, early_stopping=early))
        found = simulate_search(stopping, sampler="random", workers=4, trials=80, seed=0)
        front = non_dominated(found[["truth", "flops"]].to_numpy("float64") * [-1, 1])
        stopped = found["accuracy"].isna()
        return float(stopped.mean()), int((front & stopped).sum())

    share, lost = search("front_chance")
    assert share > 0.3
    assert lost < 0.5 * search("moasha")[1]


def test_a_table_is_written_and_read_with_the_study_that_made_it(tmp_path: Path) -> None:
    prepared = prepare(FILE)
    folder, path = tmp_path / "table", tmp_path / "tables" / "tiny.parquet"
    frame, is_complete = train_table(
        prepared, folder, uniform=4, near_front=2, repeated_share=0.5, without_ray=True
    )
    assert is_complete
    first = frame[frame["repetition"] == 0]
    assert first["origin"].tolist() == [UNIFORM] * 4 + [NEAR_FRONT] * 2
    assert first["fingerprint"].nunique() == 6
    assert (
        frame.groupby("fingerprint")["seed"].nunique() == frame.groupby("fingerprint").size()
    ).all()
    assert len(frame) == 6 + 3
    write_table(frame, prepared, path)
    read, file, task = read_table(path)
    assert (file.document, task.sizes) == (FILE.document, prepared.space.space.task.sizes)
    assert read["fingerprint"].tolist() == frame["fingerprint"].tolist()
    assert np.allclose(np.stack(read["curve"]), np.stack(frame["curve"]), atol=1e-6)
    # What was trained stays trained, also where more is asked for.
    said: list[int] = []
    more, _ = train_table(
        prepared,
        folder,
        uniform=5,
        near_front=0,
        repeated_share=0,
        without_ray=True,
        observe=lambda progress: said.append(progress.wanted),
    )
    assert len(more) == 5
    assert set(frame[frame["origin"] == UNIFORM]["fingerprint"]) <= set(more["fingerprint"])
    assert len(said) <= 2


def test_a_table_of_another_study_is_refused_by_its_key(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    write_table(table, prepare(FILE), path)
    world, _ = read_tabulated_space(FILE, path)
    assert world.surrogate.epochs == EPOCHS
    other = parse_study_file({**DOCUMENT, "limits": {"flops": 1e5}}, "other.toml")
    with pytest.raises(RunError, match=r"limits\.flops = None, but other\.toml has 100000"):
        read_tabulated_space(other, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="is not a table of hgcnas"):
        read_tabulated_space(FILE, path)
