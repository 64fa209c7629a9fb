"""The Trainable: one trial on one worker, one epoch a step."""

from typing import Any

import torch
from ray import tune

from hgcnet.architecture import Architecture
from search.proxy.config import ProxyConfig
from search.proxy.data import Splits
from search.proxy.training import ProxyTraining

# Keys of a step's result, beside those that Tune adds.
EPOCH, ACCURACY, SECONDS, FAILURE = "epoch", "val_accuracy", "epoch_seconds", "failure"


class ProxyTrainable(tune.Trainable):
    """Trains the architecture in `config`; the same process then takes the next one.

    `splits`, `proxy` and the resources come once through Ray's object store (`tune.with_parameters`).
    An exception of the training becomes a result with its reason, so that it costs no worker.
    """

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        splits: Splits,
        proxy: ProxyConfig,
        cpus: int,
        device: str,
    ) -> None:
        """Once for each process."""
        torch.set_num_threads(cpus)
        self._splits, self._proxy = splits, proxy
        self._device = torch.device(device)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial; the training itself is made in its first step."""
        self._architecture: Architecture = new_config["architecture"]
        self._seed: int = new_config["seed"]
        self._training: ProxyTraining | None = None
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        try:
            if self._training is None:
                self._training = ProxyTraining(
                    self._architecture,
                    self._splits,
                    self._proxy,
                    seed=self._seed,
                    device=self._device,
                )
            result = self._training.run_epoch()
        except Exception as error:  # the trial boundary: whatever it is, the study goes on
            self._training = None
            return {FAILURE: f"{type(error).__name__}: {error}"[:1000], tune.result.DONE: True}
        is_last = result.epoch >= self._proxy.epochs
        if is_last:
            self._training = None
        return {
            EPOCH: result.epoch,
            ACCURACY: result.val_accuracy,
            SECONDS: result.seconds,
            tune.result.DONE: is_last,
        }

    def cleanup(self) -> None:
        """Frees the training's memory."""
        self._training = None
