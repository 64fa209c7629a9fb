"""Trains given networks with several seeds each, by workers or in this process."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hgcnet.errors import RunError
from search.retraining.training_folder import Training, TrainingFolder
from search.study_file.schema import StudyFile
from search.training.quality import Confusion
from search.workers.protocol import MAX_RETRIES, Proposal, Retry, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingProgress:
    """The trainings of a folder at one moment."""

    done: int
    wanted: int
    seconds_left: float  # NaN until one has ended in this process
    message: str


class RetrainingLoop:
    """Hands out the missing trainings. Those that a dead process left half done resume."""

    def __init__(
        self,
        wanted: Sequence[Training],
        trainings: TrainingFolder,
        observe: Callable[[RetrainingProgress], None] = lambda progress: None,
        *,
        keep_states: bool = False,
    ) -> None:
        self._wanted = wanted
        self._trainings = trainings
        self._observe = observe
        self._keep_states = keep_states
        self._epochs = trainings.recipe.proxy.epochs
        self._waiting = deque(n for n, training in enumerate(wanted) if not self._is_done(training))
        self._alone: deque[int] = deque()  # last of all, so that no other training waits for them
        self._running: dict[int, tuple[list[float], float]] = {}  # their curves and seconds
        self._deaths: Counter[int] = Counter()  # in a row, without progress in a checkpoint
        self._kept_epochs: dict[int, int] = {}  # of that checkpoint at the last death
        self._done_before = len(wanted) - len(self._waiting)
        self._begin = time.monotonic()
        self._stop_requested = False
        self.failures: dict[str, str] = {}  # of trainings, as text -> the reason

    @property
    def has_work(self) -> bool:
        """Whether anything is left to train."""
        return bool(self._waiting or self._alone or self._running)

    @property
    def is_complete(self) -> bool:
        """Whether every training is finished."""
        return not self.has_work and not self.failures

    def next(self) -> Proposal | Wait:
        """The next training."""
        queue = self._waiting or self._alone
        if self._stop_requested or not queue:
            return Wait.FOR_RUNNING if self._running else Wait.DONE
        alone = queue is self._alone
        number = queue.popleft()
        training = self._wanted[number]
        checkpoint = self._trainings.states.load(training.key)
        curve = [round(quality, 6) for quality in checkpoint.curve] if checkpoint else []
        self._running[number] = (curve, checkpoint.seconds if checkpoint else 0.0)
        if len(curve) == self._epochs:  # its process died after the last state and before the row
            self.on_end(number)
            return self.next()
        return Proposal(
            number=number,
            architecture=training.architecture,
            fingerprint=training.architecture.fingerprint,
            seed=training.seed,
            origin=training.name,
            alone=alone,
            checkpoint=checkpoint.state if checkpoint else None,
        )

    def on_confusion(self, number: int, confusion: Confusion) -> None:
        """Does nothing: networks are compared by their curves."""

    def on_epoch(self, number: int, epoch: int, quality: float, seconds: float) -> bool:
        """Takes the result of one epoch; no training is stopped early."""
        curve, before = self._running[number]
        del curve[epoch - 1 :]  # epochs of a checkpoint that the worker could not use
        curve.append(round(quality, 6))
        self._running[number] = (curve, before + seconds)
        return epoch < self._epochs

    def on_checkpoint(self, number: int, state: bytes) -> None:
        """Keeps the state of a training."""
        self._trainings.states.save(self._wanted[number].key, state)

    def on_end(self, number: int) -> None:
        """Stores the finished training."""
        curve, seconds = self._running.pop(number)
        training = self._wanted[number]
        assert len(curve) == self._epochs, "no training is stopped early"
        self._trainings.add(training, curve, seconds)
        if not self._keep_states:
            self._trainings.states.drop(training.key)
        self._changed(f"{_words(training)}: {curve[-1]:.4f}")

    def on_failure(self, number: int, reason: str, retry: Retry = Retry.NO) -> None:
        """The training failed: it is retried if that may help, else left to the next process."""
        self._running.pop(number)
        training = self._wanted[number]
        checkpoint = self._trainings.states.load(training.key)
        kept = len(checkpoint.curve) if checkpoint else 0
        got_further = kept > self._kept_epochs.get(number, 0)
        self._deaths[number] = 0 if got_further else self._deaths[number] + 1
        self._kept_epochs[number] = kept
        if retry is Retry.NO or self._deaths[number] > MAX_RETRIES:
            self.failures[_words(training)] = reason
            self._changed(f"{_words(training)} failed: {reason}")
        elif retry is Retry.ALONE:
            self._alone.append(number)
        else:
            self._waiting.appendleft(number)

    def request_stop(self, reason: str) -> None:
        """Starts no more trainings."""
        self._stop_requested = True

    @property
    def stop_requested(self) -> bool:
        """Whether to abandon the running trainings."""
        return self._stop_requested

    def close(self) -> None:
        """Abandons the running trainings; their last checkpoints stay."""
        self._waiting.extend(self._running)
        self._running.clear()

    def _is_done(self, training: Training) -> bool:
        is_kept = not self._keep_states or self._trainings.states.load(training.key) is not None
        return self._trainings.has(training) and is_kept

    def _changed(self, message: str) -> None:
        left = len(self._waiting) + len(self._alone) + len(self._running)
        done = len(self._wanted) - left - len(self.failures)
        since = done - self._done_before
        per_training = (time.monotonic() - self._begin) / since if since else float("nan")
        self._observe(
            RetrainingProgress(
                done=done,
                wanted=len(self._wanted),
                seconds_left=per_training * left,
                message=message,
            )
        )


def retrain(
    wanted: Sequence[Training],
    trainings: TrainingFolder,
    file: StudyFile,
    *,
    ray_address: str | None = None,
    without_ray: bool = False,
    observe: Callable[[RetrainingProgress], None] = lambda progress: None,
    keep_states: bool = False,
) -> RetrainingLoop:
    """Trains the missing trainings; the returned loop says how that ended.

    Call it under `locked_folder`. Failed trainings are left to the next call.

    Args:
        file: the study file with the workers.
        without_ray: whether to train in this process, one network after another.
        keep_states: whether to keep the trained networks, too.

    Raises:
        UserError: the data or the workers are not available, or all trainings failed.
    """
    # Ray takes seconds to load, and is not needed where everything is trained.
    loop = RetrainingLoop(wanted, trainings, observe, keep_states=keep_states)
    if not loop.has_work:
        return loop
    recipe, workers = trainings.recipe, file.workers
    metric = recipe.quality_metric
    if without_ray:
        from search.workers.in_process import train_here

        splits = trainings.load()
        train_here(
            loop, splits, recipe.proxy, workers, quality_metric=metric, keep_states=keep_states
        )
    else:
        from search.workers.ray_cluster import check_workers, joined_ray
        from search.workers.ray_tune import run_trials

        with joined_ray(ray_address) as resources:
            check_workers(resources, workers, file.source)
            splits = trainings.load()
            run_trials(
                loop, splits, recipe.proxy, workers, quality_metric=metric, keep_states=keep_states
            )
    if loop.failures and not any(map(trainings.has, wanted)):
        words, reason = next(iter(loop.failures.items()))
        raise RunError(f"all trainings failed; {words}: {reason}")
    return loop


def _words(training: Training) -> str:
    return f"{training.name}, seed {training.repetition}"
