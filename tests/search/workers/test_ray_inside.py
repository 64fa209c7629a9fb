"""What is used of Ray's inside, and what is said and done where it is not there."""

import pickle
import sys
from typing import Any

import pytest
from ray.air.execution import _internal
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError

from search.versions import VersionWarning
from search.workers.ray_inside import (
    could_not_start,
    describe_death,
    end_workers,
    error_of,
    lost_workers_told,
    without_folders_of_driver,
)

OUT_OF_MEMORY = (
    "Memory on the node (IP: 10.0.0.7, ID: 5a) was 22.9GB / 24.0GB (0.95), which exceeds the memory "
    "usage threshold. Object store memory usage: [0.1GB used / 7.0GB limit]"
)

NOT_STARTED = """The actor died because of an error raised in its creation task, \x1b[36mray::ResourceTrainable.__init__()\x1b[39m (pid=499, ip=10.0.0.7, actor_id=d4b6cb, repr=<Temporary object at 0x7f>)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
RuntimeError: The actor with name ResourceTrainable failed to import on the worker. This may be because needed library dependencies are not installed in the worker environment:

Traceback (most recent call last):
  File "/ray/_private/function_manager.py", line 602, in _load_actor_class_from_gcs
    actor_class = pickle.loads(pickled_class)
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^
ModuleNotFoundError: No module named 'search.workers'; 'search' is not a package"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 9, in step
    open(path)
OSError: no space left

The above exception was the direct cause of the following exception:

\x1b[36mray::Act.train()\x1b[39m (pid=4794, ip=10.0.0.7)
  File "a.py", line 13, in step
    raise ValueError("cannot go on") from e
ValueError: cannot go on"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OutOfMemoryError(OUT_OF_MEMORY),
            "out of memory: its machine had 0.1GB used / 7.0GB limit",
        ),
        (OutOfMemoryError("in other words"), "out of memory: its machine had too little"),
        (NodeDiedError("the node is gone"), "its worker died: the node is gone"),
        (
            RayActorError(error_msg="actor 17 at 10.0.0.7. Worker exit detail: connection reset"),
            "its worker died: connection reset",
        ),
        (
            RayTaskError("step", "Traceback: ...", ValueError("no\nsuch shape")),
            "ValueError: no such shape",
        ),
        (
            RayTaskError("step", CHAINED, ValueError("cannot go on")),
            "ValueError: cannot go on, caused by OSError: no space left",
        ),
        (
            RayActorError(error_msg=NOT_STARTED),
            "its worker on 10.0.0.7 could not start: ModuleNotFoundError: No module named 'search.workers'; "
            "'search' is not a package",
        ),
    ],
)
def test_a_lost_worker_is_told_as_a_death_of_one_line(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths: list[Exception] = []
    manager = _internal.RayActorManager

    def die(self: object, tracked_actor_task: object, exception: Exception) -> None:
        deaths.append(exception)

    monkeypatch.setattr(manager, "_actor_task_failed", die)
    with lost_workers_told():
        manager._actor_task_failed(None, None, error)
    assert manager._actor_task_failed is die
    (death,) = deaths
    assert isinstance(death, RayActorError | RayTaskError)
    assert describe_death(pickle.loads(pickle.dumps(death))) == told


def test_a_trial_that_does_not_keep_its_error_failed_for_no_reason() -> None:
    said = r"^ray 2.* has no Trial.pickled_error_file .*: failed trainings have no reason"
    with pytest.warns(VersionWarning, match=said):
        assert error_of(object()) is None
    assert describe_death(None) == "its worker died: unknown reason"


def test_a_controller_without_its_workers_leaves_them_alone() -> None:
    with pytest.warns(
        VersionWarning, match=r"^ray 2.* has no TuneController._actor_manager.cleanup "
    ):
        end_workers(object())


def test_a_ray_that_has_moved_is_named_and_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"^ray 2.* has no ray.air.*\._actor_task_failed \(seen in ray 2.*\): a machine that runs out"
    monkeypatch.delattr(_internal.RayActorManager, "_actor_task_failed")
    with pytest.warns(VersionWarning, match=said), lost_workers_told():
        assert not hasattr(_internal.RayActorManager, "_actor_task_failed")
    monkeypatch.setitem(sys.modules, "ray.air.execution", None)
    with pytest.warns(VersionWarning, match=said), lost_workers_told():
        pass


def test_a_worker_that_did_not_start_is_told_from_one_that_died() -> None:
    assert could_not_start(RayActorError(error_msg=NOT_STARTED))
    assert not could_not_start(NodeDiedError("the node is gone"))
    assert not could_not_start(None)


def test_a_job_whose_config_has_changed_inside_is_left_as_it_is() -> None:
    said = r"^ray 2.* has no JobConfig._py_driver_sys_path .*: files of the current folder may hide"
    config: Any = object()
    with pytest.warns(VersionWarning, match=said):
        assert without_folders_of_driver(config) is config
