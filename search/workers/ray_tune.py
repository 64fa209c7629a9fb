"""The Ray Tune side: a Searcher and a scheduler that pass events to the loop, and the Tuner."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search.workers.ray_inside import (
    WorkerOutOfMemory,
    actor_of,
    could_not_start,
    describe_death,
    end_workers,
    error_of,
    lost_workers_told,
    signals_left_alone,
)

import ray  # isort: skip - after what keeps it silent
from ray import tune
from ray.exceptions import RayError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hgcnet.atomic_write import writing
from hgcnet.errors import RunError
from search.data.splits import Splits
from search.stop_signals import GRACE, stops_told
from search.study_file.schema import Workers
from search.training.accelerator import is_of_accelerator
from search.training.proxy_config import ProxyConfig
from search.training.quality import ACCURACY, QualityMetric
from search.workers.protocol import Proposal, Retry, TrainingSource, Wait
from search.workers.ray_cluster import read_resources
from search.workers.ray_worker import (
    CONFUSION,
    CROWDED,
    EPOCH,
    FAILURE,
    QUALITY,
    SECONDS,
    STATE,
    ProxyTrainable,
)
from search.workers.reasons import one_reason
from search.workers.resources import Resources
from search.workers.scratch import scratch_folder


def run_trials(
    loop: TrainingSource,
    splits: Splits,
    proxy: ProxyConfig,
    workers: Workers,
    *,
    quality_metric: QualityMetric = ACCURACY,
    keep_states: bool = False,
    grace: float = GRACE,
) -> None:
    """Runs a loop to its end on the Ray that was joined.

    `quality_metric` is the metric of its curves. `keep_states` gives it a checkpoint after the last
    epoch, too: the trained network.

    A signal stops it cleanly (see `search.stop_signals`): running trainings are told as stopped,
    and the next driver resumes them. For half of the `grace` seconds it waits for running epochs,
    and keeps their states.
    """
    resources = read_resources()
    trainable = tune.with_parameters(
        ProxyTrainable,
        splits=splits,
        proxy=proxy,
        workers=workers,
        quality_metric=quality_metric,
        keep_states=keep_states,
    )
    trainable, can_be_alone = with_shares(trainable, workers, resources)
    fit_trials(
        loop,
        trainable,
        slots=resources.slots(workers),
        trial_minutes=workers.trial_minutes,
        can_be_alone=can_be_alone,
        grace=grace,
    )


def with_shares(trainable: Any, workers: Workers, resources: Resources) -> tuple[Any, bool]:
    """A Trainable that asks for each trial's share; and whether a trial alone has more than that."""
    share = {"CPU": float(workers.cpus), "GPU": float(workers.gpus)}
    whole = share | resources.of_one_alone(workers)

    def ask(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([whole if config["alone"] else share])

    return tune.with_resources(trainable, ask), whole != share


def fit_trials(
    loop: TrainingSource,
    trainable: Any,
    slots: int,
    *,
    trial_minutes: float | None = None,
    can_be_alone: bool = False,
    grace: float = GRACE,
) -> None:
    """Runs a loop to its end with any Trainable whose results have the worker's keys.

    At most `slots` trials run, and none is asked for before a slot is free. By default Tune asks
    for one more, starts a worker for it, and kills that worker when another one becomes free first.

    Args:
        trial_minutes: after which a worker ends its process, so that its death is reported as a
            timeout.
        can_be_alone: whether a trial that ran out of memory can get more when it runs alone.
        grace: seconds from a request to stop to the end.
    """
    adapter = _LoopSearcher(loop, trial_minutes, can_be_alone, grace / 2)
    scheduler = _LoopScheduler(adapter)
    with (
        scratch_folder() as folder,
        stops_told(lambda stop: loop.request_stop(str(stop))),
        signals_left_alone(),
    ):
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=adapter,
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=slots,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder),
                verbose=0,
                stop=adapter,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            with lost_workers_told(), writing(folder):
                tuner.fit()
        except _Stopped:
            if adapter.controller is not None:
                end_workers(adapter.controller)
        finally:
            with adapter.errors_kept():
                loop.close()
    if adapter.error is not None:
        raise adapter.error


class _Stopped(BaseException):
    """Leaves Tune at once. An Exception would make it wait for the epochs that run, up to 15 s."""


