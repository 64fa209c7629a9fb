"""The recipe "strong": what is known to help small networks on little data, on top of the paper's recipe.

Five well-known parts, with fixed settings. All draws of an epoch are made beforehand by the
training's own generator, on the CPU. So a resumed training gives the same result as a whole one,
and all steps of a CUDA graph have the same shapes.

- Label smoothing 0.1 (Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7; kept in the
  reference recipe of torchvision): torch's.
- Averaged weights: an exponential moving average over the last twentieth of the steps (Polyak and Juditsky
  1992; in torchvision's reference recipe as "model-ema"), with the statistics of batch normalisation: torch's
  `get_ema_multi_avg_fn`. They are what is evaluated and saved.
- One change for each image, of random kind and strength (TrivialAugment: Mueller and Hutter 2021).
  The kinds are those of RandAugment (Cubuk et al. 2020) that keep an image's meaning: rotation,
  shears, brightness, contrast and, for colour images, saturation. The strength is half of
  RandAugment's, as small networks want less of it (its section 4.1). torchvision's transforms
  change all images of a batch alike, or one image at a time, and draw from the global random state;
  so this is one `grid_sample` and a few products.
- Random erasing of a rectangle in a quarter of the images (Zhong et al. 2020), by the mean of the training
  images. Not mixup or cutmix: they want longer trainings, and networks that overfit.
- A linear warm-up over the first twentieth of the steps, then one cosine to 0 (Goyal et al. 2017; Loshchilov
  and Hutter 2017).
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hgcnet.model import HGCNet

LABEL_SMOOTHING = 0.1
_WARM_UP = 1 / 20  # of all steps
_AVERAGED = 1 / 20  # of all steps
_MAX_DEGREES, _MAX_SHEAR, _MAX_FACTOR = 15.0, 0.15, 0.5  # half of RandAugment's 30, 0.3 and 0.9
_ERASED_IMAGES = 1 / 4
_ERASED_AREA, _ERASED_RATIO = (0.02, 0.2), (0.3, 1 / 0.3)  # of the image; height to width
_ROTATE, _SHEAR_X, _SHEAR_Y, _BRIGHTNESS, _CONTRAST, _SATURATION = range(1, 7)  # 0: left as it is
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """How each of N images is changed."""

    places: Tensor  # (N, 2, 3): where the pixels come from, as torch's affine_grid takes it
    factors: Tensor  # (N, 3): brightness, contrast, saturation; 1 leaves it
    erased: Tensor  # (N, 4): top, bottom, left, right of a rectangle in [0, 1]; empty: none

    def __getitem__(self, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        return self.places[part], self.factors[part], self.erased[part]


def draw_changes(
    num_images: int, channels: int, generator: torch.Generator, device: torch.device
) -> Changes:
    """Changes of all kinds, equally likely, of uniform strength; a part of the images has a hole."""
    kinds = _SATURATION + 1 if channels == len(_GREY) else _SATURATION
    kind = torch.randint(kinds, (num_images,), generator=generator)
    strength = 2 * torch.rand(num_images, generator=generator) - 1
    angle = torch.where(kind == _ROTATE, math.radians(_MAX_DEGREES) * strength, 0.0)
    shear_x = torch.where(kind == _SHEAR_X, _MAX_SHEAR * strength, 0.0)
    shear_y = torch.where(kind == _SHEAR_Y, _MAX_SHEAR * strength, 0.0)
    cosine, sine = angle.cos(), angle.sin()
    zero = torch.zeros(num_images)
    rows = (cosine, shear_x - sine, zero, sine + shear_y, cosine, zero)
    colours = (_BRIGHTNESS, _CONTRAST, _SATURATION)
    factors = [1 + torch.where(kind == colour, _MAX_FACTOR * strength, 0.0) for colour in colours]

    has_hole, area, ratio, top, left = torch.rand(5, num_images, generator=generator)
    low, high = _ERASED_AREA
    area = torch.where(has_hole < _ERASED_IMAGES, low + (high - low) * area, 0.0)
    low, high = map(math.log, _ERASED_RATIO)
    ratio = torch.exp(low + (high - low) * ratio)
    height, width = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
    top, left = top * (1 - height), left * (1 - width)
    return Changes(
        places=torch.stack(rows, 1).view(-1, 2, 3).to(device),
        factors=torch.stack(factors, 1).to(device),
        erased=torch.stack((top, top + height, left, left + width), 1).to(device),
    )


def change_images(pixels: Tensor, places: Tensor, factors: Tensor) -> Tensor:
    """(B, C, H, W) uint8 -> float32 of 0 .. 255, moved and recoloured; black where nothing was."""
    grid = functional.affine_grid(places, list(pixels.shape), align_corners=False)
    images = functional.grid_sample(pixels.float(), grid, align_corners=False)
    brightness, contrast, saturation = factors.t()[:, :, None, None, None].unbind()
    images = brightness * images
    means = _grey(images).mean((1, 2, 3), keepdim=True)
    images = means + contrast * (images - means)
    if pixels.shape[1] == len(_GREY):
        greys = _grey(images)
        images = greys + saturation * (images - greys)
    return images.clamp(0.0, 255.0)


def erase(images: Tensor, erased: Tensor) -> Tensor:
    """Normalised images (B, C, H, W) with 0, the mean, in each one's rectangle."""
    height, width = images.shape[2:]
    top, bottom, left, right = erased.t()[:, :, None]
    rows = (torch.arange(height, device=images.device) + 0.5) / height
    columns = (torch.arange(width, device=images.device) + 0.5) / width
    in_rows = (rows >= top) & (rows < bottom)  # (B, H)
    in_columns = (columns >= left) & (columns < right)  # (B, W)
    hole = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return images.masked_fill(hole, 0.0)


def warmed_up_cosine(step: int, steps: int) -> float:
    """The share of the learning rate at one of all steps: linear up to 1, then a cosine to 0."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))) / 2


class AveragedWeights:
    """A copy of a network whose weights are the moving average of that network's."""

    def __init__(self, network: HGCNet, steps: int) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        pairs = [
            (kept, given.detach())
            for kept, given in zip(_tensors(self.network), _tensors(network), strict=True)
            if kept.is_floating_point()  # not the counts of batches
        ]
        self._kept, self._given = [kept for kept, _ in pairs], [given for _, given in pairs]
        self._decay = 1 - 1 / max(1.0, _AVERAGED * steps)

    def update(self, step: int) -> None:
        """Takes the weights after a step (0, 1, ...); the first ones are soon forgotten."""
        from torch.optim.swa_utils import get_ema_multi_avg_fn

        decay = min(self._decay, step / (10 + step))
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(self._kept, self._given, step)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _grey(images: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 1, H, W)."""
    if images.shape[1] != len(_GREY):
        return images.mean(1, keepdim=True)
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    # Numbers of Python: a tensor of them would be copied from the CPU, which no CUDA graph may do.
    return _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
