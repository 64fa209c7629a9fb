"""The frame against what stands in a real Optuna study, and the files against the frame."""

import json

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.errors import RunError
from search.optuna_space import OptunaSpace
from search.results.trials import (
    COLUMNS,
    TEXT,
    architecture_of,
    costs_of,
    front,
    select_trial,
    to_frame,
    write_csv,
    write_parquet,
)
from space.limits import Limits
from space.parameters import Choice, Parameters, Range
from space.search_space import SearchSpace

OBJECTIVES = ("val_accuracy", "flops")


class DepthSpace:
    """A space of one parameter: the depth of each of two stages."""

    def decode(self, params):
        stage = Stage(depth=params["depth"], growth=8, groups=2)
        return Architecture(stages=(stage, Stage(depth=params["depth"], growth=16, groups=4)))


def add_trial(study, state, depth, curve=(), **attributes):
    values = [curve[-1], depth * 1e6] if state == TrialState.COMPLETE else None
    if curve:
        attributes |= {"curve": list(curve), "seconds": 1.5 * len(curve)}
    described = {"fingerprint": f"f{depth}", "flops": depth * 1_000_000, "num_params": depth * 1000}
    study.add_trial(
        create_trial(
            state=state,
            values=values,
            params={"depth": depth},
            distributions={"depth": IntDistribution(1, 9)},
            user_attrs=described | attributes,
        )
    )


@pytest.fixture
def study():
    study = optuna.create_study(directions=["maximize", "minimize"])
    add_trial(study, TrialState.COMPLETE, 1, [0.1, 0.3], origin="cheapest")
    add_trial(study, TrialState.COMPLETE, 3, [0.2, 0.6])
    add_trial(study, TrialState.COMPLETE, 2, [0.2, 0.5])
    add_trial(study, TrialState.COMPLETE, 4, [0.2, 0.55])
    add_trial(study, TrialState.PRUNED, 5, [0.9])
    add_trial(study, TrialState.FAIL, 6, failure="interrupted")
    add_trial(study, TrialState.FAIL, 6, [0.4], failure="loss is NaN", retry_of=5)
    study.enqueue_trial({"depth": 7})
    return study


@pytest.fixture
def frame(study):
    return to_frame(study.trials, DepthSpace(), OBJECTIVES)


def test_every_trial_is_one_row_with_its_state(frame):
    assert frame["number"].tolist() == list(range(8))
    assert frame["state"].tolist() == ["finished"] * 4 + ["stopped"] + ["failed"] * 2 + ["waiting"]


def test_only_finished_trials_have_a_val_accuracy(frame):
    np.testing.assert_array_equal(frame["val_accuracy"], [0.3, 0.6, 0.5, 0.55] + [np.nan] * 4)
    np.testing.assert_array_equal(
        frame["last_accuracy"], [0.3, 0.6, 0.5, 0.55, 0.9, np.nan, 0.4, np.nan]
    )
    assert frame["epochs"].tolist() == [2, 2, 2, 2, 1, 0, 1, 0]
    assert frame["seconds"].iloc[0] == 3.0


def test_the_architecture_is_spread_over_columns(frame):
    row = frame.iloc[1]
    assert row["architecture"] == "hgc 3x8g2 3x16g4 b4 c0.5 s24"
    assert (row["depth"], row["growth"], row["groups"], row["se"]) == (
        "3-3",
        "8-16",
        "2-4",
        "none-none",
    )
    assert (row["operator"], row["stem_channels"], row["compression"]) == ("hgc", 24, 0.5)


def test_a_row_gives_its_architecture_back(frame):
    for _, row in frame[frame["architecture"].notna()].iterrows():
        assert str(architecture_of(row)) == row["architecture"]


def test_a_row_gives_back_a_network_with_a_stride_and_its_number_of_stages():
    parameters = Parameters(
        stem_stride=Choice(choice=(1, 2, 4)),
        stages=Choice(choice=(3, 5)),
        depth=Range(low=1, high=2, per_stage=True),
        groups=2,
        growth=4,
    )
    space = OptunaSpace(SearchSpace(parameters, Limits(), Task(resolution=64)))
    rng = np.random.default_rng(0)
    networks = [space.space.sample(rng) for _ in range(8)]
    study = optuna.create_study(directions=["maximize", "minimize"])
    for network in networks:
        attributes = {"fingerprint": network.fingerprint, "flops": 1, "curve": [0.5]}
        trial = create_trial(
            values=[0.5, 1.0],
            params=space.encode(network),
            distributions=space.distributions,
            user_attrs=attributes,
        )
        study.add_trial(trial)
    found = to_frame(study.trials, space, OBJECTIVES)
    assert [architecture_of(row) for _, row in found.iterrows()] == networks
    assert found["stem_stride"].tolist() == [network.stem_stride for network in networks]
    assert {depth.count("-") for depth in found["depth"]} == {2, 4}


