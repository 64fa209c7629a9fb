"""Images of any size to squares of one resolution."""

import numpy as np

from hgcnet.arrays import Floats

Images = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

_CHUNK = 256  # images resized at once: they pass through float32, four times their size


def resize_area(images: Images, resolution: int) -> Images:
    """(N, C, H, W) -> (N, C, resolution, resolution).

    The largest centred square is kept; then each new pixel is the mean of the area that it covers,
    which neither aliases when shrinking nor invents values when enlarging.
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    squares = images[..., top : top + side, left : left + side]
    if side == resolution:
        return np.ascontiguousarray(squares)
    weights = _area_weights(side, resolution).astype(np.float32)
    resized = np.empty((*squares.shape[:2], resolution, resolution), dtype=np.uint8)
    for start in range(0, len(squares), _CHUNK):
        chunk = squares[start : start + _CHUNK].astype(np.float32)
        resized[start : start + _CHUNK] = np.rint(weights @ (chunk @ weights.T))
    return resized


def _area_weights(old: int, new: int) -> Floats:
    """(new, old): the part that each old pixel has in the mean which makes a new one."""
    edges = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: Floats = np.clip(overlap, 0, None) * (new / old)
    return weights
