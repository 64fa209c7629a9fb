"""What every sampler keeps to: no network twice, none over a limit, an end when all were proposed."""

import math
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState
from scipy.stats import chisquare

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.optuna_space import OptunaSpace
from search.samplers.create import _SAMPLERS, create_sampler
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.workers.protocol import Proposal
from space.limits import Band, Limits
from space.parameters import Choice, Growth, Parameters, Range
from space.search_space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)

QUICKSTART = tomllib.loads(
    (Path(__file__).parents[3] / "studies" / "quickstart.toml").read_text(encoding="utf-8")
)
TASK = Task(in_channels=1, num_classes=10, resolution=8)
KINDS = [*_SAMPLERS]
# The GP takes half a second a proposal once its 10 trials of start-up are over.
LONG_MODELS = [
    pytest.param(kind, marks=pytest.mark.long) if kind in ("gp", "known_cost") else kind
    for kind in KINDS
]
LONG_GP = [pytest.param(kind, marks=pytest.mark.long) if kind == "gp" else kind for kind in KINDS]

# Every kind of axis, 1,944 points.
VARIED = Parameters(
    operator=Choice(choice=("hgc", "sgc")),
    stem_channels=8,
    bottleneck=Choice(choice=(1, 2, 4)),
    depth=Range(low=1, high=3, per_stage=True),
    groups=Choice(choice=(1, 2, 4)),
    growth=Growth(base=Range(low=4, high=8, step=4), schedule="linear"),
    se=Choice(choice=("none", "all")),
)
TIGHT = OptunaSpace(SearchSpace(VARIED, Limits(flops=60_000), TASK))  # 1 in 4 points
SMALL = OptunaSpace(SearchSpace(VARIED, Limits(flops=26_000), TASK))  # 1 in 60


def study_file(kind: str, seed: int = 0) -> StudyFile:
    document = QUICKSTART | {"seed": seed, "sampler": {"kind": kind}}
    return parse_study_file(document, "x.toml")


def open_study(
    kind: str, space: OptunaSpace, *, seed: int = 0, storage: BaseStorage | None = None
) -> StudyWriter:
    return StudyWriter(storage or InMemoryStorage(), study_file(kind, seed), space)


def pretend_accuracy(architecture: Architecture) -> float:
    """Grows with the parameters, and cares about the groups a little."""
    size = math.log(count(architecture, TASK).num_params)
    return 1 - 1 / size - 0.01 * architecture.stages[0].groups


def finish(writer: StudyWriter, proposal: Proposal) -> None:
    writer.tell_finished(proposal, [pretend_accuracy(proposal.architecture)], 1.0)


def propose(writer: StudyWriter, number: int) -> list[Proposal]:
    """Trains up to `number` proposals, one after the other."""
    proposals: list[Proposal] = []
    while len(proposals) < number and (proposal := writer.ask()) is not None:
        finish(writer, proposal)
        proposals.append(proposal)
    return proposals


def all_fingerprints(space: OptunaSpace) -> set[str]:
    """Of every feasible network, drawn by exclusion."""
    rng, seen = np.random.default_rng(0), set[str]()
    while (architecture := space.space.sample(rng, seen)) is not None:
        seen.add(architecture.fingerprint)
    assert len(seen) == space.space.num_networks()
    return seen


def check_proposals(writer: StudyWriter, proposals: list[Proposal], space: OptunaSpace) -> None:
    fingerprints = [proposal.fingerprint for proposal in proposals]
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(space.space.is_feasible(proposal.architecture) for proposal in proposals)
    rows = writer.frozen_trials()
    assert [row.number for row in rows] == [proposal.number for proposal in proposals]
    for row, proposal in zip(rows, proposals, strict=True):
        assert space.decode(row.params).fingerprint == proposal.fingerprint
        assert row.params.keys() == space.distributions.keys()


def test_the_spaces_of_these_tests_are_of_the_sizes_meant() -> None:
    assert 200 <= (TIGHT.space.num_networks() or 0) <= 600
    assert 20 <= (SMALL.space.num_networks() or 0) < 60


@pytest.mark.parametrize("kind", LONG_GP)
def test_many_proposals_are_feasible_and_all_different(kind: str) -> None:
    writer = open_study(kind, TIGHT)
    number = {"gp": 25, "known_cost": 30}.get(kind, 60)
    proposals = propose(writer, number)
    assert len(proposals) == number
    check_proposals(writer, proposals, TIGHT)


def test_gp_goes_on_after_its_start_up() -> None:
    writer = open_study("gp", TIGHT)
    proposals = propose(writer, 13)
    check_proposals(writer, proposals, TIGHT)
    assert len(proposals) == 13


