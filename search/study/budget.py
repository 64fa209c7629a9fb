"""What a study has used of its budget: trainings, failures and hours, over all of its drivers."""

import math
import time
from collections import Counter
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from hgcnet.errors import RunError
from search.study.attributes import failed_for_good, seconds_used
from search.study_file.schema import Budget

MIN_FAILURES = 5  # fewer never stop a study, whatever their share


class BudgetUse:
    """Counts trainings that end, and says when no more are to be started. Its clock starts when it is made.

    Args:
        budget: of the study file.
        trials: what earlier drivers left.
    """

    def __init__(self, budget: Budget, trials: Sequence[FrozenTrial]) -> None:
        self._budget = budget
        states = Counter(trial.state for trial in trials)
        self.finished, self.stopped = states[TrialState.COMPLETE], states[TrialState.PRUNED]
        self.failed = len(failed_for_good(trials))
        self._failures = 0  # of trainings, since the clock started
        self._trained_before = self.trained
        self._seconds_before = seconds_used(trials)
        self._begin = time.monotonic()
        self._first_epoch: float | None = None

    @property
    def trained(self) -> int:
        """What the budget counts: trials that finished or were stopped early."""
        return self.finished + self.stopped

    @property
    def seconds(self) -> float:
        """Since the clock started."""
        return time.monotonic() - self._begin

    @property
    def seconds_left(self) -> float:
        """Until the trials are used, at the pace since the first epoch; NaN while none ended.

        The time before, in which Ray and its workers start, would be counted as training.
        """
        since = self.trained - self._trained_before
        if not since or self._first_epoch is None:
            return math.nan
        pace = (time.monotonic() - self._first_epoch) / since
        return pace * (self._budget.trials - self.trained)

    def count_epoch(self) -> None:
        """An epoch ended."""
        if self._first_epoch is None:
            self._first_epoch = time.monotonic()

    @property
    def is_out_of_hours(self) -> bool:
        """Whether its hours are used: then running trainings are to be stopped, too."""
        hours = self._budget.hours
        return hours is not None and self._seconds_before + self.seconds > 3600 * hours

    def reason_to_stop(self, running: int) -> str | None:
        """Why nothing more is to be started while so many trainings run; None if something is."""
        if self.is_out_of_hours:
            return f"its {self._budget.hours:g} hours are used"
        if self.trained + running >= self._budget.trials:
            return f"its budget of {self._budget.trials} trials is used"
        return None

    def to_come(self) -> int:
        """About how many more networks the budget allows, running ones included; at least 1."""
        to_come = self._budget.trials - self.trained
        if self._budget.hours is not None:
            used = self._seconds_before + self.seconds
            to_come = min(to_come, int(self.trained * (3600 * self._budget.hours / used - 1)))
        return max(to_come, 1)

    def count_failure(self, reason: str) -> None:
        """Counts a failed training, whether it will be retried or not.

        Raises:
            RunError: too many trainings failed since the clock started.
        """
        self._failures += 1
        tried = self.trained - self._trained_before + self._failures
        too_many = self._failures > self._budget.max_failure_share * tried
        if too_many and self._failures >= MIN_FAILURES:
            raise RunError(
                f"{self._failures} of {tried} trainings failed, more than budget.max_failure_share "
                f"allows; the last failure: {reason}"
            )
