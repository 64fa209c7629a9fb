"""The study in its storage: opening, seeds, enqueuing, and the time that was used."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import text

import hgcnet
from hgcnet.architecture import Task
from hgcnet.errors import RunError
from search.optuna_space import OptunaSpace
from search.pareto import CostRange, HypervolumeBounds
from search.samplers.stored_bounds import read_bounds
from search.study.attributes import (
    CODE,
    INTERRUPTED,
    STOPPED,
    UNPLANNED,
    failed_for_good,
    seconds_used,
)
from search.study.storage import open_storage, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.versions import VersionWarning, code_digest
from search.workers.protocol import Proposal, Retry
from space.limits import Limits
from space.parameters import Parameters, Range
from space.search_space import SearchSpace

QUICKSTART = tomllib.loads(
    (Path(__file__).parents[3] / "studies" / "quickstart.toml").read_text(encoding="utf-8")
)
TASK = Task(in_channels=1, num_classes=10, resolution=8)
# 12 networks
SPACE = OptunaSpace(
    SearchSpace(
        Parameters(
            depth=Range(low=1, high=2), groups=Range(low=1, high=2), growth=Range(low=4, high=6)
        ),
        Limits(),
        TASK,
    )
)


def study_file(**changes: Any) -> StudyFile:
    return parse_study_file(QUICKSTART | {"sampler": {"kind": "random"}} | changes, "x.toml")


def open_writer(storage: BaseStorage | None = None, **changes: Any) -> StudyWriter:
    return StudyWriter(storage or InMemoryStorage(), study_file(**changes), SPACE)


def ask(writer: StudyWriter) -> Proposal:
    proposal = writer.ask()
    assert proposal is not None
    return proposal


def close(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    opened = open_storage(sqlite_url(tmp_path))
    yield opened
    close(opened)


# -- opening -------------------------------------------------------------------------------------


def test_sqlite_is_read_while_it_is_written(storage: RDBStorage, tmp_path: Path) -> None:
    assert (tmp_path / "study.db").exists()
    with storage.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1  # NORMAL
    open_writer(storage)
    reader = open_storage(sqlite_url(tmp_path))
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE studies SET study_name = 'x' WHERE study_id = -1"))
        names = [study.study_name for study in reader.get_all_studies()]
    assert names == ["quickstart"]
    close(reader)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:hush@nowhere.invalid/db", "the storage cannot be opened: "),
        ("nothing://me:hush@host/db", "the storage's URL cannot be used; "),
        ("me:hush@host/db", "the storage's URL cannot be used; "),
        ("sqlite:////nowhere/at/all/study.db", "the study's database cannot be opened: "),
    ],
)
def test_a_storage_that_cannot_be_opened_is_refused_without_its_password(
    url: str, message: str
) -> None:
    with pytest.raises(RunError) as caught:
        open_storage(url)
    assert str(caught.value).startswith(message)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"what is this? " * 1000)
    with pytest.raises(
        RunError, match="the study's database cannot be opened: file is not a database"
    ):
        open_storage(sqlite_url(tmp_path))


def test_a_new_study_stores_what_it_is(storage: RDBStorage) -> None:
    writer = open_writer(storage)
    study = optuna.load_study(study_name="quickstart", storage=storage)
    assert json.loads(study.user_attrs["study_file"]) == study_file().document
    assert study.user_attrs["task"] == TASK.sizes
    assert study.metric_names == ["val_accuracy", "flops"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert writer.frozen_trials() == []


def attributes_of(storage: BaseStorage) -> dict[str, Any]:
    return dict(optuna.load_study(study_name="quickstart", storage=storage).user_attrs)


def test_opening_it_again_changes_only_the_budget_and_the_workers(storage: RDBStorage) -> None:
    bounds = open_writer(storage).hypervolume_bounds()
    before = attributes_of(storage)
    again = open_writer(storage, budget={"trials": 1}, workers={"cpus": 3})
    after = attributes_of(storage)
    old, new = json.loads(before.pop("study_file")), json.loads(after.pop("study_file"))
    assert after == before
    assert (new.pop("budget"), new.pop("workers")["cpus"]) == (
        {"trials": 1, "max_failure_share": 0.5},
        3,
    )
    assert new == {key: old[key] for key in new}
    assert again.hypervolume_bounds() == bounds


WITH_DIRECTIONS = [
    {"metric": "val_accuracy", "direction": "maximize"},
    {"metric": "flops", "direction": "minimize"},
]


def started_with_directions(storage: BaseStorage) -> None:
    """Leaves a study as earlier versions stored it."""
    open_writer(storage)
    study = optuna.load_study(study_name="quickstart", storage=storage)
    stored = json.loads(study.user_attrs["study_file"]) | {"objectives": WITH_DIRECTIONS}
    study.set_user_attr("study_file", json.dumps(stored))


@pytest.mark.parametrize("objectives", [["val_accuracy", "flops"], WITH_DIRECTIONS])
def test_a_study_that_was_started_with_directions_goes_on_with_either_form(
    objectives: list[Any],
) -> None:
    storage = InMemoryStorage()
    started_with_directions(storage)
    writer = open_writer(storage, objectives=objectives)
    tell = ask(writer)
    writer.tell_finished(tell, [0.5], 1.0)
    (row,) = writer.frozen_trials()
    assert row.values == [0.5, row.user_attrs["flops"]]
    open_writer(storage, objectives=objectives)  # as it is stored now


def test_a_study_that_was_started_with_names_goes_on_with_directions() -> None:
    storage = InMemoryStorage()
    open_writer(storage)
    open_writer(storage, objectives=WITH_DIRECTIONS)


def test_other_objectives_are_refused_whatever_their_form() -> None:
    storage = InMemoryStorage()
    started_with_directions(storage)
    with pytest.raises(RunError, match=r"objectives\[1\]: 'num_params' given, but .* with 'flops'"):
        open_writer(storage, objectives=["val_accuracy", "num_params"])


@pytest.mark.parametrize("costs", [("flops",), ("num_params",), ("num_params", "flops")])
def test_the_bounds_of_the_objectives_are_stored_as_numbers_by_name(
    storage: RDBStorage, costs: tuple[str, ...]
) -> None:
    writer = open_writer(storage, objectives=["val_accuracy", *costs])
    bounds = writer.hypervolume_bounds()
    assert bounds.metrics == costs
    assert bounds.reference_accuracy is None
    ranges = {cost: SPACE.space.cost_range(cost) for cost in costs}
    assert [(cost.low, cost.high) for cost in bounds.costs] == list(ranges.values())
    assert writer.set_reference_accuracy(0.25) == replace(bounds, reference_accuracy=0.25)
    study = optuna.load_study(study_name="quickstart", storage=storage)
    expected: dict[str, float] = {"reference_accuracy": 0.25}
    for cost, (low, high) in ranges.items():
        expected |= {f"{cost}_low": low, f"{cost}_high": high}
    assert study.user_attrs["hypervolume"] == expected
    assert read_bounds(study, SPACE.space, costs) == writer.hypervolume_bounds()


def test_bounds_that_an_earlier_version_stored_stand_and_what_is_missing_is_filled_in() -> None:
    storage = InMemoryStorage()
    open_writer(storage, objectives=["val_accuracy", "num_params", "flops"])
    study = optuna.load_study(study_name="quickstart", storage=storage)
    old = {"flops_low": 5.0, "flops_high": 50.0, "reference_accuracy": None}
    study.set_user_attr("hypervolume", old)
    writer = open_writer(storage, objectives=["val_accuracy", "num_params", "flops"])
    low, high = SPACE.space.cost_range("num_params")
    params = CostRange(metric="num_params", low=low, high=high)
    flops = CostRange(metric="flops", low=5.0, high=50.0)
    expected = HypervolumeBounds(costs=(params, flops), reference_accuracy=None)
    assert writer.hypervolume_bounds() == expected
    assert study.user_attrs["hypervolume"] == old  # nothing is written for a look
    writer.set_reference_accuracy(0.5)
    assert writer.hypervolume_bounds() == replace(expected, reference_accuracy=0.5)


def test_a_study_of_another_file_is_refused() -> None:
    storage = InMemoryStorage()
    open_writer(storage)
    with pytest.raises(RunError) as caught:
        open_writer(storage, seed=1)
    assert str(caught.value) == (
        "x.toml: seed: 1 given, but the study 'quickstart' was started with 0; only [budget] and "
        "[workers] may change. Change it back, or give the new study another name"
    )


# -- proposals -----------------------------------------------------------------------------------


def test_a_study_whose_images_give_another_task_now_is_refused() -> None:
    """Grey files were read as RGB once, and a class may have come: its counts were other ones."""
    storage = InMemoryStorage()
    parameters = Parameters(depth=1, groups=1, growth=4)
    space = OptunaSpace(SearchSpace(parameters, Limits(), replace(TASK, in_channels=3)))
    StudyWriter(storage, study_file(), space)
    with pytest.raises(
        RunError, match=r"^x\.toml: data\.root: .* has 1 channels, but the study .* started with 3;"
    ):
        open_writer(storage)


def test_the_seed_of_a_training_depends_on_the_study_and_the_network_only() -> None:
    cheapest = SPACE.space.cheapest()
    seeds = []
    for study_seed, others_first in ((0, 0), (0, 3), (1, 0)):
        writer = open_writer(seed=study_seed)
        rng = np.random.default_rng(0)
        for _ in range(others_first):
            architecture = SPACE.space.sample(rng, {cheapest.fingerprint, *writer._seen})
            assert architecture is not None
            writer.enqueue(architecture, "enqueued: x")
        writer.enqueue(cheapest, "cheapest")
        proposals = [ask(writer) for _ in range(others_first + 1)]
        assert proposals[-1].fingerprint == cheapest.fingerprint
        assert len({proposal.seed for proposal in proposals}) == len(proposals)
        seeds.append(proposals[-1].seed)
    assert seeds[0] == seeds[1] != seeds[2]
    assert all(0 <= seed < 2**63 for seed in seeds)  # what torch.manual_seed takes


def test_a_network_that_the_study_has_is_not_enqueued_again() -> None:
    writer = open_writer()
    proposal = ask(writer)
    assert not writer.enqueue(proposal.architecture, "enqueued: x")
    cheapest = SPACE.space.cheapest()
    if cheapest.fingerprint != proposal.fingerprint:
        assert writer.enqueue(cheapest, "enqueued: y")
        assert not writer.enqueue(cheapest, "enqueued: z")
    assert len(writer.frozen_trials()) == 2


def test_waiting_rows_are_known_to_a_writer_opened_later() -> None:
    storage = InMemoryStorage()
    assert open_writer(storage).enqueue(SPACE.space.cheapest(), "cheapest")
    writer = open_writer(storage)
    assert not writer.enqueue(SPACE.space.cheapest(), "cheapest")
    assert ask(writer).origin == "cheapest"


def test_when_all_were_proposed_what_waits_is_still_asked() -> None:
    """Every network was begun, and one of them is to be repeated."""
    storage = InMemoryStorage()
    writer = open_writer(storage)
    proposals = [ask(writer) for _ in range(12)]
    assert writer.ask() is None
    for proposal in proposals[1:]:
        writer.tell_finished(proposal, [0.1], 1.0)
    resumed = open_writer(storage)
    assert resumed.close_interrupted() == 1
    assert resumed.enqueue_retries() == 1
    assert ask(resumed).fingerprint == proposals[0].fingerprint
    assert resumed.ask() is None


def test_a_failure_is_for_good_unless_it_is_to_be_repeated() -> None:
    storage = InMemoryStorage()
    writer = open_writer(storage)
    writer.tell_failed(ask(writer), "Diverged: nan", [0.5], 1.0)
    writer.tell_stopped(ask(writer), [0.5], 1.0)
    for reason in (INTERRUPTED, STOPPED, "its worker died", STOPPED, INTERRUPTED):
        writer.tell_failed(ask(writer), reason, [], 0.0, Retry.SOON)
        writer.enqueue_retries()
    rows = writer.frozen_trials()
    assert [row.user_attrs.get("retry_of") for row in rows] == [None, None, None, 2, 3, 4, 5]
    assert [row.number for row in failed_for_good(rows)] == [0, 6]


# -- time ----------------------------------------------------------------------------------------


def row(start: float | None, stop: float | None, failure: str | None = None) -> FrozenTrial:
    """A row that ran from and to these hours."""
    trial = create_trial(
        state=TrialState.FAIL, user_attrs={} if failure is None else {"failure": failure}
    )
    midnight = datetime(2026, 1, 1)
    trial.datetime_start = None if start is None else midnight + timedelta(hours=start)
    trial.datetime_complete = None if stop is None else midnight + timedelta(hours=stop)
    return trial


@pytest.mark.parametrize(
    ("rows", "hours"),
    [
        ([], 0),
        ([row(1, 2)], 1),
        ([row(1, 2), row(2, 3)], 2),
        ([row(1, 2), row(5, 6)], 2),  # a pause between two drivers
        ([row(1, 4), row(2, 3)], 3),  # at the same time
        ([row(1, 3), row(2, 4)], 3),
        ([row(2, 4), row(1, 3), row(2.5, 2.6)], 3),
        ([row(1, 2), row(3, None), row(None, None)], 1),
        ([row(1, 2), row(2, 9, INTERRUPTED)], 1),  # told by the next driver, hours later
        ([row(1, 2), row(2, 9, UNPLANNED)], 1),
        ([row(1, 2), row(2, 3, "Diverged: nan")], 2),
    ],
)
def test_the_time_used_is_that_in_which_something_trained(
    rows: list[FrozenTrial], hours: float
) -> None:
    assert seconds_used(rows) == pytest.approx(3600 * hours)


def test_a_study_keeps_whose_code_trained_which_of_its_rows(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    storage = InMemoryStorage()
    ask(open_writer(storage))
    [began] = code_of(storage)
    assert began == {"hgcnas": hgcnet.__version__, "sources": code_digest(), "from_trial": 0}
    open_writer(storage)  # the same: nothing is said
    assert code_of(storage) == [began]
    assert not recwarn.list

    monkeypatch.setattr("search.study.same_study.code_digest", lambda: "0123456789ab")
    said = (
        rf"^the study 'quickstart' continues with different code: hgcnas {hgcnet.__version__} \(0123456789ab\); "
        rf"its 1 trials so far ran with {hgcnet.__version__} \({code_digest()}\)$"
    )
    with pytest.warns(VersionWarning, match=said):
        open_writer(storage)
    open_writer(storage)  # said once
    assert code_of(storage) == [began, began | {"sources": "0123456789ab", "from_trial": 1}]


def test_a_study_of_unknown_code_goes_on_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    storage = InMemoryStorage()
    ask(open_writer(storage))
    study = optuna.load_study(study_name="quickstart", storage=storage)
    study.set_user_attr(CODE, [])  # as if it had none
    open_writer(storage)
    assert [code["from_trial"] for code in code_of(storage)] == [1]
    assert not recwarn.list


def code_of(storage: BaseStorage) -> list[dict[str, Any]]:
    """What a study keeps of the code that trained it."""
    return optuna.load_study(study_name="quickstart", storage=storage).user_attrs[CODE]  # type: ignore[no-any-return]
