"""Images of any size -> the pixels of a network, in the same way for training and prediction.

1. A file is rotated by its orientation tag. Of an animation the first picture is taken, of 16 bits
   per channel the upper 8.
2. Transparent images are blended onto white.
3. Grey becomes RGB, or RGB grey (0.299 R + 0.587 G + 0.114 B), as the network needs it.
4. The largest centred square is cut out ("crop"), or white is added up to the smallest square
   ("pad"), or neither ("stretch").
5. Each new pixel is the mean of the area that it covers.

`hgcnet.decoding` does the first two.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from hgcnet.architecture import Task
from hgcnet.arrays import Floats, Images
from hgcnet.decoding import GREY, RGB, ROOM, WHITE, on_white, pixels_of, without_warnings
from hgcnet.errors import DataError, one_line, shown
from hgcnet.machine import usable_cpus

Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[str, ...] = get_args(Fit)

_LUMA = (19595, 38470, 7471)  # of 2**16: as Pillow, and ITU-R 601-2
_AT_ONCE = 256  # images that are decoded ahead
_CHUNK = 256  # images resized at once: they pass through float32, four times their size

# The rules of every preparation, written into model folders and ONNX files for other readers.
_RULES: Mapping[str, Any] = {
    "background": WHITE,
    "sixteen_bits": "the upper 8",
    "orientation": "exif",
    "resize": "area",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How an image is prepared before it is normalised."""

    channels: int  # 1 is grey, 3 is RGB; arrays may have others
    resolution: int
    fit: Fit = "crop"

    def apply(self, images: Images) -> Images:
        """(N, C, H, W) -> (N, channels, resolution, resolution).

        Raises:
            DataError: C channels cannot be converted to `channels`.
        """
        return resize_area(to_channels(images, self.channels), self.resolution, self.fit)

    def document(self) -> dict[str, Any]:
        """As JSON, with the fixed rules; `read_preparation` reads it back."""
        sizes = {"channels": self.channels, "resolution": self.resolution, "fit": self.fit}
        return sizes | dict(_RULES)


def preparation_for(task: Task, fit: Fit) -> Preparation:
    """The preparation of a task's images."""
    return Preparation(channels=task.in_channels, resolution=task.resolution, fit=fit)


def read_preparation(document: Mapping[str, Any], task: Task) -> Preparation | str:
    """The preparation in a model folder's document, or what is wrong with it, as text.

    Missing keys have the values of folders from before there was such a document.
    """
    preparation = preparation_for(task, document.get("fit", "crop"))
    known = preparation.document()
    if preparation.fit not in FITS:
        return f"fit: {shown(preparation.fit)} is not one of {', '.join(FITS)}"
    for key, value in document.items():
        if key not in known or value != known[key]:
            right = f"is not {known[key]!r}" if key in known else "is not a known setting"
            return f"{one_line(key)}: {shown(value)} {right}"
    return preparation


def prepare_image(image: Any, preparation: Preparation, name: str = "image") -> Images:
    """(channels, resolution, resolution) of a path, a Pillow image or a uint8 array, (H, W) or (H, W, C).

    Raises:
        DataError: it cannot be used; the message begins with the path, or with `name`.
    """
    name = one_line(image) if isinstance(image, str | Path) else name
    try:
        # A view: channels stay last in memory, as float sums depend on the layout.
        with ROOM.held(image):
            pixels: Images = pixels_of(image).transpose(2, 0, 1)
            prepared: Images = preparation.apply(pixels[None])[0]
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return prepared


def prepare_each(images: Iterable[Any], preparation: Preparation) -> Iterator[Images | DataError]:
    """For each image, in order, the result of `prepare_image`, or why it cannot be used."""

    def prepare(numbered: tuple[int, Any]) -> Images | DataError:
        number, image = numbered
        try:
            return prepare_image(image, preparation, f"images[{number}]")
        except DataError as error:
            return error

    waiting = enumerate(images)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        while some := list(islice(waiting, _AT_ONCE)):
            with without_warnings():
                done = list(pool.map(prepare, some))
            yield from done


def to_channels(images: Images, channels: int) -> Images:
    """(N, C, H, W) -> (N, channels, H, W): 2 and 4 channels are grey and RGB with transparency.

    Raises:
        DataError: there is no such conversion.
    """
    given = images.shape[-3]
    if given == channels:
        return images
    if given in (2, 4) and channels in (GREY, RGB):
        images = on_white(images[..., :-1, :, :], images[..., -1:, :, :])
        given -= 1
    if (given, channels) == (GREY, RGB):
        # Channels last, as files are read: float sums depend on the layout in memory.
        return np.moveaxis(np.repeat(np.moveaxis(images, -3, -1), RGB, axis=-1), -1, -3)
    if (given, channels) == (RGB, GREY):
        red, green, blue = (images[..., c, :, :].astype(np.uint32) * _LUMA[c] for c in range(RGB))
        grey: Images = ((red + green + blue + 2**15) >> 16).astype(np.uint8)
        return grey[..., None, :, :]
    if given != channels:
        raise DataError(f"has {given} channels, which cannot be converted to {channels}")
    return images


def resize_area(images: Images, resolution: int, fit: Fit = "crop") -> Images:
    """(N, C, H, W) -> (N, C, resolution, resolution).

    Each new pixel is the mean of the area that it covers, which neither aliases when shrinking nor
    invents values when enlarging.
    """
    height, width = images.shape[-2:]
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        images = images[..., top : top + side, left : left + side]
        height = width = side
    if (height, width) == (resolution, resolution):
        return np.ascontiguousarray(images)
    square = max(height, width) if fit == "pad" else None
    rows, columns = (_area_weights(old, resolution, square) for old in (height, width))
    # For "pad" white is subtracted before the sums: then padding is 0 and need not be stored.
    zero = WHITE if fit == "pad" else 0
    resized = np.empty((*images.shape[:2], resolution, resolution), dtype=np.uint8)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK].astype(np.float32)
        if zero:
            chunk -= zero
        resized[start : start + _CHUNK] = np.rint(rows @ (chunk @ columns.T) + zero)
    return resized


def _area_weights(old: int, new: int, padded: int | None) -> npt.NDArray[np.float32]:
    """(new, old): the weight of each old pixel in the mean that gives a new one.

    The old ones are centred in `padded`, if it is given.
    """
    total = padded or old
    edges = np.arange(new + 1) * (total / new)
    pixels = np.arange(old) + (total - old) // 2
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: Floats = np.clip(overlap, 0, None) * (new / total)
    return weights.astype(np.float32)