class _LoopSearcher(Searcher, tune.Stopper):
    """Asks the loop, tells it what ended, and ends the experiment once the loop is asked to stop.

    Tune pickles it, without the loop.
    """

    def __init__(
        self,
        loop: TrainingSource,
        trial_minutes: float | None,
        can_be_alone: bool,
        seconds_for_states: float,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._trial_seconds = math.inf if trial_minutes is None else 60 * trial_minutes
        self._can_be_alone = can_be_alone
        self._numbers: dict[str, int] = {}  # Tune's trial id -> the study's trial number
        self._begins: dict[str, float] = {}  # Tune's trial id -> when it was suggested
        self._stopped: set[str] = set()  # by the loop, not by the worker
        self._has_trained = False  # any worker
        self._seconds_for_states = seconds_for_states
        self._states: dict[Any, str] | None = None  # asked for at a stop -> Tune's trial id
        self._last_epochs: set[str] = set()  # Tune's trial ids whose end is about to be told
        self._deadline = math.inf
        self.controller: Any = None  # Tune's, once it has a trial
        self.error: Exception | None = None  # of the loop, the first one

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config, None to wait, or FINISHED."""
        proposal: Proposal | Wait = Wait.DONE
        with self.errors_kept():
            proposal = self._loop.next()
        if isinstance(proposal, Wait):
            return Searcher.FINISHED if proposal is Wait.DONE else None
        self._numbers[trial_id] = proposal.number
        self._begins[trial_id] = time.monotonic()
        checkpoint = None if proposal.checkpoint is None else ray.put(proposal.checkpoint)
        return {
            "architecture": proposal.architecture,
            "seed": proposal.seed,
            "alone": proposal.alone,
            "checkpoint": checkpoint,
        }

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No result ends a trial; the scheduler does. But only here is the result what Tune keeps."""
        if (state := result.pop(STATE, None)) is not None:
            with self.errors_kept():
                self._loop.on_checkpoint(self._numbers[trial_id], state)
        return False

    def stop_all(self) -> bool:
        """Polled by Tune at every turn."""
        if self.error is None and self._loop.stop_requested and not self._waits_for_states():
            raise _Stopped
        return self.error is not None

    def _waits_for_states(self) -> bool:
        """Takes the states of running trainings, each once its worker is between two epochs;
        returns whether any is still to come."""
        if self._states is None:
            self._states = self._ask_for_states()
            self._deadline = time.monotonic() + self._seconds_for_states
        asked = list(self._states)
        ready = ray.wait(asked, num_returns=len(asked), timeout=0)[0] if asked else []
        for answer in ready:
            trial_id = self._states.pop(answer)
            try:
                state = ray.get(answer)
            except RayError:  # the worker is gone
                continue
            if state == b"":
                self._last_epochs.add(trial_id)
            elif state is not None and (number := self._numbers.get(trial_id)) is not None:
                with self.errors_kept():
                    self._loop.on_checkpoint(number, state)
        self._last_epochs &= self._numbers.keys()
        is_late = time.monotonic() >= self._deadline
        return bool(self._states or self._last_epochs) and not is_late

    def _ask_for_states(self) -> dict[Any, str]:
        """The pending answers of the workers, and the trial of each."""
        trials = () if self.controller is None else self.controller.get_live_trials()
        asked = {}
        for trial in trials:
            hand_over = getattr(actor_of(trial), "hand_over", None)
            if trial.trial_id in self._numbers and hand_over is not None:
                asked[hand_over.remote()] = trial.trial_id
        return asked

    def take_result(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Passes one epoch on; returns whether the training continues."""
        self._has_trained = True
        if FAILURE in result:
            retry = Retry.ALONE if result.get(CROWDED) and self._can_be_alone else Retry.NO
            self.take_failure(trial_id, result[FAILURE], retry)
            return False
        goes_on = False
        with self.errors_kept(trial_id):
            number = self._numbers[trial_id]
            if (confusion := result.get(CONFUSION)) is not None:
                self._loop.on_confusion(number, confusion)
            goes_on = self._loop.on_epoch(number, result[EPOCH], result[QUALITY], result[SECONDS])
        if not goes_on:
            self._stopped.add(trial_id)
        return goes_on

    def take_death(self, trial_id: str, error: Exception | None) -> None:
        """Passes on that the worker's process died, or failed outside of a training."""
        if self._loop.stop_requested:  # it may have got the signal, too
            return
        if time.monotonic() - self._begins[trial_id] >= self._trial_seconds:
            self.take_failure(trial_id, "it took longer than workers.trial_minutes", Retry.NO)
            return
        if could_not_start(error) and not self._has_trained:
            # Not a network's failure: running trainings are told as stopped when the loop is
            # closed.
            with self.errors_kept():
                raise RunError(
                    f"no worker can train: {describe_death(error)}; fix that and rerun the same command to resume"
                )
            return
        retry = Retry.SOON
        if isinstance(error, WorkerOutOfMemory):
            retry = Retry.ALONE if self._can_be_alone else Retry.NO
        elif isinstance(error, RayTaskError) and not is_of_accelerator(error.cause):
            retry = Retry.NO  # an exception of Python, which would recur
        self.take_failure(trial_id, describe_death(error), retry)

    def take_failure(self, trial_id: str, reason: str, retry: Retry) -> None:
        """Passes a failure on, once."""
        if (number := self._numbers.pop(trial_id, None)) is not None:
            with self.errors_kept():
                self._loop.on_failure(number, one_reason(reason), retry)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The trial left its worker, and not because the whole run is being stopped."""
        if error:  # the scheduler has told why
            return
        # A result that the worker marks as its last goes past the scheduler.
        if result is not None and result.get("done") and trial_id not in self._stopped:
            self.take_result(trial_id, result)
        if (number := self._numbers.pop(trial_id, None)) is not None:
            with self.errors_kept():
                self._loop.on_end(number)

    @contextmanager
    def errors_kept(self, trial_id: str | None = None) -> Iterator[None]:
        """Keeps what the loop or the storage raised, and ends the run.

        Tune would swallow it, or raise its own error with the text of this one. A trial whose result
        raised is told as stopped when the loop is closed.
        """
        try:
            yield
        except Exception as error:
            if trial_id is not None:
                self._numbers.pop(trial_id, None)
            self.error = self.error or error
            self._loop.request_stop("an error")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the storage is the only truth."""


class _LoopScheduler(FIFOScheduler):
    """Hands every result to the loop, and stops what it says."""

    def __init__(self, adapter: _LoopSearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._adapter = adapter

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """There are several metrics, and the loop knows them."""
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Called for every trial, before it starts."""
        self._adapter.controller = tune_controller

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Called after every epoch but the last."""
        goes_on = self._adapter.take_result(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """The worker's process died, or failed outside of a training."""
        self._adapter.take_death(trial.trial_id, error_of(trial))
