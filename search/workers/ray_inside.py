"""What is used of Ray beyond its public interface; seen in Ray 2.43 to 2.60.

Each has its place here and says what happens where a Ray has changed it.
"""

import pickle
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from search.process_settings import environment

# What Ray's daemons say would go to stdout; all that matters of it is the reason that a failed trial has
# in the study. Ray reads this when it is imported; without it, the daemons are heard.
with environment({"RAY_DEDUP_LOGS_SKIP_REGEX": "."}):
    from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
    from ray.tune.experiment import Trial

from search.versions import warn_moved

SEEN = "ray 2.43 to 2.60"


class LostWorker(RayActorError):
    """A worker that Ray ended, in Ray's words."""


class WorkerOutOfMemory(LostWorker):
    """A worker that Ray ended because its machine ran out of memory."""


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Within, Tune takes every error of Ray's about a worker as that worker's death.

    Where Ray kills a worker because the machine's memory runs out, Tune ends the whole experiment by a
    RuntimeError. So it does in a Ray that has this method no more.
    """
    try:
        from ray.air.execution import _internal

        managers: Any = _internal.RayActorManager
        told = managers._actor_task_failed
    except (ImportError, AttributeError):
        name = "ray.air.execution._internal.RayActorManager._actor_task_failed"
        warn_moved("ray", name, SEEN, "a machine that runs out of memory ends the study")
        yield
        return

    def tell(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        told(manager, tracked_actor_task, _as_death(exception))

    managers._actor_task_failed = tell
    try:
        yield
    finally:
        managers._actor_task_failed = told


@contextmanager
def signals_left_alone() -> Iterator[None]:
    """Within, Ray and Tune set no handlers of signals, and the processes that Ray starts get none: a signal
    to the process group would end them before a last checkpoint could be had of them."""
    try:
        from ray._private import services, utils
        from ray.tune import tune

        # Popen, the handler of SIGTERM, and those of SIGINT and SIGUSR1.
        before: Any = services.ConsolePopen, utils.set_sigterm_handler, tune._setup_signal_catching
    except (ImportError, AttributeError):
        name = "services.ConsolePopen, set_sigterm_handler or _setup_signal_catching"
        warn_moved(
            "ray", name, SEEN, "SIGTERM or SIGUSR1 may end a study without a last checkpoint"
        )
        yield
        return
    patched: Any = services, utils, tune
    names = "ConsolePopen", "set_sigterm_handler", "_setup_signal_catching"
    ours = partial(before[0], process_group=0), lambda handler: None, threading.Event
    _set(patched, names, ours)
    try:
        yield
    finally:
        _set(patched, names, before)


def _set(owners: tuple[Any, ...], names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    for owner, name, value in zip(owners, names, values, strict=True):
        setattr(owner, name, value)


def _as_death(error: Exception) -> Exception:
    if isinstance(error, RayError) and not isinstance(error, RayActorError | RayTaskError):
        kind = WorkerOutOfMemory if isinstance(error, OutOfMemoryError) else LostWorker
        return kind(error_msg=str(error))
    return error


def end_workers(controller: Any) -> None:
    """Ends the workers of a Tune that was left by an exception. (It would keep them, and what they hold of
    the machine, until Python collects its garbage.)"""
    try:
        controller._actor_manager.cleanup()
    except AttributeError:
        name = "TuneController._actor_manager.cleanup"
        warn_moved("ray", name, SEEN, "workers of a study that was stopped may go on for a while")


def actor_of(trial: Trial) -> Any:
    """The worker that trains a trial; None where it has none, or Tune does not say."""
    try:
        return trial.temporary_state.ray_actor
    except AttributeError:
        warn_moved(
            "ray", "Trial.temporary_state.ray_actor", SEEN, "a stop keeps no last checkpoint"
        )
        return None


def error_of(trial: Trial) -> Exception | None:
    """Why Tune holds a trial for failed; None where it does not say."""
    if not hasattr(trial, "pickled_error_file"):
        warn_moved("ray", "Trial.pickled_error_file", SEEN, "failed trainings have no reason")
        return None
    path = trial.pickled_error_file
    error: Exception | None = pickle.loads(Path(path).read_bytes()) if path else None
    return error


def describe_death(error: Exception | None) -> str:
    """One line about why a worker is gone. In other words of Ray's, less is found in them."""
    if isinstance(error, RayTaskError):
        text = f"{type(error.cause).__name__}: {error.cause}"
    elif isinstance(error, WorkerOutOfMemory):
        used = re.search(r"[\d.]+GB used / [\d.]+GB limit", str(error))
        text = f"out of memory: its machine had {used[0] if used else 'too little'}"
    else:
        # The text begins with addresses and ids that mean nothing once the study is over.
        said = "nobody knows why" if error is None else str(error)
        text = f"its worker died: {said.rpartition('Worker exit detail: ')[2]}"
    return " ".join(text.split())
