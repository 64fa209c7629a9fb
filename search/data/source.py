"""Source: one part of a data set before anything is split off it; its images are read when asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hgcnet.arrays import Images, Ints
from hgcnet.errors import DataError, shown
from hgcnet.preparation import Preparation

Part = Literal["train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """N images with labels 0 .. K - 1.

    `read(indices, preparation)` gives the images at these indices, prepared so: uint8 (n, channels,
    resolution, resolution).
    """

    labels: Ints  # (N,)
    class_names: tuple[str, ...]
    in_channels: int  # of the images, or what is made of them
    has_test: bool  # the data set brings test images of its own
    read: Callable[[Ints, Preparation], Images]


def array_source(
    images: Images, labels: Ints, class_names: tuple[str, ...], *, has_test: bool
) -> Source:
    """A source over images (N, C, H, W) that are in memory."""
    return Source(
        labels=labels,
        class_names=class_names,
        in_channels=images.shape[1],
        has_test=has_test,
        read=lambda indices, preparation: preparation.apply(images[indices]),
    )


def check_class_sizes(name: str, source: Source) -> None:
    """Every class must reach the training, the validation and, where it is split off, the test part.

    Raises:
        DataError: one class only, or a class with fewer images than parts.
    """
    needed, parts = (
        (2, "training and validation") if source.has_test else (3, "training, validation and test")
    )
    if len(source.class_names) < 2:
        raise DataError(f"{name}: has {len(source.class_names)} class; two or more are needed")
    sizes = np.bincount(source.labels, minlength=len(source.class_names))
    smallest = int(np.argmin(sizes))
    if sizes[smallest] < needed:
        raise DataError(
            f"{name}: class {shown(source.class_names[smallest])} has {sizes[smallest]} images; "
            f"each class needs {needed} or more to be split into {parts}"
        )
