"""The search loop, driven by hand with trainings that are a formula: order, budget, stops, deaths.

A death is a loop that is dropped without `close` while trainings run: that is all the storage sees
of it. The next loop then opens the same storage, as the next `hgcnas run` does.
"""

import io
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from hgcnet.errors import RunError, SpaceError
from search.optuna_space import OptunaSpace
from search.pareto import normalised_hypervolume
from search.results.trials import are_on_front
from search.study.attributes import INTERRUPTED, UNPLANNED
from search.study.budget import MIN_FAILURES
from search.study.progress import Progress
from search.study.retrying_storage import RetryingStorage
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.training.checkpoints import Checkpoints
from search.workers.protocol import Proposal, Retry, Wait
from space.search_space import SearchSpace

STUDY = """
name = "by_hand"
seed = 3
objectives = ["val_accuracy", "flops"]
budget = { trials = 12 }
data = { dataset = "digits", resolution = 8 }
limits = { flops = 60000 }
sampler = { kind = "random" }
early_stopping = { kind = "moasha", min_epochs = 2, reduction_factor = 2 }
proxy = { epochs = 6 }

[space]
stem_channels = 8
depth = { low = 1, high = 3, per_stage = true }
groups = { choice = [1, 2, 4], per_stage = true }
growth = 4
bottleneck = 2
"""
TASK = Task(in_channels=1, num_classes=10, resolution=8)
EPOCHS = 6


class Died(Exception):
    """The driver's process is gone."""


Failing = Callable[[Proposal, int], str | None]  # why a training fails in an epoch, or None


def study_file(**changes: Any) -> StudyFile:
    """The study above with whole tables or keys such as `budget` replaced or, if None, taken away."""
    document = tomllib.loads(STUDY) | changes
    document = {key: value for key, value in document.items() if value is not None}
    return parse_study_file(document, "by_hand.toml")


def whole_trainings(**changes: Any) -> StudyFile:
    """The same without early stopping."""
    return study_file(early_stopping=None, **changes)


SPACE = OptunaSpace(SearchSpace(study_file().parameters, study_file().limits, TASK))


def pretend_accuracy(architecture: Architecture, epoch: int) -> float:
    """Rises with the epochs; the fingerprint decides how far. A third of seven digits of decimals."""
    best = 0.5 + int(architecture.fingerprint[:4], 16) / 2**17
    return best * (1 - 0.5**epoch) + 1e-7 / 3


def open_loop(
    storage: BaseStorage,
    file: StudyFile | None = None,
    space: OptunaSpace = SPACE,
    start_with: dict[str, Architecture] | None = None,
    **options: Any,
) -> SearchLoop:
    file = file or study_file()
    writer = StudyWriter(storage, file, space)
    return SearchLoop(file, space, writer, start_with or {}, **options)


def drive(
    loop: SearchLoop,
    *,
    workers: int = 2,
    dies_after: int | None = None,
    failing: Failing = lambda proposal, epoch: None,
) -> list[Proposal]:
    """Runs a loop to its end, an epoch of each worker in turn; what was proposed, in order.

    Raises:
        Died: after `dies_after` epochs, with what runs left as it is.
    """
    proposals: list[Proposal] = []
    epochs: dict[int, int] = {}  # of what runs
    running: list[Proposal] = []
    epochs_done = 0
    while True:
        while len(running) < workers:
            proposal = loop.next()
            if isinstance(proposal, Wait):
                break
            proposals.append(proposal)
            running.append(proposal)
            epochs[proposal.number] = 0
        if not running:
            assert proposal is Wait.DONE
            loop.close()
            return proposals
        if len(running) < workers:
            assert proposal is Wait.FOR_RUNNING
        for trained in list(running):
            number = trained.number
            epochs[number] += 1
            if (reason := failing(trained, epochs[number])) is not None:
                running.remove(trained)
                loop.on_failure(number, reason)
                continue
            accuracy = pretend_accuracy(trained.architecture, epochs[number])
            if not loop.on_epoch(number, epochs[number], accuracy, 0.5):
                running.remove(trained)
                loop.on_end(number)
            epochs_done += 1
            if epochs_done == dies_after:
                raise Died


def drive_to_death(loop: SearchLoop, after: int, **options: Any) -> None:
    with pytest.raises(Died):
        drive(loop, dies_after=after, **options)


def rows_of(loop: SearchLoop) -> list[FrozenTrial]:
    return loop._writer.frozen_trials()


def fingerprints(rows: list[FrozenTrial]) -> list[str]:
    return [SPACE.decode(row.params).fingerprint for row in rows]


def trained(rows: list[FrozenTrial]) -> list[FrozenTrial]:
    return [row for row in rows if row.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def some_networks(number: int) -> dict[str, Architecture]:
    """Networks of the space, not the cheapest."""
    rng, seen = np.random.default_rng(5), {SPACE.space.cheapest().fingerprint}
    networks = {}
    for index in range(number):
        architecture = SPACE.space.sample(rng, seen)
        assert architecture is not None
        seen.add(architecture.fingerprint)
        networks[f"network_{index}"] = architecture
    return networks


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BaseStorage]:
    """The SQLite of a run folder."""
    opened = open_writer(sqlite_url(tmp_path), "study")
    yield opened
    close(opened)


def close(storage: RetryingStorage) -> None:
    storage.remove_session()
    storage.close()


# -- order and budget ----------------------------------------------------------------------------


