"""What is left of a budget, by a clock that the test turns."""

import math

import pytest

from search.study import budget as budgets
from search.study.budget import BudgetUse
from search.study_file.schema import Budget


def test_the_time_left_is_by_the_pace_since_the_first_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(budgets.time, "monotonic", lambda: now)
    use = BudgetUse(Budget(trials=10), [])
    now = 300.0  # Ray and its workers start
    assert math.isnan(use.seconds_left)
    use.count_epoch()
    now = 310.0
    use.count_epoch()
    assert math.isnan(use.seconds_left)  # none has ended
    use.finished += 1
    assert use.seconds_left == pytest.approx(9 * 10)
    now = 320.0
    use.stopped += 1
    assert use.seconds_left == pytest.approx(8 * 10)
    assert use.seconds == 320.0  # hours count from the start
