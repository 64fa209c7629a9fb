"""Where the time of a made-up study went."""

import numpy as np
import pytest
from optuna.trial import TrialState

from search.report.time_use import slots, time_figure, time_scale, time_use, worked_seconds


@pytest.fixture
def busy(made_up):
    """Two slots for 100 s, of which one is idle for 30 s; after a pause one for 50 s more."""
    made_up.add(TrialState.COMPLETE, 1, [0.3], span=(0, 60), seconds=50.0)
    made_up.add(TrialState.PRUNED, 2, [0.2], span=(0, 40), seconds=40.0)
    made_up.add(TrialState.FAIL, 3, [0.2], span=(40, 70), seconds=10.0, failure="loss is NaN")
    made_up.add(TrialState.COMPLETE, 4, [0.4], span=(60, 100), seconds=40.0)
    made_up.add(TrialState.FAIL, 5, [], span=(90, 50_000), failure="interrupted")
    made_up.add(TrialState.COMPLETE, 6, [0.5], span=(50_000, 50_050), seconds=80.0)  # 30 s before
    return made_up.frame


def test_the_slots_seconds_add_up(busy):
    use = time_use(busy)
    assert use.to_dict() == {
        "finished": 50 + 40 + 50,  # of what went on from a checkpoint only its own span
        "stopped": 40,
        "failed": 10,
        "other": 10 + 20,
        "idle": 30 + 50,
    }
    assert slots(busy) == 2
    assert use.sum() == 2 * (100 + 50)


def test_pauses_and_interrupted_trials_are_no_work(busy):
    assert worked_seconds(busy, busy["finished_at"]).tolist() == [60, 40, 70, 100, 100, 150]


def test_the_figure_shows_the_trainings_at_every_moment(busy):
    figure = time_figure(busy)
    running = figure.data[-1]
    minutes, at_once = np.array(running.x), np.array(running.y)
    assert at_once[minutes < 1.1].tolist() == [2] * int((minutes < 1.1).sum())
    assert at_once[(minutes > 1.2) & (minutes < 2.4)] == pytest.approx(1)
    # The area is the trials' time.
    assert 60 * np.sum(at_once[:-1] * np.diff(minutes)) == pytest.approx(
        60 + 40 + 30 + 40 + 50, 0.01
    )


def test_without_results_the_figure_says_so(empty):
    figure = time_figure(empty)
    assert not figure.data
    assert len(figure.layout.annotations) == 1
    assert slots(empty) == 0


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [(0, "seconds"), (119, "seconds"), (120, "minutes"), (7200, "hours"), (1e6, "days")],
)
def test_a_duration_has_a_unit_that_suits_it(seconds, unit):
    assert time_scale(seconds)[0] == unit
