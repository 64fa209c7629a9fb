"""What is used of Ray's inside, and what is said and done where it is not there."""

import pickle
import sys

import pytest
from ray.air.execution import _internal
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError

from search.versions import VersionWarning
from search.workers.ray_inside import describe_death, end_workers, error_of, lost_workers_told

OUT_OF_MEMORY = (
    "Memory on the node (IP: 10.0.0.7, ID: 5a) was 22.9GB / 24.0GB (0.95), which exceeds the memory "
    "usage threshold. Object store memory usage: [0.1GB used / 7.0GB limit]"
)


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
    assert describe_death(None) == "its worker died: nobody knows why"


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
