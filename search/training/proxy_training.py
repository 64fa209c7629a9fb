"""ProxyTraining: the short training of one network that stands for a long one."""

import io
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hgcnet.architecture import Architecture, Task
from hgcnet.arrays import Ints
from hgcnet.model import HGCNet
from search.data.splits import ImageSet, Splits
from search.training.augment import Crops, crop_batch, crop_padding, draw_crops, pad_images
from search.training.checkpoints import unreadable_state
from search.training.cuda_graph import CudaGraph
from search.training.precision import autocast
from search.training.proxy_config import Precision, ProxyConfig
from search.training.quality import ACCURACY, Confusion, QualityMetric, class_counts, judge
from search.training.strong import (
    LABEL_SMOOTHING,
    AveragedWeights,
    change_images,
    draw_changes,
    erase,
    warmed_up_cosine,
)

_EVALUATION_BATCH = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """The result of one epoch."""

    epoch: int  # finished epochs, this one included
    train_loss: float  # mean over images
    val_accuracy: float  # in [0, 1]; NaN where there are no validation images
    quality: float  # by the metric of the training, as in its curve
    confusion: Confusion | None  # of the validation images, after the last epoch
    seconds: float  # training and validation


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Mean cross entropy and confusion matrix over a set of images."""

    loss: float
    # (K, K): how many images of class i (row) were called j (column). No tuple: there may be 1000 classes.
    confusion: Ints = field(compare=False)

    def quality(self, metric: QualityMetric = ACCURACY) -> float:
        """In [0, 1]; NaN without images."""
        return judge(metric, class_counts(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.quality()


class Diverged(RuntimeError):
    """The loss is NaN or infinite: the training cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceImages:
    """An image set on a device, normalised only when a batch is taken from it."""

    pixels: Tensor  # (N, H, W, C) uint8; on a GPU the training images with their padding
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
    """Images on a device, to be normalised by the statistics of the training part.

    On a CPU they are not copied, so that all workers of a machine share them. Only for a GPU a copy
    with `padding` is made, which saves work in each step.
    """
    statistics = 255 * torch.tensor((splits.mean, splits.std), dtype=torch.float32, device=device)
    mean, std = (values.repeat(images.images.shape[3]) for values in statistics)
    pixels = np.ascontiguousarray(images.images.transpose(0, 2, 3, 1))
    with warnings.catch_warnings():
        # Ray's arrays are read-only; nothing writes to them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        on_device = torch.from_numpy(pixels).to(device)
    return DeviceImages(
        pixels=on_device if device.type == "cpu" else pad_images(on_device, padding),
        labels=torch.tensor(images.labels, device=device),
        mean=mean,
        std=std,
    )


@torch.inference_mode()
def evaluate(model: nn.Module, data: DeviceImages, precision: Precision = "fp32") -> Evaluation:
    """Loss and answers of a model on images of its own device; leaves it in evaluation mode.

    Without images, loss and accuracy are NaN.
    """
    model.eval()
    loss = torch.zeros((), device=data.labels.device)
    total, classes, pairs = len(data.labels), 0, []
    if total == 0:
        return Evaluation(loss=math.nan, confusion=np.zeros((0, 0), dtype=np.int64))
    for start in range(0, total, _EVALUATION_BATCH):
        part = slice(start, start + _EVALUATION_BATCH)
        labels = data.labels[part]
        with autocast(precision, data.pixels.device):
            logits = model(data.normalise(data.pixels[part].permute(0, 3, 1, 2)))
        loss += functional.cross_entropy(logits.float(), labels, reduction="sum")
        classes = logits.shape[1]
        pairs.append(labels * classes + logits.argmax(1))
    counts = torch.bincount(torch.cat(pairs), minlength=classes**2).view(classes, classes)
    return Evaluation(loss=float(loss) / total, confusion=counts.cpu().numpy())


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """The weight of an image of each class (K,): inverse to the size of the class, with mean 1 over
    all images."""
    counts = torch.bincount(labels, minlength=num_classes)
    # (The weight of a class without images is never used.)
    return len(labels) / (int((counts > 0).sum()) * counts.clamp(min=1).float())


