"""ProxyTraining: the short training of one network that stands for a long one."""

import io
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hgcnet.architecture import Architecture, Task
from hgcnet.model import HGCNet
from search.data.splits import ImageSet, Splits
from search.training.augment import Crops, crop_batch, crop_padding, draw_crops, pad_images
from search.training.checkpoints import unreadable_state
from search.training.cuda_graph import CudaGraph
from search.training.precision import autocast
from search.training.proxy_config import Precision, ProxyConfig

_EVALUATION_BATCH = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """What one epoch gave."""

    epoch: int  # finished epochs, this one included
    train_loss: float  # mean cross entropy over images
    val_accuracy: float  # in [0, 1]; NaN where there are no validation images
    seconds: float  # training and validation


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Mean cross entropy and share of right answers over a set of images."""

    loss: float
    accuracy: float  # in [0, 1]


class Diverged(RuntimeError):
    """The loss is NaN or infinite: this network cannot be trained so."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceImages:
    """An image set on a device, normalised only when a batch is taken from it."""

    pixels: Tensor  # (N, H, W, C) uint8, the training images with their padding
    labels: Tensor  # (N,)
    mean: Tensor  # (W * C,), of values 0 .. 255, repeated for the pixels of a row
    std: Tensor  # (W * C,)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) uint8, channels last in memory -> float32."""
        batch, channels, height, width = pixels.shape
        # By rows: over the few channels alone, the innermost loop would be of three values.
        rows = pixels.permute(0, 2, 3, 1).reshape(batch, height, width * channels).float()
        rows = rows.sub_(self.mean).div_(self.std)
        return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def to_device(
    images: ImageSet, splits: Splits, device: torch.device, *, padding: int = 0
) -> DeviceImages:
    """Copies images to a device, to be normalised by the statistics of the training part."""
    statistics = 255 * torch.tensor((splits.mean, splits.std), dtype=torch.float32, device=device)
    mean, std = (values.repeat(images.images.shape[3]) for values in statistics)
    # Arrays from Ray's object store are read-only, so they are copied before torch sees them.
    pixels = torch.tensor(images.images, device=device).permute(0, 2, 3, 1).contiguous()
    return DeviceImages(
        pixels=pad_images(pixels, padding),
        labels=torch.tensor(images.labels, device=device),
        mean=mean,
        std=std,
    )


