"""Random crops and mirroring of a whole batch on its device, by one gather from padded uint8 images."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crops:
    """How each of N images is cropped: its corner in the padded image, and whether it is mirrored."""

    top: Tensor  # (N,)
    left: Tensor  # (N,)
    mirrored: Tensor  # (N,) bool

    def __getitem__(self, part: slice) -> "Crops":
        return Crops(top=self.top[part], left=self.left[part], mirrored=self.mirrored[part])


def crop_padding(resolution: int) -> int:
    """Pixels added on each side before the crop: 4 at 32, as is usual for CIFAR, and in proportion."""
    return resolution // 8


def pad_images(pixels: Tensor, padding: int) -> Tensor:
    """(N, H, W, C) -> (N, H + 2 padding, W + 2 padding, C), black around the images."""
    return functional.pad(pixels, (0, 0, padding, padding, padding, padding))


def draw_crops(
    num_images: int, padding: int, mirror: bool, generator: torch.Generator, device: torch.device
) -> Crops:
    """Crops of the padded image, all equally likely. Drawn on the CPU: all devices get the same."""
    corners = torch.randint(2 * padding + 1, (2, num_images), generator=generator).to(device)
    # Without mirroring every coin is 0.
    coins = torch.randint(1 + mirror, (num_images,), generator=generator).to(device)
    return Crops(top=corners[0], left=corners[1], mirrored=coins == 1)


def crop_batch(images: Tensor, batch: Tensor, crops: Crops, side: int, padding: int = 0) -> Tensor:
    """The images `batch` (B,) of (N, H, W, C) as (B, C, side, side) uint8, channels last in memory.

    The images are padded; or they have this `side`, and the crops are relative to a `padding`
    around them.
    """
    steps = torch.arange(side, device=images.device)
    rows = crops.top[:, None] + steps  # (B, side)
    columns = crops.left[:, None] + torch.where(crops.mirrored[:, None], side - 1 - steps, steps)
    # Whole pixels by their place in the flat set: four times as fast as three index tensors.
    _, height, width, channels = images.shape
    inside = None
    if padding and (height, width) == (side, side):
        rows, columns = rows - padding, columns - padding
        in_rows, in_columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
        inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
        rows, columns = rows.clamp(0, side - 1), columns.clamp(0, side - 1)
    places = ((batch[:, None] * height + rows) * width)[:, :, None] + columns[:, None, :]
    pixels = images.view(-1, channels).index_select(0, places.view(-1))
    pixels = pixels.view(len(batch), side, side, channels)
    if inside is not None:
        pixels.mul_(inside)  # black around the images
    return pixels.permute(0, 3, 1, 2)