class ProxyTraining:
    """Trains a fresh HGCNet epoch by epoch, by the recipe of the paper (Xie, Zhou, Kung 2019).

    SGD with Nesterov momentum 0.9, cosine from `learning_rate` to 0 over all steps, random crops
    and, where the data allow it, mirroring. The images stay on the device as uint8. An epoch takes
    full batches only; if there are fewer images than `batch_size`, one batch of all.
    `search.training.strong` says what `config.recipe` "strong" adds.

    Args:
        quality_metric: the metric of the curve.
        start: weights that the network begins with, by name; it keeps its own where there are none.

    `model` is the evaluated network. `seed` (>= 0) fixes the weights, the order and the crops; the
    global random state is not used. On a CPU the same seed and number of threads give exactly the
    same curve.
    """

    def __init__(
        self,
        architecture: Architecture,
        splits: Splits,
        config: ProxyConfig,
        *,
        seed: int,
        device: torch.device,
        quality_metric: QualityMetric = ACCURACY,
        start: Mapping[str, Tensor] = MappingProxyType({}),
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
        self._config, self._quality_metric = config, quality_metric
        self._mirror = splits.mirror
        self._padding = crop_padding(self._resolution)
        self._train = to_device(splits.train, splits, device, padding=self._padding)
        self._validation = to_device(splits.validation, splits, device)

        model = HGCNet(architecture, task, generator=torch.Generator().manual_seed(init_seed))
        model.load_state_dict(model.state_dict() | dict(start))
        self._network = model.to(device).to(memory_format=torch.channels_last)
        self.model = self._network
        self._averaged: AveragedWeights | None = None
        if config.recipe == "strong":
            self._averaged = AveragedWeights(self._network, config.epochs * self._steps_per_epoch)
            self.model = self._averaged.network
        self._class_weights: Tensor | None = None
        if config.class_weights == "balanced":
            self._class_weights = balanced_weights(self._train.labels, splits.num_classes)
        self._optimizer = torch.optim.SGD(
            self._network.parameters(),
            lr=torch.tensor(config.learning_rate, device=device),  # a CUDA graph reads it there
            momentum=0.9,
            nesterov=True,
            weight_decay=config.weight_decay,
            fused=device.type == "cuda",  # elsewhere the rate is read by Python
        )
        self._graph = CudaGraph() if device.type == "cuda" else None
        self.curve: list[float] = []  # the quality after every finished epoch
        self.train_losses: list[float] = []
        self.seconds = 0.0  # of those epochs

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
        quality = validation.quality(self._quality_metric)
        self.curve.append(quality)
        self.train_losses.append(train_loss)
        self.seconds += seconds
        return EpochResult(
            epoch=self.epoch,
            train_loss=train_loss,
            val_accuracy=validation.accuracy,
            quality=quality,
            confusion=tuple(map(tuple, validation.confusion.tolist())) if self.is_over else None,
            seconds=seconds,
        )

    def save_state(self) -> bytes:
        """Everything that changes from epoch to epoch; `load_state` continues from it exactly."""
        buffer = io.BytesIO()
        state = {
            "curve": self.curve,
            "train_losses": self.train_losses,
            "seconds": self.seconds,
            "model": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
        }
        if self._averaged is not None:
            state["averaged"] = self._averaged.network.state_dict()
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_state(self, state: bytes) -> None:
        """Restores a state that `save_state` gave in a training of the same architecture, data and config.

        Raises:
            ValueError: it cannot be read; this training must then not be used.
        """
        with unreadable_state():
            values = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
            self._network.load_state_dict(values["model"])
            if self._averaged is not None:
                self._averaged.network.load_state_dict(values["averaged"])
            # Only its momentum: the rest depends on the device, which may be another one.
            own = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict(values["optimizer"] | {"param_groups": own})
            self._graph = CudaGraph() if self._graph else None  # the momentum has a new place
            self._generator.set_state(values["generator"])
            self.curve, self.seconds = list(values["curve"]), values["seconds"]
            self.train_losses = list(values["train_losses"])

    @property
    def _batch_size(self) -> int:
        return min(self._config.batch_size, len(self._train.labels))

    @property
    def _steps_per_epoch(self) -> int:
        return len(self._train.labels) // self._batch_size

    def _train_epoch(self) -> float:
        self._network.train()
        device = self._train.pixels.device
        num_images = len(self._train.labels)
        batch_size, steps = self._batch_size, self._steps_per_epoch
        # All of an epoch's draws go to the device at once: a copy a step would make it wait.
        order = torch.randperm(num_images, generator=self._generator)[: steps * batch_size]
        order = order.to(device)
        crops = draw_crops(len(order), self._padding, self._mirror, self._generator, device)
        changes = None
        if self._config.recipe == "strong":
            channels = self._train.pixels.shape[3]
            changes = draw_changes(len(order), channels, self._generator, device)

        total = torch.zeros((), device=device)
        for step in range(steps):
            part = slice(step * batch_size, (step + 1) * batch_size)
            cropped = crops[part]
            inputs = [order[part], cropped.top, cropped.left, cropped.mirrored]
            inputs += () if changes is None else changes[part]
            done = self.epoch * steps + step
            for group in self._optimizer.param_groups:
                group["lr"].fill_(self._learning_rate(done, steps))
            total += self._graph.run(self._step, *inputs) if self._graph else self._step(*inputs)
            if self._averaged is not None:
                self._averaged.update(done)
        return float(total) / steps

    def _step(
        self, batch: Tensor, top: Tensor, left: Tensor, mirrored: Tensor, *changes: Tensor
    ) -> Tensor:
        """One step on the images `batch` (B,), cropped and, by the recipe, changed; returns the
        loss before it."""
        crops = Crops(top=top, left=left, mirrored=mirrored)
        pixels = crop_batch(self._train.pixels, batch, crops, self._resolution, self._padding)
        if changes:
            places, factors, erased = changes
            changed = change_images(pixels, places, factors)
            images = erase(self._train.normalise(changed), erased)
        else:
            images = self._train.normalise(pixels)
        with autocast(self._config.precision, pixels.device):
            logits = self._network(images)
        loss = self._loss(logits.float(), self._train.labels[batch])
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = LABEL_SMOOTHING if self._config.recipe == "strong" else 0.0
        if self._class_weights is None:
            return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        # torch's own weights would be divided by their sum in the batch: the fewer rare images are in
        # it, the more each of the others would count.
        losses = functional.cross_entropy(
            logits, labels, reduction="none", label_smoothing=smoothing
        )
        return (self._class_weights[labels] * losses).mean()

    def _learning_rate(self, step: int, steps_per_epoch: int) -> float:
        if self._config.recipe == "strong":
            share = warmed_up_cosine(step, self._config.epochs * steps_per_epoch)
            return self._config.learning_rate * share
        progress = step / (self._config.epochs * steps_per_epoch)
        return self._config.learning_rate * (1 + math.cos(math.pi * progress)) / 2

    def _check_finite(self, name: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(f"the {name} loss is {loss} in epoch {self.epoch + 1}")
