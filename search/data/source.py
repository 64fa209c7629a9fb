"""Source: one part of a data set before anything is split off; its images are read when asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hgcnet.arrays import Images, Ints
from hgcnet.errors import DataError, shown
from hgcnet.preparation import Preparation
from search.data.folder_listing import ListedFile

Part = Literal["train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """N images with labels 0 .. K - 1.

    `read(indices, preparation)` gives the images at these indices, prepared so: uint8 (n, channels,
    resolution, resolution).
    """

    labels: Ints  # (N,)
    class_names: tuple[str, ...]
    in_channels: int  # of the images, or what they are converted to
    has_test: bool  # the data set brings test images of its own
    read: Callable[[Ints, Preparation], Images]
    validation: Ints | None = None  # (V,) indices, where the data set brings validation images
    # Where images are files:
    files: tuple[ListedFile, ...] = ()  # (N,), by whose names parts are drawn
    left_out: Mapping[str, int] = field(default_factory=dict)  # what is not an image, by kind
    test_part: "Source | None" = None  # if it has one: files are all listed at once
    unreadable: tuple[str, ...] = ()  # a line for each file that was left out as unreadable

    @property
    def all_files(self) -> tuple[ListedFile, ...]:
        """The files, those of the test part included."""
        return self.files + (self.test_part.files if self.test_part else ())


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


def keep_images(source: Source, kept: Ints) -> Source:
    """The source with only these images; `kept` is sorted."""
    validation = source.validation
    return replace(
        source,
        labels=source.labels[kept],
        read=lambda indices, preparation: source.read(kept[indices], preparation),
        validation=None if validation is None else np.flatnonzero(np.isin(kept, validation)),
        files=tuple(source.files[index] for index in kept) if source.files else (),
    )


def check_class_sizes(name: str, source: Source) -> None:
    """Every class must reach the training and, where they are split off, the validation and test part.

    Raises:
        DataError: one class only, or a class with fewer images than parts.
    """
    parts = ["training"] + ["validation"] * (source.validation is None)
    parts += ["test"] * (not source.has_test)
    if len(source.class_names) < 2:
        names = "".join(f", {shown(only)}" for only in source.class_names)
        raise DataError(
            f"{name}: has {len(source.class_names)} class{names}; two or more are needed"
        )
    own = source.labels
    if source.validation is not None:
        own = np.delete(own, source.validation)
    sizes = np.bincount(own, minlength=len(source.class_names))
    smallest, needed = int(np.argmin(sizes)), len(parts)
    if sizes[smallest] < needed:
        words = ", ".join(parts[:-1]) + f" and {parts[-1]}" if needed > 1 else parts[0]
        raise DataError(
            f"{name}: class {shown(source.class_names[smallest])} has {sizes[smallest]} images; "
            f"each class needs {needed} or more to be split into {words}"
        )