def test_the_cheapest_comes_first_then_what_was_named_then_the_sampler(
    storage: BaseStorage,
) -> None:
    networks = some_networks(2)
    proposals = drive(open_loop(storage, start_with=networks))
    assert [proposal.origin for proposal in proposals[:5]] == [
        "cheapest",
        "start_with: network_0",
        "start_with: network_1",
        None,
        None,
    ]
    assert [p.architecture for p in proposals[:3]] == [SPACE.space.cheapest(), *networks.values()]


def test_what_is_named_twice_is_trained_once() -> None:
    network = some_networks(1)["network_0"]
    named = {"a": network, "b": network, "c": SPACE.space.cheapest()}
    proposals = drive(open_loop(InMemoryStorage(), start_with=named))
    assert [p.origin for p in proposals if p.origin] == ["cheapest", "start_with: a"]
    assert len({p.fingerprint for p in proposals}) == len(proposals)


def test_what_is_enqueued_meanwhile_is_trained_next_and_to_the_end() -> None:
    networks = some_networks(3)
    waiting = [{}, {}, {}, {}, networks, {"again": networks["network_0"]}]
    loop = open_loop(InMemoryStorage(), next_enqueued=lambda: waiting.pop(0) if waiting else {})
    proposals = drive(loop)
    enqueued = [p for p in proposals if (p.origin or "").startswith("enqueued: ")]
    assert [p.origin for p in enqueued] == [f"enqueued: network_{i}" for i in range(3)]
    assert {rows_of(loop)[p.number].state for p in enqueued} == {TrialState.COMPLETE}


def test_enqueuing_what_lies_outside_the_space_is_refused_and_leaves_no_trace() -> None:
    loop = open_loop(InMemoryStorage())
    outside = Architecture(stages=SPACE.space.cheapest().stages, stem_channels=64)
    before = len(rows_of(loop))
    for _ in range(2):
        with pytest.raises(SpaceError, match="stem_channels = 64"):
            loop._writer.enqueue(outside, "enqueued: x")
    assert len(rows_of(loop)) == before


def test_what_was_put_in_the_queue_by_hand_and_lies_outside_is_said_and_left_out() -> None:
    outside = Architecture(stages=SPACE.space.cheapest().stages, stem_channels=64)
    waiting, said = [{"mine": outside}], list[str]()
    loop = open_loop(
        InMemoryStorage(),
        next_enqueued=lambda: waiting.pop() if waiting else {},
        observe=lambda progress: said.append(progress.message),
    )
    assert isinstance(loop.next(), Proposal)
    assert said[0].startswith("mine is not enqueued: stem_channels = 64 ")


def test_the_budget_counts_what_was_trained_and_not_what_failed(storage: BaseStorage) -> None:
    def failing(proposal: Proposal, epoch: int) -> str | None:
        return "Diverged: nan" if proposal.number % 4 == 1 and epoch == 1 else None

    loop = open_loop(storage)
    drive(loop, workers=3, failing=failing)
    states = Counter(row.state for row in rows_of(loop))
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == 12
    assert states[TrialState.FAIL] >= 3
    assert states.keys() <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    progress = loop.progress()
    assert (progress.finished, progress.stopped, progress.failed) == (
        states[TrialState.COMPLETE],
        states[TrialState.PRUNED],
        states[TrialState.FAIL],
    )
    assert loop.end_reason == "its budget of 12 trials is used"
    assert not loop.has_work


@pytest.mark.parametrize("workers", [1, 5, 20])
def test_the_budget_is_met_exactly_however_many_train_at_once(workers: int) -> None:
    loop = open_loop(InMemoryStorage())
    assert len(drive(loop, workers=workers)) == 12
    assert loop.progress().trained == 12


def test_the_hours_are_a_budget_too() -> None:
    loop = open_loop(InMemoryStorage(), study_file(budget={"trials": 12, "hours": 1e-9}))
    assert drive(loop) == []
    assert loop.end_reason == "its 1e-09 hours are used"
    assert not loop.has_work


def test_hours_used_by_earlier_drivers_count() -> None:
    storage = InMemoryStorage()
    loop = open_loop(storage)
    for network in some_networks(2).values():
        row = create_trial(
            state=TrialState.PRUNED,
            params=SPACE.encode(network),
            distributions=SPACE.distributions,
            user_attrs={"curve": [0.1, 0.2]},
        )
        row.datetime_start, row.datetime_complete = (
            datetime(2026, 1, 1, 9),
            datetime(2026, 1, 1, 10),
        )
        loop._writer._study.add_trial(row)
    assert open_loop(storage, study_file(budget={"trials": 12, "hours": 1.01})).has_work
    for hours, to_come in ((None, 10), (3.01, 4), (99, 10)):  # two were trained in an hour
        budget = {"trials": 12} | ({} if hours is None else {"hours": hours})
        assert open_loop(storage, study_file(budget=budget))._budget.to_come() == to_come
    used = open_loop(storage, study_file(budget={"trials": 12, "hours": 1.0}))
    assert not used.has_work
    assert used.next() is Wait.DONE
    assert used.end_reason == "its 1 hours are used"


def test_a_space_that_is_used_up_ends_the_study() -> None:
    space = tomllib.loads(STUDY)["space"] | {"depth": 1, "groups": {"choice": [1, 2, 4]}}
    file = study_file(space=space)
    small = OptunaSpace(SearchSpace(file.parameters, file.limits, TASK))
    loop = open_loop(InMemoryStorage(), file, small)
    proposals = drive(loop, workers=2)
    assert len(proposals) == small.space.num_networks() == 3
    assert loop.end_reason == "every feasible architecture of the space has been proposed"


