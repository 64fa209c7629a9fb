"""A small study with a trial of every kind, as the frame of `search.results.trials`."""

import pytest
from optuna.trial import TrialState

from tests.parts.made_up_study import MadeUpStudy


@pytest.fixture
def made_up():
    return MadeUpStudy()


@pytest.fixture
def empty(made_up):
    made_up.study.enqueue_trial({"depth": 3})
    return made_up.frame


@pytest.fixture
def frame(made_up):
    made_up.add(TrialState.COMPLETE, 1, [0.1, 0.3], origin="cheapest")
    made_up.add(TrialState.COMPLETE, 5, [0.2, 0.6], origin="start_with: hgcnet_42_g4")
    made_up.add(TrialState.PRUNED, 6, [0.25])
    made_up.add(TrialState.COMPLETE, 3, [0.2, 0.5])
    made_up.add(TrialState.COMPLETE, 4, [0.2, 0.45], origin="enqueued: <b>mine</b>")
    made_up.add(TrialState.FAIL, 7, [0.2], failure="loss is NaN")
    made_up.add(TrialState.FAIL, 8, [], failure="interrupted")
    return made_up.frame
