"""What stored attributes say: a study's format; why a trial failed, whether it is retried, its time."""

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from search.workers.protocol import MAX_RETRIES

# Of a study; CONTRIBUTING.md says when it is raised. The first studies were stored without it.
FORMAT = 1
# The user attributes of a study with what its data are, and where they lay when it last ran. The first
# studies have none.
DATA, DATA_ROOT = "data_began_with", "data_root"
# The user attribute with the Retry of a failed trial; so stored since the first format.
RETRY = "again"
# Reasons of failures that are not the network's fault.
INTERRUPTED = "interrupted"  # its driver died
STOPPED = "stopped on request"
UNPLANNED = "interrupted before it was planned"  # so there is nothing to repeat


def failed_for_good(trial: FrozenTrial) -> bool:
    """Whether a training failed and is not repeated."""
    attributes = trial.user_attrs
    is_over = RETRY not in attributes and attributes.get("failure") != UNPLANNED
    return trial.state == TrialState.FAIL and is_over


def may_retry(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a training was cut short no more than MAX_RETRIES times, this time included."""
    cuts, link = 0, trial
    while True:
        cuts += link.user_attrs.get("failure") != STOPPED
        if (earlier := link.user_attrs.get("retry_of")) is None:
            return cuts <= MAX_RETRIES
        link = trials[earlier]


def seconds_used(trials: Sequence[FrozenTrial]) -> float:
    """Wall time in which at least one training ran; what was interrupted is left out, as nobody
    knows when it ended."""
    spans = sorted(
        (trial.datetime_start, trial.datetime_complete)
        for trial in trials
        if trial.datetime_start
        and trial.datetime_complete
        and trial.user_attrs.get("failure") not in (INTERRUPTED, UNPLANNED)
    )
    total, end = 0.0, datetime.min
    for start, stop in spans:
        total += max(0.0, (stop - max(start, end)).total_seconds())
        end = max(end, stop)
    return total