def test_a_larger_budget_continues_a_study_that_was_done(storage: BaseStorage) -> None:
    drive(open_loop(storage))
    done = open_loop(storage)
    assert not done.has_work
    more = open_loop(storage, study_file(budget={"trials": 15}, workers={"cpus": 2}))
    assert more.has_work
    assert len(drive(more)) == 3
    assert len(set(fingerprints(trained(rows_of(more))))) == 15


# -- what is stored ------------------------------------------------------------------------------


def test_rows_hold_what_was_measured(storage: BaseStorage) -> None:
    unlucky: list[int] = []

    def failing(proposal: Proposal, epoch: int) -> str | None:
        if epoch == 3 and proposal.origin is None and not unlucky:
            unlucky.append(proposal.number)
            return "OutOfMemoryError: 3 GiB"
        return None

    loop = open_loop(storage)
    proposals = {p.number: p for p in drive(loop, failing=failing)}
    rows = rows_of(loop)
    assert {row.state for row in rows} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    for row in rows:
        architecture = proposals[row.number].architecture
        cost = count(architecture, TASK)
        attributes = row.user_attrs
        curve = [
            round(pretend_accuracy(architecture, epoch), 6)
            for epoch in range(1, len(attributes["curve"]) + 1)
        ]
        assert attributes["curve"] == curve
        assert attributes["seconds"] == 0.5 * len(curve)
        assert attributes["fingerprint"] == architecture.fingerprint
        assert attributes["architecture"] == str(architecture)
        assert attributes["flops"] == cost.flops
        assert attributes["num_params"] == cost.num_params
        assert attributes["num_params_total"] == cost.num_params_total
        failure = "OutOfMemoryError: 3 GiB" if row.number in unlucky else None
        assert attributes.get("failure") == failure
        if row.state == TrialState.COMPLETE:
            assert len(curve) == EPOCHS
            assert row.values == [curve[-1], cost.flops]
        else:
            assert row.values is None
            assert 2 <= len(curve) < EPOCHS
    assert len(rows[unlucky[0]].user_attrs["curve"]) == 2


def test_values_stand_in_the_order_of_the_objectives() -> None:
    objectives = ["num_params", "val_accuracy"]
    loop = open_loop(InMemoryStorage(), whole_trainings(objectives=objectives))
    drive(loop)
    for row in rows_of(loop):
        assert row.values == [row.user_attrs["num_params"], row.user_attrs["curve"][-1]]
    assert loop._writer._study.metric_names == ["num_params", "val_accuracy"]


def test_what_was_stopped_never_enters_the_front(storage: BaseStorage) -> None:
    loop = open_loop(storage, study_file(budget={"trials": 30}))
    drive(loop, workers=4)
    rows = rows_of(loop)
    assert sum(row.state == TrialState.PRUNED for row in rows) >= 5
    front = loop._writer._study.best_trials
    assert {row.state for row in front} == {TrialState.COMPLETE}
    kept = are_on_front(rows, loop._file.metrics)
    on_front = {row.number for row, is_kept in zip(rows, kept, strict=True) if is_kept}
    assert on_front == {row.number for row in front}
    finished = [row for row in rows if row.state == TrialState.COMPLETE]
    accuracy, flops = np.array([row.values for row in finished]).T
    progress = loop.progress()
    assert progress.highest_accuracy == accuracy.max()
    assert progress.hypervolume == pytest.approx(
        normalised_hypervolume(accuracy, flops[:, None], loop._writer.hypervolume_bounds())
    )


OBJECTIVES = {
    "flops": [{"metric": "flops", "direction": "minimize"}],
    "params": [{"metric": "num_params", "direction": "minimize"}],
    "both": [
        {"metric": "num_params", "direction": "minimize"},
        {"metric": "flops", "direction": "minimize"},
    ],
}


def of_objectives(name: str, **changes: Any) -> StudyFile:
    objectives = [{"metric": "val_accuracy", "direction": "maximize"}, *OBJECTIVES[name]]
    return study_file(objectives=objectives, **changes)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_progress_is_by_the_objectives(name: str) -> None:
    file = of_objectives(name, early_stopping=None, budget={"trials": 20})
    storage = InMemoryStorage()
    loop = open_loop(storage, file)
    drive(loop)
    values = np.array([row.values for row in rows_of(loop)])
    progress = loop.progress()
    bounds = loop._writer.hypervolume_bounds()
    assert bounds.metrics == file.costs
    assert progress.hypervolume == pytest.approx(
        normalised_hypervolume(values[:, 0], values[:, 1:], bounds)
    )
    assert 0 < progress.hypervolume < 1
    resumed = open_loop(storage, file).progress()
    assert resumed.hypervolume == progress.hypervolume


@pytest.mark.parametrize("name", OBJECTIVES)
def test_rungs_hold_the_losses_of_the_objectives(name: str) -> None:
    loop = open_loop(InMemoryStorage(), of_objectives(name))
    drive(loop)
    assert loop._rungs is not None
    rows = rows_of(loop)
    for number, losses in loop._rungs._entries[2].items():
        attributes = rows[number].user_attrs
        costs = [attributes[objective["metric"]] for objective in OBJECTIVES[name]]
        expected = (1 - attributes["curve"][1], *np.log(costs).tolist())
        assert losses == pytest.approx(
            expected, rel=1e-15
        )  # NumPy 1: one log is not the log of many


