"""What is estimated of finished networks, against a truth that is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from optuna.storages import InMemoryStorage

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.estimation.estimate import LEAST_FINISHED, estimate_trials
from search.optuna_space import OptunaSpace
from search.results.trials import are_on_front, judged_accuracy, select_trial, to_frame
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from space.search_space import SearchSpace

TASK = Task(in_channels=1, num_classes=10, resolution=8)
FILE = parse_study_file(
    {
        "name": "tiny",
        "budget": {"trials": 60},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {
            "stem_channels": {"choice": [8, 16]},
            "depth": {"low": 1, "high": 4, "per_stage": True},
            "groups": {"choice": [1, 2, 4], "per_stage": True},
            "growth": {"base": 8, "schedule": "linear"},
        },
        "objectives": ["val_accuracy", "flops"],
        "sampler": {"kind": "random"},
        "proxy": {"epochs": 3},
    },
    "tiny.toml",
)
SPACE = OptunaSpace(SearchSpace(FILE.parameters, FILE.limits, TASK))
NOISE = 0.03
METRICS = FILE.metrics


def truth_of(network: Architecture) -> float:
    return 0.5 + 0.05 * float(np.log(count(network, TASK).flops / 1e4))


@pytest.fixture(scope="module")
def study() -> SimpleNamespace:
    """60 trials: every tenth failed, the others finished with noise; and their true accuracies."""
    writer, rng = StudyWriter(InMemoryStorage(), FILE, SPACE), np.random.default_rng(0)
    truth = []
    for number in range(60):
        proposal = writer.ask()
        assert proposal is not None
        truth.append(truth_of(proposal.architecture))
        end = truth[-1] + rng.normal(0, NOISE)
        if number % 10 == 9:
            writer.tell_failed(proposal, "made up", [], 1.0)
        else:
            writer.tell_finished(proposal, [0.3, 0.4, end], 1.0)
    return SimpleNamespace(trials=writer.frozen_trials(), truth=np.array(truth))


def test_belief_is_nearer_to_the_truth_than_what_was_measured(study: SimpleNamespace) -> None:
    estimated = estimate_trials(study.trials, SPACE)
    finished = np.array([trial.values is not None for trial in study.trials])
    assert np.isnan(estimated).tolist() == (~finished).tolist()
    assert (estimate_trials(study.trials, SPACE)[finished] == estimated[finished]).all()
    measured = np.array([trial.values[0] for trial in study.trials if trial.values])
    error = [np.abs(v - study.truth[finished]).mean() for v in (estimated[finished], measured)]
    assert error[0] < 0.6 * error[1]


def test_few_trainings_are_shown_as_they_were_measured(study: SimpleNamespace) -> None:
    few = study.trials[: LEAST_FINISHED - 1]
    estimated = estimate_trials(few, SPACE)
    assert np.isnan(estimated).all()
    assert are_on_front(few, METRICS, estimated) == are_on_front(few, METRICS)
    frame = to_frame(few, SPACE, METRICS, estimated)
    assert judged_accuracy(frame).equals(frame["val_accuracy"].rename("estimated_accuracy"))


def test_front_and_choice_follow_the_belief(study: SimpleNamespace) -> None:
    estimated = estimate_trials(study.trials, SPACE)
    frame = to_frame(study.trials, SPACE, METRICS, estimated)
    front = frame[frame["on_front"]].sort_values("flops")
    assert front["estimated_accuracy"].is_monotonic_increasing
    assert not front["val_accuracy"].is_monotonic_increasing
    differ = 0
    for budget in frame["flops"].dropna():
        within = frame[frame["flops"] <= budget].dropna(subset="val_accuracy")
        if within.empty:
            continue
        best, luckiest = within["estimated_accuracy"].idxmax(), within["val_accuracy"].idxmax()
        assert select_trial(frame, ("flops",), f"max-flops={budget}") == frame.loc[best, "number"]
        differ += best != luckiest
    assert differ