def test_reasons_and_origins_are_kept(frame):
    assert frame.loc[0, "origin"] == "cheapest"
    assert frame.loc[5, "failure"] == "interrupted"
    assert frame.loc[6, "retry_of"] == 5
    assert pd.isna(frame.loc[1, "origin"])


def test_cells_of_a_waiting_trial_are_empty(frame):
    row = frame.iloc[7].drop(["number", "state", "on_front", "epochs", "curve"])
    assert row.isna().all()


def test_a_trial_that_is_still_being_proposed_is_not_decoded(study):
    study.add_trial(create_trial(state=TrialState.RUNNING))
    row = to_frame(study.trials, DepthSpace(), OBJECTIVES).iloc[-1]
    assert row["state"] == "running"
    assert pd.isna(row["architecture"])


def test_the_front_is_what_optuna_calls_the_best_trials(study, frame):
    rows = front(frame)
    assert set(rows["number"]) == {trial.number for trial in study.best_trials}
    assert rows["flops"].tolist() == [1_000_000, 2_000_000, 3_000_000]


def test_the_order_of_the_objectives_does_not_matter(study, frame):
    turned = optuna.create_study(directions=["minimize", "maximize"])
    for trial in study.trials:
        if trial.values:
            trial.values = trial.values[::-1]
        turned.add_trial(trial)
    again = to_frame(turned.trials, DepthSpace(), OBJECTIVES[::-1])
    pd.testing.assert_frame_equal(
        again.drop(columns=["started_at", "finished_at"]),
        frame.drop(columns=["started_at", "finished_at"]),
    )


@pytest.mark.parametrize("costs", [("flops",), ("num_params",), ("num_params", "flops")])
@pytest.mark.parametrize("rule", ["best", "knee", "max-flops=3e6", "max-params=2000"])
def test_what_is_selected_lies_on_the_front_of_the_studys_objectives(costs, rule):
    """With params that fall while the FLOPs rise: by both costs at once all are on the front."""
    objectives = ("val_accuracy", *costs)
    study = optuna.create_study(directions=["maximize", *["minimize"] * len(costs)])
    for depth, accuracy in ((1, 0.6), (2, 0.5), (3, 0.4), (4, 0.7)):
        counts = {"flops": depth * 1_000_000, "num_params": (5 - depth) * 1000}
        trial = create_trial(
            values=[accuracy, *(counts[cost] for cost in costs)],
            params={"depth": depth},
            distributions={"depth": IntDistribution(1, 9)},
            user_attrs={"fingerprint": f"f{depth}", "curve": [accuracy]} | counts,
        )
        study.add_trial(trial)
    frame = to_frame(study.trials, DepthSpace(), objectives)
    expected = {("flops",): [0, 3], ("num_params",): [3], ("num_params", "flops"): [0, 1, 2, 3]}
    assert frame.index[frame["on_front"]].tolist() == expected[costs]
    if costs == ("num_params",) and rule == "max-flops=3e6":
        with pytest.raises(RunError, match=r"so few FLOPs; the smallest has 4e\+06"):
            select_trial(frame, costs, rule)
        return
    assert frame["on_front"][select_trial(frame, costs, rule)]


def test_costs_of_rows_stand_in_the_order_asked_for(frame):
    costs = costs_of(frame, ("num_params", "flops"))
    assert costs[:2].tolist() == [[1000, 1e6], [3000, 3e6]]
    assert np.isnan(costs[-1]).all()  # it only waits


def test_an_empty_study_has_the_same_columns():
    frame = to_frame([], DepthSpace(), OBJECTIVES)
    assert list(frame.columns) == list(COLUMNS)
    assert frame.dtypes.astype(str).to_dict() == COLUMNS
    assert front(frame).empty


def test_csv_holds_the_frame(frame, tmp_path):
    write_csv(frame, tmp_path / "trials.csv")
    again = pd.read_csv(tmp_path / "trials.csv", parse_dates=["started_at", "finished_at"])
    again = again.astype({name: kind for name, kind in COLUMNS.items() if name != "curve"})
    texts = [name for name, kind in COLUMNS.items() if kind == TEXT and name != "curve"]
    again[texts] = again[texts].astype(object).where(again[texts].notna(), None).astype(TEXT)
    again["curve"] = again["curve"].map(json.loads)
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.parametrize("num_rows", [0, 1, 8])
def test_parquet_holds_the_frame_with_its_types(frame, num_rows, tmp_path):
    frame = frame.head(num_rows)
    write_parquet(frame, tmp_path / "trials.parquet")
    again = pd.read_parquet(tmp_path / "trials.parquet")
    assert [list(curve) for curve in again["curve"]] == frame["curve"].tolist()
    pd.testing.assert_frame_equal(again.drop(columns="curve"), frame.drop(columns="curve"))


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_files_are_replaced_and_nothing_else_is_left(frame, write, tmp_path):
    write(frame, tmp_path / "trials")
    before = (tmp_path / "trials").stat().st_size
    write(frame.head(2), tmp_path / "trials")
    assert (tmp_path / "trials").stat().st_size < before
    assert [path.name for path in tmp_path.iterdir()] == ["trials"]
