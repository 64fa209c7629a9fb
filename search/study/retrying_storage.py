"""A storage of Optuna that retries while its server is away, and gives up with an error of one line."""

import abc
from collections.abc import Callable
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import exc
from tenacity import Retrying, retry_if_exception, stop_before_delay, wait_exponential

from hgcnet.atomic_write import writing
from hgcnet.errors import RunError
from search.study.optuna_inside import cached, close_storage


class RetryingStorage(BaseStorage):
    """Forwards every operation to a storage. Operations that fail because the server is gone are retried.

    Every operation raises RunError when the storage has failed for good. (If the answer to a
    trial's creation is lost, its row stays RUNNING until the study is closed.)

    Args:
        name: what people call the storage.
        patience: seconds in which operations are retried.
        keep: flushes all commits to the disk; called after operations that must survive a power
            failure.
    """

    def __init__(
        self,
        backend: RDBStorage,
        name: str,
        patience: float,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.backend = backend
        self._cached = cached(backend)
        self._name = name
        self._patience = patience
        self._keep = keep

    def remove_session(self) -> None:
        """Gives the connection back."""
        self.backend.remove_session()

    def close(self) -> None:
        """Closes the connections."""
        close_storage(self.backend)

    def _try(self, operation: Callable[[], Any]) -> Any:
        attempts = Retrying(
            stop=stop_before_delay(self._patience),
            wait=wait_exponential(multiplier=0.2, max=10),
            retry=retry_if_exception(_may_pass),
            before_sleep=lambda _: self.remove_session(),  # its transaction is broken
            reraise=True,
        )

        def attempt() -> Any:
            try:
                return operation()
            except UpdateFinishedTrialError:
                if attempts.statistics["attempt_number"] == 1:
                    raise
                return True  # the last attempt reached the server, but its answer was lost

        try:
            return attempts(attempt)
        except (StorageInternalError, exc.SQLAlchemyError) as error:
            raise RunError(f"{self._name} failed: {said_by_driver(error)}") from error


def _may_pass(error: BaseException) -> bool:
    """Whether the server is gone; if it answered, it would answer the same again."""
    cause = error.__cause__ or error
    is_answer = isinstance(cause, exc.DBAPIError) and not isinstance(cause, exc.OperationalError)
    return isinstance(error, StorageInternalError | exc.SQLAlchemyError) and not is_answer


def said_by_driver(error: BaseException) -> str:
    """What a driver said, in one line. Drivers name host and user, and never the password."""
    while not isinstance(error, exc.DBAPIError) and error.__cause__ is not None:
        error = error.__cause__
    said = error.orig if isinstance(error, exc.DBAPIError) else error
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__


# Flushed after: a study's creation and attributes; a trial that begins or waits, and one that ends.
_KEPT = {
    *("create_new_study", "set_study_user_attr", "create_new_trial", "set_trial_state_values"),
}


def _handed_on(name: str) -> Callable[..., Any]:
    def operation(self: RetryingStorage, *arguments: Any, **options: Any) -> Any:
        result = self._try(lambda: getattr(self._cached, name)(*arguments, **options))
        if name in _KEPT:
            with writing(self._name):
                self._keep()
        return result

    operation.__name__ = name
    return operation


for _name, _value in vars(BaseStorage).items():
    if callable(_value) and not _name.startswith("_") and _name not in vars(RetryingStorage):
        setattr(RetryingStorage, _name, _handed_on(_name))
abc.update_abstractmethods(RetryingStorage)  # type: ignore[type-abstract]