def test_what_people_named_is_never_stopped_early() -> None:
    networks = some_networks(6)
    loop = open_loop(InMemoryStorage(), study_file(budget={"trials": 30}), start_with=networks)
    drive(loop, workers=3)
    for row in rows_of(loop):
        if "origin" in row.user_attrs:
            assert row.state == TrialState.COMPLETE
    assert any(row.state == TrialState.PRUNED for row in rows_of(loop))


def test_every_change_is_reported() -> None:
    seen: list[Progress] = []
    loop = open_loop(InMemoryStorage(), observe=seen.append)
    drive(loop, workers=3)
    assert max(progress.running for progress in seen) == 3
    for before, after in pairwise(seen):
        assert after.trained - before.trained in (0, 1)
        assert not after.hypervolume < before.hypervolume
    assert np.isnan(seen[0].hypervolume)
    assert np.isnan(seen[0].highest_accuracy)
    messages = [progress.message for progress in seen if progress.message]
    assert sum("starts" in message for message in messages) == 12
    assert sum("finished" in m or "stopped" in m for m in messages) == 12
    assert (seen[-1].running, seen[-1].trained, seen[-1].seconds_left) == (0, 12, 0.0)


# -- the hypervolume's corner points -------------------------------------------------------------


def test_the_cheapest_network_sets_the_reference_accuracy_once(storage: BaseStorage) -> None:
    loop = open_loop(storage)
    assert loop._writer.hypervolume_bounds().reference_accuracy is None
    drive(loop)
    cheapest = rows_of(loop)[0]
    bounds = loop._writer.hypervolume_bounds()
    assert cheapest.user_attrs["origin"] == "cheapest"
    assert bounds.reference_accuracy == cheapest.user_attrs["curve"][-1]
    (flops,) = bounds.costs
    assert flops.low == cheapest.user_attrs["flops"]
    assert flops.high == 60000
    resumed = open_loop(storage, study_file(budget={"trials": 20}))
    drive(resumed)
    assert resumed._writer.hypervolume_bounds() == bounds


def test_without_a_limit_the_reference_flops_are_the_spaces_most() -> None:
    file = study_file(limits=None)
    space = OptunaSpace(SearchSpace(file.parameters, file.limits, TASK))
    bounds = open_loop(InMemoryStorage(), file, space)._writer.hypervolume_bounds()
    (flops,) = bounds.costs
    assert (flops.low, flops.high) == space.space.flops_range()


def test_a_reference_accuracy_in_the_file_stands() -> None:
    objectives = [{"metric": "val_accuracy", "reference": 0.2}, "flops"]
    loop = open_loop(InMemoryStorage(), study_file(objectives=objectives))
    assert loop.progress().hypervolume == 0.0
    drive(loop)
    assert loop._writer.hypervolume_bounds().reference_accuracy == 0.2


def test_if_the_cheapest_network_fails_the_reference_is_chance() -> None:
    loop = open_loop(InMemoryStorage())
    drive(loop, failing=lambda p, epoch: "Diverged: nan" if p.origin == "cheapest" else None)
    assert loop._writer.hypervolume_bounds().reference_accuracy == 0.1


def test_a_death_before_the_reference_is_written_does_not_lose_it() -> None:
    storage = InMemoryStorage()
    loop = open_loop(storage)
    cheapest = loop.next()
    assert isinstance(cheapest, Proposal)
    loop._writer.tell_finished(cheapest, [0.1, 0.2, 0.3, 0.3, 0.35, 0.4], 3.0)
    assert loop._writer.hypervolume_bounds().reference_accuracy is None
    assert open_loop(storage)._writer.hypervolume_bounds().reference_accuracy == 0.4


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_a_study_whose_first_trainings_all_fail_stops(workers: int) -> None:
    loop = open_loop(InMemoryStorage())
    with pytest.raises(RunError) as caught:
        drive(loop, workers=workers, failing=lambda proposal, epoch: "RuntimeError: no CUDA")
    assert str(caught.value) == (
        f"{MIN_FAILURES} of {MIN_FAILURES} trainings failed, more than budget.max_failure_share "
        "allows; the last failure: RuntimeError: no CUDA"
    )
    assert loop.stop_requested
    assert isinstance(loop.next(), Wait)
    loop.close()
    failures = [row.user_attrs.get("failure") for row in rows_of(loop)]
    assert failures.count("RuntimeError: no CUDA") == MIN_FAILURES


@pytest.mark.parametrize(("share", "stops"), [(0.5, True), (0.7, False), (1.0, False)])
def test_a_study_stops_at_the_share_of_failures_in_its_file(share: float, stops: bool) -> None:
    budget = {"trials": 5, "max_failure_share": share}
    loop = open_loop(InMemoryStorage(), study_file(budget=budget))

    def failing(proposal: Proposal, epoch: int) -> str | None:
        return None if proposal.number % 3 == 0 else "Diverged: nan"

    if stops:
        with pytest.raises(RunError, match=r"^5 of 8 trainings failed, more than budget\.max_fail"):
            drive(loop, workers=1, failing=failing)
    else:
        drive(loop, workers=1, failing=failing)
        assert (loop.progress().trained, loop.progress().failed) == (5, 8)


def test_failures_under_an_earlier_driver_do_not_stop_the_next_one() -> None:
    storage = InMemoryStorage()
    with pytest.raises(RunError):
        drive(open_loop(storage), failing=lambda proposal, epoch: "no space left")
    loop = open_loop(storage)
    drive(loop, workers=1, failing=lambda p, epoch: "x" if p.number == 12 else None)
    assert loop.progress().trained == 12


