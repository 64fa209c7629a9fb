"""All uses of Ray beyond its public interface; seen in Ray 2.43 to 2.60.

Each says what happens if a Ray has changed it.
"""

import os
import pickle
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hgcnet.errors import one_line
from search.process_settings import environment

# Keeps messages of Ray's daemons from stdout: the reason of a failed trial is in the study. Ray
# reads this when it is imported; a Ray without this variable prints them.
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


def forget_token() -> None:
    """Makes Ray read the token of the next cluster from the environment, as it keeps the first one
    that it saw. In a Ray without this function a second cluster of this process refuses it."""
    try:
        from ray import _raylet

        inside: Any = _raylet
        inside.AuthenticationTokenLoader.instance().reset_cache()
    except (ImportError, AttributeError):
        pass  # there are no tokens before Ray 2.52, so nothing is said of it


@contextmanager
def slow_starts_awaited(seconds: float) -> Iterator[None]:
    """Inside, Ray waits so long for the processes that it starts: a busy machine needs more than its 30 s.

    In a Ray without this function it waits 30 s; a second start is then often enough.
    """
    try:
        from ray._private import services

        inside: Any = services
        get_node = inside.get_node
    except (ImportError, AttributeError):
        name = "ray._private.services.get_node"
        warn_moved("ray", name, SEEN, "on a busy machine Ray may not start")
        yield
        return
    until = time.monotonic() + seconds

    def wait_for_node(*given: Any, **named: Any) -> Any:
        while True:
            try:
                return get_node(*given, **named)
            except RuntimeError:  # it is not there yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    with _replaced((inside, "get_node", wait_for_node)):
        yield


def cluster_that_runs_here() -> str | None:
    """HOST:PORT of a cluster that was started on this machine; None where Ray is to find it by itself.

    Raises:
        ConnectionError: none is found.
    """
    try:
        from ray._private.services import canonicalize_bootstrap_address
    except ImportError:
        name = "ray._private.services.canonicalize_bootstrap_address"
        warn_moved("ray", name, SEEN, "joining waits for a cluster that has ended")
        return None
    return canonicalize_bootstrap_address("auto")


def refusal_of_cluster(address: str) -> str | None:
    """Why a cluster refuses this process, and what would be right; None if it does not.

    Also None in a Ray that has changed inside: joining the cluster then says why.
    """
    try:
        from ray import _raylet
        from ray.exceptions import AuthenticationError

        inside: Any = _raylet
        client = inside.GcsClient
    except (ImportError, AttributeError):
        return None
    with _silent():
        try:
            client(address=address)
        except AuthenticationError:
            given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
            has = "the one given here is not its own" if given else "none is given here"
            mode = os.environ.get("RAY_AUTH_MODE", "")
            if given and mode != "token":
                has = f"RAY_AUTH_MODE is {mode!r} here, so it is not sent"
            return (
                f"it requires a token, and {has}; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or "
                "RAY_AUTH_TOKEN_PATH, a file) as on its machines"
            )
        except Exception as error:  # its client raises errors of many kinds
            return f"it does not answer like a Ray cluster: {one_line(error)}"
    return None


@contextmanager
def _silent() -> Iterator[None]:
    """Silences Ray's C++ code, which writes lines of its own form to stderr."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Inside, Tune takes every error of Ray's about a worker as that worker's death.

    By default, and in a Ray without this method, Tune ends the whole experiment with a RuntimeError
    when Ray kills a worker because the machine's memory runs out.
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

    with _replaced((managers, "_actor_task_failed", tell)):
        yield


@contextmanager
def signals_left_alone() -> Iterator[None]:
    """Inside, Ray and Tune set no signal handlers, and the processes that Ray starts get no
    signals: a signal to the process group would end them before their last checkpoint."""
    try:
        from ray._private import services, utils
        from ray.tune import tune

        # Popen, the handler of SIGTERM, and those of SIGINT and SIGUSR1.
        popen, *_ = services.ConsolePopen, utils.set_sigterm_handler, tune._setup_signal_catching
    except (ImportError, AttributeError):
        name = "services.ConsolePopen, set_sigterm_handler or _setup_signal_catching"
        warn_moved(
            "ray", name, SEEN, "SIGTERM or SIGUSR1 may end a study without a last checkpoint"
        )
        yield
        return
    with _replaced(
        (services, "ConsolePopen", partial(popen, process_group=0)),
        (utils, "set_sigterm_handler", lambda handler: None),
        (tune, "_setup_signal_catching", threading.Event),
    ):
        yield


@contextmanager
def _replaced(*places: tuple[Any, str, Any]) -> Iterator[None]:
    """Inside, attributes (owner, name) have other values."""
    before = [getattr(owner, name) for owner, name, _ in places]
    for owner, name, value in places:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(places, before, strict=True):
            setattr(owner, name, value)


def _as_death(error: Exception) -> Exception:
    if isinstance(error, RayError) and not isinstance(error, RayActorError | RayTaskError):
        kind = WorkerOutOfMemory if isinstance(error, OutOfMemoryError) else LostWorker
        return kind(error_msg=str(error))
    return error


def end_workers(controller: Any) -> None:
    """Ends the workers of a Tune that was left by an exception. (It would keep them, and their
    resources, until Python's garbage collection.)"""
    try:
        controller._actor_manager.cleanup()
    except AttributeError:
        name = "TuneController._actor_manager.cleanup"
        warn_moved("ray", name, SEEN, "workers of a stopped study may run on for a while")


def actor_of(trial: Trial) -> Any:
    """The worker that trains a trial; None if it has none, or Tune does not say."""
    try:
        return trial.temporary_state.ray_actor
    except AttributeError:
        warn_moved(
            "ray", "Trial.temporary_state.ray_actor", SEEN, "a stop saves no last checkpoint"
        )
        return None


def error_of(trial: Trial) -> Exception | None:
    """Why a trial failed according to Tune; None if Tune does not say."""
    if not hasattr(trial, "pickled_error_file"):
        warn_moved("ray", "Trial.pickled_error_file", SEEN, "failed trainings have no reason")
        return None
    path = trial.pickled_error_file
    error: Exception | None = pickle.loads(Path(path).read_bytes()) if path else None
    return error


def could_not_start(error: Exception | None) -> bool:
    """Whether a worker failed before its first step: in an import, or in its setup. If Ray has
    changed its text, it counts as any other death."""
    return isinstance(error, RayActorError) and "raised in its creation task" in str(error)


def describe_death(error: Exception | None) -> str:
    """One line about why a worker died; with less detail if Ray has changed its text."""
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
        said = "unknown reason" if error is None else str(error)
        text = f"its worker died: {said.rpartition('Worker exit detail: ')[2]}"
    return one_reason(text)


class _NoFolders(list[str]):
    """Ignores additions."""

    def extend(self, folders: Iterable[str]) -> None:
        """Ray would add the driver's current folder and its script's."""


def without_folders_of_driver(config: JobConfig) -> JobConfig:
    """A job whose workers import only what they are given and what is installed. Otherwise the
    driver's current folder comes first."""
    if hasattr(config, "_py_driver_sys_path"):
        config._py_driver_sys_path = _NoFolders()
    else:
        name = "JobConfig._py_driver_sys_path"
        warn_moved("ray", name, SEEN, "files of the current folder may hide what workers import")
    return config
