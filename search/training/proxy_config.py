"""ProxyConfig: how a proxy trains, as a study file says it. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["auto", "fp32", "bf16"]
ClassWeights = Literal["none", "balanced"]
RecipeName = Literal["paper", "strong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """How long and on how much a proxy trains.

    `resolution`, `train_images` and `val_images` say what to give to `load_splits`; None is the
    data set's own resolution, and all images. `class_weights`: "balanced" has every image count for
    the loss inversely to the images of its class, 1 on the mean of the training images. `recipe` is
    explained in `ProxyTraining` ("paper") and in `search.training.strong`.
    """

    epochs: int
    batch_size: int = 128
    resolution: int | None = None
    train_images: int | None = None
    val_images: int | None = None
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    precision: Precision = "auto"
    class_weights: ClassWeights = "none"
    recipe: RecipeName = "paper"
