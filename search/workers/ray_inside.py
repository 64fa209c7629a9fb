"""What is used of Ray beyond its public interface; seen in Ray 2.43 to 2.60.

Each has its place here and says what happens where a Ray has changed it.
"""

import pickle
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.process_settings import environment

# What Ray's daemons say would go to stdout; all that matters of it is the reason that a failed trial has
# in the study. Ray reads this when it is imported; without it, the daemons are heard.
with environment({"RAY_DEDUP_LOGS_SKIP_REGEX": "."}):
    from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
    from ray.job_config import JobConfig
    from ray.tune.experiment import Trial

from search.versions import warn_moved
from search.workers.reasons import causes_of_traceback, one_reason, reason_of_traceback

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


def error_of(trial: Trial) -> Exception | None:
    """Why Tune holds a trial for failed; None where it does not say."""
    if not hasattr(trial, "pickled_error_file"):
        warn_moved("ray", "Trial.pickled_error_file", SEEN, "failed trainings have no reason")
        return None
    path = trial.pickled_error_file
    error: Exception | None = pickle.loads(Path(path).read_bytes()) if path else None
    return error


def could_not_start(error: Exception | None) -> bool:
    """Whether a worker failed before its first step: in an import, or in what it begins with. In other words
    of Ray's it is a death as any."""
    return isinstance(error, RayActorError) and "raised in its creation task" in str(error)


def describe_death(error: Exception | None) -> str:
    """One line about why a worker is gone. In other words of Ray's, less is found in them."""
    if isinstance(error, RayTaskError):
        links = [f"{type(error.cause).__name__}: {error.cause}", *causes_of_traceback(str(error))]
        text = ", caused by ".join(links)
    elif isinstance(error, WorkerOutOfMemory):
        used = re.search(r"[\d.]+GB used / [\d.]+GB limit", str(error))
        text = f"out of memory: its machine had {used[0] if used else 'too little'}"
    elif could_not_start(error):
        where = re.search(r"ip=([^,\s]+)", str(error))
        place = f" on {where[1]}" if where else ""
        text = f"its worker{place} could not start: {reason_of_traceback(str(error))}"
    else:
        # The text begins with addresses and ids that mean nothing once the study is over.
        said = "nobody knows why" if error is None else str(error)
        text = f"its worker died: {said.rpartition('Worker exit detail: ')[2]}"
    return one_reason(text)


class _NoFolders(list[str]):
    """Takes none."""

    def extend(self, folders: Iterable[str]) -> None:
        """Ray would add the driver's current folder and its script's."""


def without_folders_of_driver(config: JobConfig) -> JobConfig:
    """A job whose workers import from what they are given and what is installed. Without this, what lies in
    the folder in which the driver was called comes first."""
    if hasattr(config, "_py_driver_sys_path"):
        config._py_driver_sys_path = _NoFolders()
    else:
        name = "JobConfig._py_driver_sys_path"
        warn_moved("ray", name, SEEN, "files of the current folder may hide what workers import")
    return config
