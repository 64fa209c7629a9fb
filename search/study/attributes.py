"""Stored attributes: a study's format; a trial's answers, its time, and why it failed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.training.quality import ClassCounts, Confusion, class_counts
from search.workers.protocol import MAX_RETRIES

# Of a study; CONTRIBUTING.md says when it is raised. The first studies were stored without it.
FORMAT = 1
# The user attributes of a study with what its data are, where they lay when it last ran, and what the classes
# are called. The first studies have none.
DATA, DATA_ROOT = "data_began_with", "data_root"
CLASS_NAMES = "class_names"
# The user attributes of a study with who opened it last, and with what distinguishes it from others
# of its name in the same database.
DRIVER, IDENTITY = "driver", "identity"
# The user attribute of a study with which code it ran, from which trial on; the first studies have
# none.
CODE = "code"
# The user attribute with the Retry of a failed trial; so stored since the first format.
RETRY = "again"
# The user attribute of an interrupted trial: how many epochs its checkpoint had then. Not stored if
# none.
KEPT_EPOCHS = "kept_epochs"
# Reasons of failures that are not the network's fault.
INTERRUPTED = "interrupted"  # its driver died
STOPPED = "stopped on request"
OUT_OF_HOURS = "stopped as the study's hours were used"
UNPLANNED = "interrupted before it was planned"  # so there is nothing to retry

# User attributes of a finished trial. Every reader of a study reads them of all trials: a matrix of a
# hundred classes would be larger than all else.
_CONFUSION, _COUNTS = "confusion", "class_counts"  # the counts: images, called, right of each class
MAX_CONFUSED, MAX_COUNTED = 20, 1000  # classes


def answer_attributes(confusion: Confusion | None) -> dict[str, Any]:
    """What is stored of a trial's answers: the whole matrix for few classes, else the counts of each."""
    if not confusion or len(confusion) > MAX_COUNTED:
        return {}
    if len(confusion) <= MAX_CONFUSED:
        return {_CONFUSION: [list(row) for row in confusion]}
    counts = class_counts(confusion)
    return {_COUNTS: np.stack((counts.images, counts.called, counts.right), 1).tolist()}


def answers_of(attributes: Mapping[str, Any]) -> tuple[ClassCounts, Confusion] | None:
    """What `answer_attributes` stored; None for trials without it, such as those of earlier versions."""
    if (confusion := attributes.get(_CONFUSION)) is not None:
        return class_counts(confusion), tuple(map(tuple, confusion))
    if (counts := attributes.get(_COUNTS)) is None:
        return None
    images, called, right = np.asarray(counts, dtype=np.int64).T
    return ClassCounts(images=images, called=called, right=right), ()


def failed_for_good(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trainings of a study that failed and are not retried."""
    repeated = {trial.user_attrs.get("retry_of") for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state == TrialState.FAIL
        and RETRY not in trial.user_attrs
        and trial.user_attrs.get("failure") != UNPLANNED
        and trial.number not in repeated
    ]


def may_retry(trial: FrozenTrial, trials: Sequence[FrozenTrial], kept_epochs: int) -> bool:
    """Whether an interrupted training is retried: until it was interrupted more than MAX_RETRIES
    times in a row without progress of its checkpoint. A stop on request does not count.

    Args:
        kept_epochs: how many its checkpoint has now.
    """
    cuts = 0
    while True:
        link = trial.user_attrs.get("retry_of")
        kept_before = 0 if link is None else trials[link].user_attrs.get(KEPT_EPOCHS, 0)
        if kept_epochs > kept_before:
            return True
        cuts += trial.user_attrs.get("failure") not in (STOPPED, OUT_OF_HOURS)
        if cuts > MAX_RETRIES:
            return False
        if link is None:
            return True
        trial, kept_epochs = trials[link], kept_before


def seconds_used(trials: Sequence[FrozenTrial]) -> float:
    """Wall time in which at least one training ran; interrupted ones are left out, as it is unknown
    when they ended."""
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
