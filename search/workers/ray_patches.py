"""What has to be mended in Ray's own classes."""

from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller


class LostWorker(RayActorError):
    """A worker that Ray ended, in Ray's words."""


class ActorManager(RayActorManager):
    """Takes every error of Ray's about a worker as that worker's death.

    Where Ray kills a worker because the machine's memory runs out, the manager of Ray 2.60 ends the
    whole experiment by a RuntimeError.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(
            exception, RayActorError | RayTaskError
        ):
            exception = LostWorker(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


setattr(tune_controller, "RayActorManager", ActorManager)  # noqa: B010 - it exports no such name
