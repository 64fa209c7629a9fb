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
MAX_REASON = 500  # characters of a failure


class ProxyTrainable(tune.Trainable):
    """Trains the architecture in `config`; the same process then takes the next one.

    `splits`, `proxy` and the resources come once through Ray's object store (`tune.with_parameters`).
    An exception of the training becomes a result with its reason, so that it costs no worker.
    """

    _training: ProxyTraining | None

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
        self._drop_training()
        self._architecture: Architecture = new_config["architecture"]
        self._seed: int = new_config["seed"]
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
            epoch = self._training.run_epoch()
        except torch.AcceleratorError:
            raise  # nothing works in this process any more: it dies, and the next trial gets another
        except Exception as error:  # the trial boundary: whatever it is, the study goes on
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON]
            result: dict[str, Any] = {FAILURE: reason, tune.result.DONE: True}
        else:
            result = {
                EPOCH: epoch.epoch,
                ACCURACY: epoch.val_accuracy,
                SECONDS: epoch.seconds,
                tune.result.DONE: epoch.epoch >= self._proxy.epochs,
            }
        if result[tune.result.DONE]:
            self._drop_training()
        return result

    def cleanup(self) -> None:
        """Frees the training's memory."""
        self._drop_training()

    def _drop_training(self) -> None:
        self._training = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()  # the other workers of this GPU need what it kept
