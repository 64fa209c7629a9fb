"""The Trainable: one trial on one worker, one epoch a step."""

import faulthandler
import os
from functools import partial
from threading import Event
from typing import Any

import ray
import torch
from ray import tune

from hgcnet.architecture import Architecture
from search.data.splits import Splits
from search.study_file.schema import Workers
from search.training.accelerator import is_of_accelerator
from search.training.memory import is_out_of_memory, set_memory_share
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.training.quality import ACCURACY, QualityMetric
from search.training.steps import TrainingSteps
from search.workers.reasons import reason_of

# Keys of a step's result, beside those that Tune adds.
EPOCH, QUALITY, SECONDS = "epoch", "quality", "epoch_seconds"
CONFUSION = "confusion"  # of the last epoch: the confusion matrix
STATE = "state"  # of the training, every few minutes, at its end if asked for: a checkpoint
FAILURE, CROWDED = "failure", "crowded"  # the reason; whether it was out of memory beside others


class ProxyTrainable(tune.Trainable):
    """Trains the architecture in `config`; the same process then takes the next one.

    `splits`, `proxy` and `workers` come once through Ray's object store (`tune.with_parameters`).
    An exception of the training becomes a result with its reason, so that the worker survives. A
    training that exceeds `workers.trial_minutes` ends its process.
    """

    _training: TrainingSteps | None

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        splits: Splits,
        proxy: ProxyConfig,
        workers: Workers,
        quality_metric: QualityMetric = ACCURACY,
        keep_states: bool = False,
    ) -> None:
        """Once for each process."""
        torch.set_num_threads(workers.cpus)
        self._splits, self._proxy, self._workers = splits, proxy, workers
        self._quality_metric, self._keep_states = quality_metric, keep_states
        self._device = torch.device("cuda" if workers.gpus else "cpu")
        self._nowhere = os.open(os.devnull, os.O_WRONLY)  # where the watchdog writes
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial; the training itself is made in its first step."""
        self._drop_training()
        self._is_over = self._is_handed_over = False
        self._architecture: Architecture = new_config["architecture"]
        self._seed: int = new_config["seed"]
        self._alone: bool = new_config.get("alone", False)
        self._checkpoint: ray.ObjectRef[bytes] | None = new_config.get("checkpoint")
        if self._device.type == "cuda":
            set_memory_share(1.0 if self._alone else self._workers.gpus)
        if self._workers.trial_minutes is not None:
            # Of C, not of Python: it also ends a process that hangs with the interpreter's lock.
            seconds = 60 * self._workers.trial_minutes
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._nowhere)
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch; none after the state was handed over, as it would be trained twice."""
        if self._is_handed_over:
            Event().wait()  # for the end of this process
        try:
            if self._training is None:
                self._training = self._begin()
            step = self._training.run_epoch()
        except Exception as error:  # the trial boundary: whatever it is, the study continues
            if is_of_accelerator(error):
                raise  # this process dies, and the next trial gets another
            reason = reason_of(error)
            result: dict[str, Any] = {tune.result.DONE: True, CROWDED: False}
            if is_out_of_memory(error):
                result[CROWDED] = not self._alone
                reason = f"out of memory: {reason}"
            result[FAILURE] = reason
        else:
            result = {
                EPOCH: step.result.epoch,
                QUALITY: step.result.quality,
                SECONDS: step.result.seconds,
                tune.result.DONE: step.is_last,
            }
            if step.result.confusion is not None:
                result[CONFUSION] = step.result.confusion
            if step.state is not None:
                result[STATE] = step.state
        if result[tune.result.DONE]:
            self._drop_training()
            self._is_over = True
        return result

    def hand_over(self) -> bytes | None:
        """The state of the training, between two epochs; b"" once it is over, None before it has begun."""
        if self._training is None:
            return b"" if self._is_over else None
        self._is_handed_over = True
        return self._training.training.save_state()

    def cleanup(self) -> None:
        """Frees the training's memory."""
        self._drop_training()

    def _begin(self) -> TrainingSteps:
        """The training, new or resumed from its checkpoint."""
        state = None if self._checkpoint is None else ray.get(self._checkpoint)
        self._checkpoint = None
        given = (self._architecture, self._splits, self._proxy)
        create = partial(
            ProxyTraining,
            *given,
            seed=self._seed,
            device=self._device,
            quality_metric=self._quality_metric,
        )
        minutes = self._workers.checkpoint_minutes
        return TrainingSteps(create, state, minutes=minutes, keep_last=self._keep_states)

    def _drop_training(self) -> None:
        self._training = None
        faulthandler.cancel_dump_traceback_later()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()  # the other workers of this GPU need what it kept
