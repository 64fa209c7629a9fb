"""What workers serve: a source of trainings that takes their results. Independent of Ray and studies."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hgcnet.architecture import Architecture
from search.training.quality import Confusion

MAX_RETRIES = 2  # of a training interrupted without progress; a stop on request does not count


class Retry(Enum):
    """Whether a failed training is retried."""

    NO = "no"  # it failed for good
    SOON = "soon"  # the same training, by any worker
    ALONE = "alone"  # the same, last of all, with no other trial on its GPU (or its machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a worker is to train."""

    number: int  # of the trial
    architecture: Architecture
    fingerprint: str
    seed: int
    origin: str | None  # "cheapest", "start_with: NAME", "enqueued: NAME"; None is the sampler
    alone: bool = False  # it ran out of memory beside others
    checkpoint: bytes | None = None  # of an interrupted training of this network


class Wait(Enum):
    """Why there is no proposal."""

    FOR_RUNNING = "nothing to start until a running training ends"
    DONE = "nothing more to start"


class TrainingSource(Protocol):
    """Hands out trainings and takes their results: what workers serve."""

    def next(self) -> Proposal | Wait:
        """What to train next."""

    def on_epoch(self, number: int, epoch: int, quality: float, seconds: float) -> bool:
        """Takes the result of one epoch; returns whether the training continues."""

    def on_confusion(self, number: int, confusion: Confusion) -> None:
        """Takes the confusion matrix after the last epoch, before that epoch's `on_epoch`."""

    def on_checkpoint(self, number: int, state: bytes) -> None:
        """Takes the state of a training."""

    def on_end(self, number: int) -> None:
        """The training is over."""

    def on_failure(self, number: int, reason: str, retry: Retry = Retry.NO) -> None:
        """The training failed."""

    def request_stop(self, reason: str) -> None:
        """Nothing more is started."""

    @property
    def stop_requested(self) -> bool:
        """Whether the running trainings are to be stopped."""

    def close(self) -> None:
        """Takes the running trainings as stopped."""