@pytest.mark.parametrize("kind", LONG_MODELS)
def test_proposals_made_while_others_run_are_all_different(kind: str) -> None:
    """Four workers, as under Ray."""
    writer = open_study(kind, TIGHT)
    running: list[Proposal] = []
    proposals: list[Proposal] = []
    for _ in range(20 if kind == "gp" else 48):
        proposal = writer.ask()
        assert proposal is not None
        proposals.append(proposal)
        running.append(proposal)
        if len(running) == 4:
            finish(writer, running.pop(len(proposals) % 4))
    check_proposals(writer, proposals, TIGHT)


# (With the GP it takes half a minute and shows nothing else: the wrapper is the same.)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.long) if kind in ("tpe", "known_cost") else kind
        for kind in KINDS
        if kind != "gp"
    ],
)
def test_a_space_that_is_used_up_ends_with_every_network_proposed_once(kind: str) -> None:
    writer = open_study(kind, SMALL)
    proposals = propose(writer, 1000)
    check_proposals(writer, proposals, SMALL)
    assert {proposal.fingerprint for proposal in proposals} == all_fingerprints(SMALL)
    assert writer.ask() is None
    assert len(writer.frozen_trials()) == len(proposals)


@pytest.mark.parametrize("kind", LONG_GP)
def test_what_was_enqueued_takes_no_network_from_the_sampler(kind: str) -> None:
    parameters = Parameters(
        depth=Range(low=1, high=2), groups=Choice(choice=(1, 2)), growth=Range(low=4, high=6)
    )
    space = OptunaSpace(SearchSpace(parameters, Limits(), TASK))
    assert space.space.num_networks() == 12
    writer = open_study(kind, space)
    writer.enqueue(space.space.cheapest(), "cheapest")
    proposals = propose(writer, 100)
    check_proposals(writer, proposals, space)
    assert len(proposals) == 12
    assert [proposal.origin for proposal in proposals] == ["cheapest", *(11 * [None])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_of_one_network_is_used_up_at_once(kind: str) -> None:
    space = OptunaSpace(SearchSpace(Parameters(depth=1, groups=1, growth=4), Limits(), TASK))
    writer = open_study(kind, space)
    assert len(propose(writer, 5)) == 1
    assert writer.ask() is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_failed_or_was_stopped_counts_as_seen(kind: str) -> None:
    """Sixteen rows without values: no sampler has anything to learn from, and none stumbles."""
    storage = InMemoryStorage()
    writer = open_study(kind, SMALL, storage=storage)
    proposals: list[Proposal] = []
    for index in range(16):
        proposal = writer.ask()
        assert proposal is not None
        proposals.append(proposal)
        if index % 2:
            writer.tell_stopped(proposal, [0.1], 1.0)
        else:
            writer.tell_failed(proposal, "Diverged: the training loss is nan", [], 0.0)
    states = Counter(row.state for row in writer.frozen_trials())
    assert states == {TrialState.FAIL: 8, TrialState.PRUNED: 8}
    check_proposals(writer, proposals, SMALL)
    resumed = open_study(kind, SMALL, storage=storage)
    check_proposals(resumed, [*proposals, *propose(resumed, 4)], SMALL)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_sampler_proposes_nothing_that_was_seen(kind: str) -> None:
    storage = InMemoryStorage()
    proposals = propose(open_study(kind, TIGHT, storage=storage), 6)
    resumed = open_study(kind, TIGHT, storage=storage)
    check_proposals(resumed, [*proposals, *propose(resumed, 5)], TIGHT)


@pytest.mark.parametrize("kind", LONG_GP)
def test_the_same_seed_and_rows_give_the_same_proposals(kind: str) -> None:
    first, again, other = (
        [p.fingerprint for p in propose(open_study(kind, TIGHT, seed=seed), 11)]
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", KINDS)
def test_a_sampler_does_not_repeat_its_beginning_when_there_are_more_rows(kind: str) -> None:
    """The rows added have no parameters, so that only their number can matter."""
    differences = 0
    for seed in range(10):
        storage = InMemoryStorage()
        writer = open_study(kind, TIGHT, seed=seed, storage=storage)
        writer._study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
        at_start = propose(open_study(kind, TIGHT, seed=seed), 1)[0]
        resumed = propose(open_study(kind, TIGHT, seed=seed, storage=storage), 1)[0]
        differences += at_start.fingerprint != resumed.fingerprint
    assert differences >= 8  # of some 300 networks, chance gives the same one now and then


def test_random_is_uniform_over_the_feasible_networks() -> None:
    """Over independent studies, at the first proposal and at the third."""
    expected = sorted(all_fingerprints(SMALL))
    first, third = Counter[str](), Counter[str]()
    for seed in range(10 * len(expected)):
        proposals = propose_without_telling(open_study("random", SMALL, seed=seed), 3)
        first[proposals[0]] += 1
        third[proposals[2]] += 1
    for counts in (first, third):
        assert set(counts) <= set(expected)
        assert chisquare([counts[fingerprint] for fingerprint in expected]).pvalue > 0.01


def propose_without_telling(writer: StudyWriter, number: int) -> list[str]:
    proposals = [writer.ask() for _ in range(number)]
    return [proposal.fingerprint for proposal in proposals if proposal is not None]


@pytest.mark.parametrize("kind", LONG_GP)
def test_a_limit_that_almost_nothing_meets_is_no_trap(kind: str) -> None:
    """Few points in 10,000 are feasible: what the inner sampler proposes is rejected for ever."""
    parameters = Parameters(
        stem_channels=8,
        bottleneck=Range(low=1, high=8),
        depth=Range(low=1, high=9, per_stage=True),
        groups=Choice(choice=(1, 2, 4, 8), per_stage=True),
        growth=Range(low=4, high=32, step=2),
        se=Choice(choice=("none", "last", "all")),
    )
    loose = SearchSpace(parameters, Limits(), TASK)
    least = count(loose.cheapest(), TASK).flops
    space = OptunaSpace(SearchSpace(parameters, Limits(flops=1.5 * least), TASK))
    assert space.space.feasible_share(np.random.default_rng(0)) < 5e-4
    writer = open_study(kind, space)
    proposals = propose(writer, 12)
    assert len(proposals) == 12
    check_proposals(writer, proposals, space)


@pytest.mark.parametrize(
    "kind", [k if k == "known_cost" else pytest.param(k, marks=pytest.mark.long) for k in KINDS]
)
def test_a_narrow_band_is_filled(kind: str) -> None:
    limits = Limits(flops=Band(min=58_000, max=60_000))
    space = OptunaSpace(SearchSpace(VARIED, limits, TASK))
    assert space.space.feasible_share(np.random.default_rng(0)) < 0.02
    assert (space.space.num_networks() or 0) >= 12
    writer = open_study(kind, space)
    proposals = propose(writer, 12)
    assert len(proposals) == 12
    check_proposals(writer, proposals, space)


# TPE proposes the same few hundreds of times once most are seen.
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.long) if kind in ("gp", "tpe") else kind
        for kind in KINDS
    ],
)
def test_a_space_of_several_numbers_of_stages_is_proposed_whole_and_nothing_twice(
    kind: str,
) -> None:
    parameters = Parameters(
        stem_channels=8,
        stem_stride=Choice(choice=(1, 2)),
        stages=Range(low=3, high=5),
        bottleneck=1,
        depth=Choice(choice=(1, 2), per_stage=True),
        groups=2,
        growth=4,
    )
    task = Task(in_channels=1, num_classes=10, resolution=32)
    space = OptunaSpace(SearchSpace(parameters, Limits(num_params=950), task))
    everything = all_fingerprints(space)
    assert 20 <= len(everything) < 30
    writer = open_study(kind, space)
    proposals = propose(writer, len(everything) + 1)
    check_proposals(writer, proposals, space)
    assert {proposal.fingerprint for proposal in proposals} == everything
    assert {len(proposal.architecture.stages) for proposal in proposals} == {3, 4, 5}


@pytest.mark.long
def test_tpe_and_nsga2_learn_from_what_finished() -> None:
    """After 35 trials their next ones are better, by the accuracy of the same FLOPs, than random's."""

    def mean_loss(kind: str) -> float:
        losses = []
        for seed in range(2):
            for proposal in propose(open_study(kind, TIGHT, seed=seed), 55)[35:]:
                flops = math.log(count(proposal.architecture, TASK).flops)
                losses.append(-pretend_accuracy(proposal.architecture) + 0.02 * flops)
        return float(np.mean(losses))

    random = mean_loss("random")
    assert mean_loss("tpe") < random
    assert mean_loss("nsga2") < random


def test_creating_a_sampler_leaves_the_global_generators_alone() -> None:
    np_state, torch_state = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    for kind in KINDS:
        create_sampler(kind, TIGHT, ("flops",), set(), seed=0)
    assert np.array_equal(np_state, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_state, torch.get_rng_state())
