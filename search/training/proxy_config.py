"""ProxyConfig: how a proxy trains, as a study file says it. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["auto", "fp32", "bf16"]
ClassWeights = Literal["none", "balanced"]
RecipeName = Literal["paper", "strong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """The short training of each network."""

    epochs: int
    """Epochs of each training."""
    batch_size: int = 128
    """Images in a step."""
    resolution: int | None = None
    """Side of the images in training, in pixels; smaller is faster. FLOPs and limits stay at
    `data.resolution`, which is the default."""
    train_images: int | None = None
    """Images to train on, a stratified part. All by default."""
    val_images: int | None = None
    """Images to validate on, a stratified part. All by default."""
    learning_rate: float = 0.1
    """Learning rate at the start. A cosine takes it to 0."""
    weight_decay: float = 1e-4
    """Weight decay of all weights."""
    precision: Precision = "auto"
    """Arithmetic of the training. `auto` is bf16 where the hardware has it, else fp32."""
    class_weights: ClassWeights = "none"
    """`balanced` weights an image in the loss inversely to the size of its class, with mean 1 over
    the training images."""
    recipe: RecipeName = "paper"
    """`strong` adds label smoothing, averaged weights, RandAugment-like changes, random erasing and
    a warm-up to the paper's recipe."""