@torch.inference_mode()
def evaluate(model: nn.Module, data: DeviceImages, precision: Precision = "fp32") -> Evaluation:
    """Loss and accuracy of a model on images of its own device; leaves it in evaluation mode.

    Of no images both are NaN.
    """
    model.eval()
    loss = torch.zeros((), device=data.labels.device)
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    total = len(data.labels)
    if total == 0:
        return Evaluation(loss=math.nan, accuracy=math.nan)
    for start in range(0, total, _EVALUATION_BATCH):
        part = slice(start, start + _EVALUATION_BATCH)
        labels = data.labels[part]
        with autocast(precision, data.pixels.device):
            logits = model(data.normalise(data.pixels[part].permute(0, 3, 1, 2)))
        loss += functional.cross_entropy(logits.float(), labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
    return Evaluation(loss=float(loss) / total, accuracy=int(correct) / total)


class ProxyTraining:
    """Trains a fresh HGCNet epoch by epoch, by the recipe of the paper (Xie, Zhou, Kung 2019).

    SGD with Nesterov momentum 0.9, cosine from `learning_rate` to 0 over all steps, random crops
    and, where the data allow it, mirroring. The images stay on the device as uint8. An epoch takes
    full batches only; where `batch_size` is more than there are images, one batch of all.

    `seed` (>= 0) fixes the weights, the order and the crops; the global random state is not used.
    On a CPU the same seed and number of threads give the same curve to the last digit.
    """

    def __init__(
        self,
        architecture: Architecture,
        splits: Splits,
        config: ProxyConfig,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        _, channels, self._resolution, _ = splits.train.images.shape
        task = Task(
            in_channels=channels,
            num_classes=splits.num_classes,
            resolution=self._resolution,
            class_names=splits.class_names,
        )
        init_seed, order_seed = np.random.SeedSequence(seed).generate_state(2, np.uint64).tolist()
        self._generator = torch.Generator().manual_seed(order_seed)
        self._config = config
        self._mirror = splits.mirror
        self._padding = crop_padding(self._resolution)
        self._train = to_device(splits.train, splits, device, padding=self._padding)
        self._validation = to_device(splits.validation, splits, device)

        model = HGCNet(architecture, task, generator=torch.Generator().manual_seed(init_seed))
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=torch.tensor(config.learning_rate, device=device),  # a CUDA graph reads it there
            momentum=0.9,
            nesterov=True,
            weight_decay=config.weight_decay,
            fused=device.type == "cuda",  # elsewhere the rate is read by Python
        )
        self._graph = CudaGraph() if device.type == "cuda" else None
        self.curve: list[float] = []  # val_accuracy of every finished epoch
        self.train_losses: list[float] = []
        self.seconds = 0.0  # that they took

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.curve)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self._config.epochs

    def run_epoch(self) -> EpochResult:
        """Trains one more epoch and validates.

        Raises:
            Diverged: the loss of this epoch is NaN or infinite.
            RuntimeError: all epochs are done.
        """
        if self.is_over:
            raise RuntimeError(f"all {self._config.epochs} epochs of this training are done")
        start = time.perf_counter()
        train_loss = self._train_epoch()
        self._check_finite("training", train_loss)
        validation = evaluate(self.model, self._validation, self._config.precision)
        if len(self._validation.labels):
            self._check_finite("validation", validation.loss)
        seconds = time.perf_counter() - start
        self.curve.append(validation.accuracy)
        self.train_losses.append(train_loss)
        self.seconds += seconds
        return EpochResult(
            epoch=self.epoch,
            train_loss=train_loss,
            val_accuracy=validation.accuracy,
            seconds=seconds,
        )

    def save_state(self) -> bytes:
        """Everything that changes from epoch to epoch; `load_state` continues from it exactly."""
        buffer = io.BytesIO()
        state = {
            "curve": self.curve,
            "train_losses": self.train_losses,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_state(self, state: bytes) -> None:
        """Takes over what `save_state` gave in a training of the same architecture, data and config.

        Raises:
            ValueError: it cannot be read; this training is then of no more use.
        """
        with unreadable_state():
            values = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
            self.model.load_state_dict(values["model"])
            # Its momentum alone: the rest goes by the device, which may be another one.
            own = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict(values["optimizer"] | {"param_groups": own})
            self._graph = CudaGraph() if self._graph else None  # the momentum has a new place
            self._generator.set_state(values["generator"])
            self.curve, self.seconds = list(values["curve"]), values["seconds"]
            self.train_losses = list(values["train_losses"])

    def _train_epoch(self) -> float:
        self.model.train()
        device = self._train.pixels.device
        num_images = len(self._train.labels)
        batch_size = min(self._config.batch_size, num_images)
        steps = num_images // batch_size
        # All of an epoch's draws go to the device at once: a copy a step would make it wait.
        order = torch.randperm(num_images, generator=self._generator)[: steps * batch_size]
        order = order.to(device)
        crops = draw_crops(len(order), self._padding, self._mirror, self._generator, device)

        total = torch.zeros((), device=device)
        for step in range(steps):
            part = slice(step * batch_size, (step + 1) * batch_size)
            cropped = crops[part]
            inputs = (order[part], cropped.top, cropped.left, cropped.mirrored)
            for group in self._optimizer.param_groups:
                group["lr"].fill_(self._learning_rate(self.epoch * steps + step, steps))
            total += self._graph.run(self._step, *inputs) if self._graph else self._step(*inputs)
        return float(total) / steps

    def _step(self, batch: Tensor, top: Tensor, left: Tensor, mirrored: Tensor) -> Tensor:
        """One step on the images `batch` (B,), cropped so; the loss before it."""
        crops = Crops(top=top, left=left, mirrored=mirrored)
        pixels = crop_batch(self._train.pixels, batch, crops, self._resolution)
        with autocast(self._config.precision, pixels.device):
            logits = self.model(self._train.normalise(pixels))
        loss = functional.cross_entropy(logits.float(), self._train.labels[batch])
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    def _learning_rate(self, step: int, steps_per_epoch: int) -> float:
        progress = step / (self._config.epochs * steps_per_epoch)
        return self._config.learning_rate * (1 + math.cos(math.pi * progress)) / 2

    def _check_finite(self, name: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(f"the {name} loss is {loss} in epoch {self.epoch + 1}")
