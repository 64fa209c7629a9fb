"""A training in steps of one epoch: new or resumed, with its state every few minutes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from search.training.proxy_training import EpochResult, ProxyTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The result of one epoch."""

    result: EpochResult
    state: bytes | None  # of the training after this epoch, where one is due
    is_last: bool  # of all epochs


class TrainingSteps:
    """One training, epoch by epoch. Iterating over it runs the epochs that are left.

    Args:
        create: Makes the training before its first epoch.
        state: What to resume from. If it cannot be read, or is of another training, the training
            begins anew.
        minutes: Until the next state is due; with 0 there is one after every epoch but the last.
        keep_last: Whether a state is due after the last epoch.
    """

    def __init__(
        self,
        create: Callable[[], ProxyTraining],
        state: bytes | None,
        *,
        minutes: float,
        keep_last: bool = False,
    ) -> None:
        self.training = create()
        if state is not None:
            try:
                self.training.load_state(state)
            except ValueError:  # it may be half loaded
                self.training = create()
        self._seconds = 60 * minutes
        self._keep_last = keep_last
        self._saved_at = time.monotonic()

    def run_epoch(self) -> Step:
        """Trains one more epoch.

        Raises:
            Diverged: the loss of this epoch is NaN or infinite.
            RuntimeError: all epochs are done.
        """
        result = self.training.run_epoch()
        is_last = self.training.is_over
        is_due = time.monotonic() - self._saved_at >= self._seconds
        state = None
        if self._keep_last if is_last else is_due:
            state = self.training.save_state()
            self._saved_at = time.monotonic()
        return Step(result=result, state=state, is_last=is_last)

    def __iter__(self) -> Iterator[Step]:
        while not self.training.is_over:
            yield self.run_epoch()