@pytest.mark.parametrize("fits_alone", [True, False])
def test_what_has_to_be_alone_comes_last_and_once(fits_alone: bool) -> None:
    loop = open_loop(InMemoryStorage(), whole_trainings())
    proposals: list[Proposal] = []
    while isinstance(proposal := loop.next(), Proposal):
        proposals.append(proposal)
        if proposal.number in (3, 5) or (proposal.alone and not fits_alone):
            loop.on_failure(proposal.number, "out of memory", Retry.ALONE)
            continue
        for epoch in range(1, EPOCHS + 1):
            loop.on_epoch(proposal.number, epoch, 0.5, 1.0)
        loop.on_end(proposal.number)
    assert proposal is Wait.DONE
    assert loop.progress().trained == 12
    alone = [p for p in proposals if p.alone]
    assert [rows_of(loop)[p.number].user_attrs["retry_of"] for p in alone] == [3, 5]
    assert [p.number for p in alone] == [12, 13]  # when ten of twelve were trained
    assert loop.progress().failed == (0 if fits_alone else 2)


def test_a_checkpoint_that_the_worker_could_not_use_leaves_no_trace(tmp_path: Path) -> None:
    """The worker begins anew at the first epoch; the curve is then its own."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    loop = open_loop(InMemoryStorage(), whole_trainings(), checkpoints=checkpoints)
    first = loop.next()
    assert isinstance(first, Proposal)
    buffer = io.BytesIO()
    torch.save({"curve": [0.1, 0.2, 0.3], "seconds": 3.0}, buffer)
    loop.on_checkpoint(first.number, buffer.getvalue())
    loop.on_failure(first.number, "its worker died", Retry.SOON)
    repeat = loop.next()
    assert isinstance(repeat, Proposal)
    assert repeat.checkpoint == buffer.getvalue()
    assert loop._running[repeat.number].curve == [0.1, 0.2, 0.3]
    for epoch in range(1, EPOCHS + 1):
        loop.on_epoch(repeat.number, epoch, 0.5 + epoch / 100, 1.0)
    loop.on_end(repeat.number)
    curve = rows_of(loop)[repeat.number].user_attrs["curve"]
    assert curve == [0.51, 0.52, 0.53, 0.54, 0.55, 0.56]
    assert list(checkpoints.folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"what is this?", b"PK\x03\x04" * 100])
def test_a_damaged_checkpoint_is_as_none(tmp_path: Path, content: bytes) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save("0123456789abcdef", content)
    assert checkpoints.load("0123456789abcdef") is None
    assert checkpoints.load("fedcba9876543210") is None
    checkpoints.keep_only(set())
    assert list(checkpoints.folder.iterdir()) == []


def test_the_next_driver_keeps_the_checkpoints_of_what_it_repeats_and_no_others(
    tmp_path: Path,
) -> None:
    storage, checkpoints = InMemoryStorage(), Checkpoints(tmp_path / "checkpoints")
    first = open_loop(storage, checkpoints=checkpoints).next()
    assert isinstance(first, Proposal)
    for fingerprint in (first.fingerprint, "0123456789abcdef"):
        checkpoints.save(fingerprint, b"")
    open_loop(storage, checkpoints=checkpoints)  # the first one's process died
    assert [path.name for path in checkpoints.folder.iterdir()] == [first.fingerprint]


def test_a_network_that_failed_is_not_trained_again() -> None:
    storage = InMemoryStorage()
    drive_to_death(open_loop(storage), 20, failing=lambda p, epoch: "x" if p.number == 2 else None)
    loop = open_loop(storage)
    drive(loop)
    failed = [row for row in rows_of(loop) if row.user_attrs.get("failure") == "x"]
    assert len(failed) == 1
    assert fingerprints(rows_of(loop)).count(fingerprints(failed)[0]) == 1


# -- deaths --------------------------------------------------------------------------------------


def interrupted(loop: SearchLoop) -> int:
    return sum(row.user_attrs.get("failure") == INTERRUPTED for row in rows_of(loop))


def test_a_driver_that_died_is_continued(storage: BaseStorage, tmp_path: Path) -> None:
    drive_to_death(open_loop(storage), 15, workers=3)
    study = optuna.load_study(study_name="by_hand", storage=storage)
    running = [row.number for row in study.trials if row.state == TrialState.RUNNING]
    assert len(running) == 3
    another = open_writer(sqlite_url(tmp_path), "study")
    loop = open_loop(another)
    assert interrupted(loop) == 3
    proposals = drive(loop, workers=3)
    rows = rows_of(loop)
    assert {row.state for row in rows} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    for number in running:
        assert rows[number].state == TrialState.FAIL
        assert rows[number].user_attrs["failure"] == INTERRUPTED
        repeats = [row for row in rows if row.user_attrs.get("retry_of") == number]
        assert len(repeats) == 1
        assert repeats[0].params == rows[number].params
        assert repeats[0].state in (TrialState.COMPLETE, TrialState.PRUNED)
    assert [p.number for p in proposals[:3]] == [
        row.number for row in rows if "retry_of" in row.user_attrs
    ]
    assert len(trained(rows)) == 12
    assert len(set(fingerprints(trained(rows)))) == 12
    close(another)


def test_a_study_that_was_copied_goes_on_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    original = open_writer(sqlite_url(here), "study")
    drive_to_death(open_loop(original), 15, workers=3)
    shutil.copytree(here, there)  # with what the write-ahead log still holds
    copied = open_writer(sqlite_url(there), "study")
    before = rows_of(open_loop(copied))
    loop = open_loop(copied)
    drive(loop, workers=3)
    check_whole(loop, 12)
    ended = [row.number for row in before if row.state == TrialState.COMPLETE]
    assert [rows_of(loop)[number].values for number in ended] == [
        before[number].values for number in ended
    ]
    close(original)
    close(copied)


def test_a_repeat_is_the_same_training() -> None:
    """The same network with the same seed gives the same result, and keeps where it came from."""
    storage = InMemoryStorage()
    loop = open_loop(storage, start_with=some_networks(1))
    first = [loop.next() for _ in range(3)]
    again_loop = open_loop(storage, start_with=some_networks(1))
    again = [again_loop.next() for _ in range(3)]
    for before, after in zip(first, again, strict=True):
        assert isinstance(before, Proposal)
        assert isinstance(after, Proposal)
        assert before.number != after.number
        assert (before.architecture, before.seed, before.fingerprint, before.origin) == (
            after.architecture,
            after.seed,
            after.fingerprint,
            after.origin,
        )
    assert len({proposal.seed for proposal in first if isinstance(proposal, Proposal)}) == 3


def test_starting_again_and_again_enqueues_a_repeat_once() -> None:
    storage = InMemoryStorage()
    drive_to_death(open_loop(storage), 3, workers=2)
    num_rows = len(rows_of(open_loop(storage)))
    assert [len(rows_of(open_loop(storage))) for _ in range(3)] == [num_rows] * 3


def state_of(epochs: int) -> bytes:
    """What a checkpoint of a training of so many epochs says of itself."""
    buffer = io.BytesIO()
    torch.save({"curve": [0.1] * epochs, "seconds": 1.0 * epochs}, buffer)
    return buffer.getvalue()


def begun_by_each_driver(storage: BaseStorage, kept: list[int], **options: Any) -> list[Proposal]:
    """What each driver trains first after the cheapest network, until it is killed; `kept` are the epochs of
    the checkpoint that it leaves."""
    proposals = []
    for epochs in kept:
        proposal = open_loop(storage, whole_trainings(), **options).next()
        assert isinstance(proposal, Proposal)
        if epochs:
            options["checkpoints"].save(proposal.fingerprint, state_of(epochs))
        proposals.append(proposal)
    return proposals


@pytest.fixture
def after_the_cheapest() -> BaseStorage:
    """A study whose cheapest network is trained."""
    storage = InMemoryStorage()
    loop = open_loop(storage, whole_trainings(budget={"trials": 1}))
    assert len(drive(loop)) == 1
    return storage


@pytest.mark.parametrize(
    ("kept", "is_given_up"),
    [
        ([0, 0, 0], True),
        ([0, 0], False),
        ([1, 2, 3, 4, 5, 5, 5], False),  # every one of them got further, but the last two
        ([1, 1, 1, 2, 2, 2], False),
        ([1, 1, 2, 2, 2, 2], True),
        ([2, 0, 0, 0], True),  # none is as the one before
    ],
)
def test_only_cuts_in_a_row_without_progress_give_a_training_up(
    kept: list[int], is_given_up: bool, after_the_cheapest: BaseStorage, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    options: Any = {"start_with": some_networks(1), "checkpoints": checkpoints}
    first, *others = begun_by_each_driver(after_the_cheapest, kept, **options)
    assert first.origin == "start_with: network_0"
    assert {proposal.fingerprint for proposal in others} == {first.fingerprint}
    loop = open_loop(after_the_cheapest, whole_trainings(), **options)
    proposal = loop.next()
    assert isinstance(proposal, Proposal)
    assert (proposal.fingerprint != first.fingerprint) == is_given_up
    assert loop.progress().failed == is_given_up
    assert checkpoints.folder.is_dir() == (kept[0] > 0)
    left = [path.name for path in checkpoints.folder.glob("*")]
    assert left == ([] if is_given_up or not kept[0] else [first.fingerprint])


def test_a_stop_on_request_is_no_cut_whatever_it_kept(after_the_cheapest: BaseStorage) -> None:
    for _ in range(4):
        loop = open_loop(after_the_cheapest, whole_trainings(), start_with=some_networks(1))
        proposal = loop.next()
        assert isinstance(proposal, Proposal)
        assert proposal.origin == "start_with: network_0"
        loop.request_stop("stopped by SIGTERM")
        loop.close()
        assert (loop.end_reason, loop.is_stopped) == ("stopped by SIGTERM", True)


def test_the_cheapest_network_is_tried_again_by_every_driver_until_it_is_trained(
    tmp_path: Path,
) -> None:
    storage = InMemoryStorage()
    origins = [proposal.origin for proposal in begun_by_each_driver(storage, [0] * 5)]
    assert origins == ["cheapest"] * 5
    fails = open_loop(storage, whole_trainings(budget={"trials": 4}))
    drive(fails, failing=lambda p, epoch: "Diverged: nan" if p.origin == "cheapest" else None)
    assert fails.progress().failed == 1
    # For as long the hypervolume is measured from chance.
    assert fails._writer.hypervolume_bounds().reference_accuracy == 0.1
    rows = len(rows_of(fails))
    done = open_loop(storage, whole_trainings(budget={"trials": 4}))
    assert (done.has_work, len(rows_of(done))) == (False, rows)  # it has no room for it
    loop = open_loop(storage, whole_trainings(budget={"trials": 5}))
    (cheapest,) = drive(loop)
    assert cheapest.origin == "cheapest"
    assert loop.progress().failed == 0
    reached = rows_of(loop)[cheapest.number].user_attrs["curve"][-1]
    assert loop._writer.hypervolume_bounds().reference_accuracy == reached > 0.1


def test_where_a_reference_is_given_the_cheapest_network_is_not_needed() -> None:
    storage = InMemoryStorage()
    objectives = [{"metric": "val_accuracy", "reference": 0.2}, "flops"]
    loop = open_loop(storage, study_file(objectives=objectives, budget={"trials": 3}))
    drive(loop, failing=lambda p, epoch: "Diverged: nan" if p.origin == "cheapest" else None)
    loop = open_loop(storage, study_file(objectives=objectives, budget={"trials": 4}))
    assert [proposal.origin for proposal in drive(loop)] == [None]
    assert loop.progress().failed == 1


def test_at_the_end_of_its_hours_what_runs_is_stopped_and_more_hours_go_on_with_it(
    tmp_path: Path,
) -> None:
    storage, checkpoints = InMemoryStorage(), Checkpoints(tmp_path / "checkpoints")
    some, more = ({"trials": 12, "hours": hours} for hours in (1.0, 2.0))
    loop = open_loop(storage, study_file(budget=some), checkpoints=checkpoints)
    proposal = loop.next()
    assert isinstance(proposal, Proposal)
    assert not loop.stop_requested
    loop._budget._begin -= 3601  # an hour and a second later
    assert loop.stop_requested
    loop.on_checkpoint(proposal.number, state_of(2))
    loop.close()
    assert (loop.end_reason, loop.is_stopped) == ("its 1 hours are used", False)
    cut = rows_of(loop)[proposal.number]
    assert cut.user_attrs["failure"] == "stopped as the study's hours were used"
    assert cut.user_attrs["kept_epochs"] == 2
    loop = open_loop(storage, study_file(budget=more), checkpoints=checkpoints)
    again = loop.next()
    assert isinstance(again, Proposal)
    assert (again.fingerprint, again.checkpoint) == (proposal.fingerprint, state_of(2))
    assert loop.progress().failed == 0


def test_a_stop_on_request_leaves_what_ran_to_be_repeated(storage: BaseStorage) -> None:
    loop = open_loop(storage)
    running = [loop.next(), loop.next()]
    for proposal in running:
        assert isinstance(proposal, Proposal)
        loop.on_epoch(proposal.number, 1, 0.3, 0.5)
    loop.request_stop("stopped on request")
    assert loop.next() is Wait.FOR_RUNNING
    loop.close()
    loop.close()
    assert loop.next() is Wait.DONE
    assert loop.end_reason == "stopped on request"
    states = Counter(row.state for row in rows_of(loop))
    assert states == {TrialState.FAIL: 2, TrialState.WAITING: 2}
    resumed = open_loop(storage)
    assert interrupted(resumed) == 0
    proposals = drive(resumed)
    assert [p.fingerprint for p in proposals[:2]] == [
        p.fingerprint for p in running if isinstance(p, Proposal)
    ]
    assert resumed.progress().failed == 0
    assert len(trained(rows_of(resumed))) == 12


def test_a_death_amid_the_parameters_of_a_proposal_is_closed_and_not_repeated() -> None:
    storage = InMemoryStorage()
    drive(open_loop(storage))
    writer = StudyWriter(storage, study_file(), SPACE)
    some = dict(list(SPACE.distributions.items())[:2])
    writer._sampler.prepare()
    unfinished = writer._study.ask(some)
    assert len(unfinished.params) == 2
    loop = open_loop(storage, study_file(budget={"trials": 20}))
    assert all(row.state != TrialState.RUNNING for row in rows_of(loop))
    assert rows_of(loop)[unfinished.number].user_attrs["failure"] == UNPLANNED
    drive(loop)
    assert not any("retry_of" in row.user_attrs for row in rows_of(loop))
    assert loop.progress().failed == 0
    assert len(set(fingerprints(trained(rows_of(loop))))) == 20


@pytest.mark.parametrize("num_params", [0, 1, 3])
def test_a_death_amid_the_parameters_of_what_was_enqueued_does_not_lose_it(
    num_params: int,
) -> None:
    storage = InMemoryStorage()
    networks = some_networks(1)
    for _ in range(2):  # what is enqueued, and then its repeat
        loop = open_loop(storage, start_with=networks)
        some = dict(list(SPACE.distributions.items())[:num_params])
        for _ in range(2):
            assert len(loop._writer._study.ask(some).params) == num_params
    loop = open_loop(storage, start_with=networks)
    proposals = drive(loop)
    assert [p.origin for p in proposals[:3]] == ["cheapest", "start_with: network_0", None]
    states = [row.state for row in rows_of(loop) if row.user_attrs.get("origin") is not None]
    assert Counter(states) == {TrialState.FAIL: 4, TrialState.COMPLETE: 2}


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(s, marks=pytest.mark.long) for s in range(6, 30))]
)
def test_whenever_a_driver_dies_nothing_is_lost_and_nothing_trained_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    storage = InMemoryStorage()
    file = study_file(budget={"trials": 25})
    named = some_networks(2)

    def failing(proposal: Proposal, epoch: int) -> str | None:
        unlucky = int(proposal.fingerprint[-1], 16) < 2
        return "Diverged: nan" if unlucky and epoch == 2 and proposal.origin is None else None

    for _ in range(100):
        loop = open_loop(storage, file, start_with=named)
        try:
            workers = int(rng.integers(1, 6))
            drive(loop, workers=workers, dies_after=int(rng.integers(1, 40)), failing=failing)
        except Died:
            continue
        break
    check_whole(loop, 25)


def check_whole(loop: SearchLoop, budget: int) -> None:
    """Nothing lost, nothing twice, nothing running for ever."""
    rows = rows_of(loop)
    assert all(row.state.is_finished() for row in rows)
    assert len(trained(rows)) == budget
    done = [row for row in rows if row.user_attrs.get("failure") not in (INTERRUPTED, UNPLANNED)]
    assert len(set(fingerprints(done))) == len(done)
    # Whatever was interrupted was taken up again, unless it had its three attempts.
    rows = [row for row in rows if SPACE.is_complete(SPACE.planned_params(row))]
    needed = SPACE.space.cheapest().fingerprint  # as often as it takes
    attempts = Counter(SPACE.decode(SPACE.planned_params(row)).fingerprint for row in rows)
    del attempts[needed]
    assert needed in fingerprints(done)
    for fingerprint, number in attempts.items():
        assert number <= 3
        assert fingerprint in fingerprints(done) or number == 3
    assert loop._writer.hypervolume_bounds().reference_accuracy is not None


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.mark.parametrize(
    "commits",
    [*(2, 9, 33, 60, 101), pytest.param(range(1, 130, 7), marks=pytest.mark.long)],
    ids=str,
)
def test_a_death_before_any_commit_is_survived(commits: int | range, tmp_path: Path) -> None:
    """Also between the writes of one proposal, of one result, of the study's creation."""
    file, named = study_file(budget={"trials": 5}), some_networks(1)
    for last in [commits] if isinstance(commits, int) else commits:
        folder = tmp_path / str(last)
        folder.mkdir()
        storage = open_writer(sqlite_url(folder), "study")
        left = iter(range(last - 1))

        def kill(connection: object, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed

        event.listen(storage.backend.engine, "commit", kill)
        with suppress(Killed):
            drive(open_loop(storage, file, start_with=named))
        close(storage)
        storage = open_writer(sqlite_url(folder), "study")
        loop = open_loop(storage, file, start_with=named)
        drive(loop)
        check_whole(loop, 5)
        for origin in ("cheapest", "start_with: network_0"):
            rows = [row for row in rows_of(loop) if row.user_attrs.get("origin") == origin]
            assert [row.state for row in rows].count(TrialState.COMPLETE) == 1
        assert loop._writer._study.metric_names == ["val_accuracy", "flops"]
        close(storage)


def test_rungs_are_rebuilt_as_they_were() -> None:
    def failing(proposal: Proposal, epoch: int) -> str | None:
        return "Diverged: nan" if proposal.number % 3 == 2 and epoch == 3 else None

    storage = InMemoryStorage()
    loop = open_loop(storage, study_file(budget={"trials": 30}))
    drive(loop, workers=4, failing=failing)
    assert Counter(row.state for row in rows_of(loop)).keys() == {
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
    }
    resumed = open_loop(storage, study_file(budget={"trials": 30}))
    assert loop._rungs is not None
    assert resumed._rungs is not None
    assert tuple(loop._rungs._entries) == (2, 4)
    assert min(len(entries) for entries in loop._rungs._entries.values()) > 5
    assert resumed._rungs._entries == loop._rungs._entries
    before, after = loop.progress(), resumed.progress()
    for name in ("finished", "stopped", "failed", "highest_accuracy", "hypervolume"):
        assert getattr(before, name) == getattr(after, name)


def test_after_a_death_the_rungs_hold_what_had_ended() -> None:
    storage = InMemoryStorage()
    loop = open_loop(storage, study_file(budget={"trials": 30}))
    drive_to_death(loop, 60, workers=4)
    running = [row.number for row in rows_of(loop) if row.state == TrialState.RUNNING]
    resumed = open_loop(storage, study_file(budget={"trials": 30}))
    assert loop._rungs is not None
    assert resumed._rungs is not None
    for epoch, entries in loop._rungs._entries.items():
        ended = {number: losses for number, losses in entries.items() if number not in running}
        assert len(ended) > 2
        assert resumed._rungs._entries[epoch] == ended


def test_two_drivers_in_sequence_train_as_many_as_one() -> None:
    in_one = open_loop(InMemoryStorage(), whole_trainings(budget={"trials": 20}))
    drive(in_one)
    storage = InMemoryStorage()
    drive(open_loop(storage, whole_trainings(budget={"trials": 8})))
    in_two = open_loop(storage, whole_trainings(budget={"trials": 20}))
    drive(in_two)
    for loop in (in_one, in_two):
        assert loop.progress().finished == len(set(fingerprints(rows_of(loop)))) == 20
    # The sampler of the second driver does not begin as that of the first.
    assert fingerprints(rows_of(in_one)) != fingerprints(rows_of(in_two))


# -- the same study ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "by_hand.toml: seed: 4 given, but the study 'by_hand' was started with 3; "),
        ({"limits": {"flops": 50000}}, "limits.flops: 50000.0 given, but .* with 60000.0; "),
        ({"limits": None}, "limits.flops: nothing given, but .* started with 60000.0; "),
        ({"sampler": {"kind": "nsga2"}}, "sampler.kind: 'nsga2' given, but .* with 'random'; "),
        ({"proxy": {"epochs": 7}}, "proxy.epochs: 7 given, but .* started with 6; "),
    ],
)
def test_a_changed_study_file_is_refused_by_its_key(
    storage: BaseStorage, changes: dict[str, Any], message: str
) -> None:
    open_loop(storage)
    with pytest.raises(RunError, match=message) as caught:
        open_loop(storage, study_file(**changes))
    assert "only [budget] and [workers] may change" in str(caught.value)
    assert "\n" not in str(caught.value)
