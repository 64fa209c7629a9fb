"""Splits a data set into training, validation and test images; nothing else does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hgcnet.arrays import Images, Ints
from hgcnet.atomic_write import reading
from hgcnet.decoding import GREY, RGB
from hgcnet.errors import DataError
from hgcnet.preparation import Preparation
from search.data.data_config import DOWNLOADS, OWN_DATA, DataConfig
from search.data.datasets import DATASETS
from search.data.image_folder import unreadable_files
from search.data.source import Part, Source, check_class_sizes, keep_images
from search.data.stratify import complement, sample_by_name, stratified_sample

# Constants, not settings: every study on a data set sees the same images in the same part. Files
# are drawn by name, other images by position.
TEST_SHARE = 0.15  # where the data set brings no test images
VALIDATION_SHARE = 0.1  # of what is left, in data sets of LARGE images or more
VALIDATION_SHARE_OF_SMALL = 0.2
LARGE = 20_000
_TEST_SEED, _VALIDATION_SEED, _SUBSET_SEED = 1, 2, 3

# A mirrored digit or sign has another meaning.
_NOT_MIRRORED = frozenset(
    {"digits", *(f"torchvision:{name}" for name in ("MNIST", "KMNIST", "USPS", "SVHN", "GTSRB"))}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """N images with their labels."""

    images: Images  # (N, C, H, W) uint8
    labels: Ints  # (N,) 0 .. K - 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the channels last, as trainings on a CPU need them: all workers of a machine can
        then read Ray's one copy in place."""
        pixels = np.ascontiguousarray(self.images.transpose(0, 2, 3, 1))
        return _with_channels_last, (pixels, self.labels)


def _with_channels_last(pixels: Images, labels: Ints) -> ImageSet:
    return ImageSet(images=pixels.transpose(0, 3, 1, 2), labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splits:
    """What a study trains and validates on: plain NumPy values, which pickle without a copy."""

    train: ImageSet
    validation: ImageSet
    num_classes: int
    class_names: tuple[str, ...]
    mirror: bool  # whether training images are mirrored at random
    mean: tuple[float, ...]  # of each channel of the training images, for values in [0, 1]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataParts:
    """Every part of a data set: a source and which of its images belong to the part."""

    class_names: tuple[str, ...]
    in_channels: int
    parts: Mapping[str, tuple[Source, Ints]]  # "train", "validation", "test"
    # Of an image folder:
    unreadable: tuple[str, ...]  # a line for each file that is left out as unreadable
    left_out: Mapping[str, int]  # what is not an image, by kind

    def class_counts(self, part: str) -> dict[str, int]:
        """The images of each class."""
        source, indices = self.parts[part]
        counts = np.bincount(source.labels[indices], minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """What is known of a data set without decoding an image."""

    num_classes: int
    in_channels: int
    class_names: tuple[str, ...]
    train_images: int
    val_images: int


def load_splits(
    config: DataConfig,
    *,
    resolution: int,
    train_images: int | None = None,
    val_images: int | None = None,
    hold_out: bool = True,
) -> Splits:
    """Reads the training and the validation part, resized by area; never the test part.

    `train_images` and `val_images` keep a stratified sample of a part. Without `hold_out` the
    validation images are trained on, too, and the validation part is empty: for a network that is
    already chosen.

    Raises:
        DataError: the data set is absent, malformed, or smaller than what is asked for.
    """
    source, train, validation, _ = _open(config)
    if not hold_out:
        train, validation, val_images = np.union1d(train, validation), validation[:0], None
    train = _subset(config, source, train, train_images, "train_images", "training")
    validation = _subset(config, source, validation, val_images, "val_images", "validation")
    train_set = _read(config, source, train, resolution)
    mean, std = _channel_statistics(train_set.images)
    return Splits(
        train=train_set,
        validation=_read(config, source, validation, resolution),
        num_classes=len(source.class_names),
        class_names=source.class_names,
        mirror=config.dataset not in _NOT_MIRRORED if config.mirror is None else config.mirror,
        mean=mean,
        std=std,
    )


def load_test(config: DataConfig, *, resolution: int) -> ImageSet:
    """Reads the test part: the data set's own, or a stratified 15 % of it. No study calls this.

    Raises:
        DataError: as `load_splits`.
    """
    return _read(config, *open_parts(config).parts["test"], resolution)


def summarise_data(config: DataConfig) -> DataSummary:
    """Sizes and classes of what `load_splits` would read.

    Raises:
        DataError: as `load_splits`, but for images that cannot be decoded.
    """
    return summarise_parts(open_parts(config))


def summarise_parts(parts: DataParts) -> DataSummary:
    """The same of a data set that was opened."""
    return DataSummary(
        num_classes=len(parts.class_names),
        in_channels=parts.in_channels,
        class_names=parts.class_names,
        train_images=len(parts.parts["train"][1]),
        val_images=len(parts.parts["validation"][1]),
    )


def root_of(config: DataConfig) -> Path:
    """The folder or file that the data set is read from.

    Raises:
        DataError: it is in the home folder of an unknown user.
    """
    try:
        return Path(config.root).expanduser()
    except RuntimeError as error:
        raise DataError(f"data.root: {config.root}: there is no such home folder") from error


def open_parts(config: DataConfig) -> DataParts:
    """Opens every part of a data set; decodes no image.

    Raises:
        DataError: as `load_splits`, but for images that cannot be decoded.
    """
    source, train, validation, test = _open(config)
    sources = {"train": (source, train), "validation": (source, validation)}
    if source.has_test:
        of_test = source.test_part or _open_part(config, "test")
        source = replace(of_test, in_channels=source.in_channels)
        test = np.arange(len(source.labels))
    return DataParts(
        class_names=source.class_names,
        in_channels=source.in_channels,
        parts={**sources, "test": (source, test)},
        unreadable=source.unreadable,
        left_out=source.left_out,
    )


def _open_part(config: DataConfig, part: Part) -> Source:
    if config.dataset not in DATASETS:
        raise DataError(f"dataset: {config.dataset!r} is not one of {', '.join(DATASETS)}")
    if config.dataset in OWN_DATA and config.root == DOWNLOADS:
        what = "the folder of the images" if config.dataset == "image_folder" else "the .npz file"
        raise DataError(f"{config.dataset}: set root in [data], or --root, to {what}")
    root = root_of(config)
    with reading(data_name(config), DataError):
        source = DATASETS[config.dataset](root, part)
    if config.channels is not None:
        source = replace(source, in_channels=GREY if config.channels == "grey" else RGB)
    if not _skips(config):
        return source
    unreadable = unreadable_files(root, source.all_files)
    test_part = None if source.test_part is None else _without(source.test_part, unreadable)
    return replace(_without(source, unreadable), test_part=test_part)


def _without(source: Source, unreadable: Mapping[Path, str]) -> Source:
    kept = [row for row, file in enumerate(source.files) if file.path not in unreadable]
    found = keep_images(source, np.array(kept, dtype=np.int64))
    return replace(found, unreadable=tuple(unreadable.values()))


def _skips(config: DataConfig) -> bool:
    return config.dataset == "image_folder" and config.unreadable == "skip"


def _open(config: DataConfig) -> tuple[Source, Ints, Ints, Ints]:
    """The source of the training part; the training, validation and test images' indices in it.

    There are no test indices if the data set has its own test images.
    """
    source = _open_part(config, "train")
    check_class_sizes(data_name(config), source)
    if source.files:
        return source, *_parts_by_name(source)
    labels, classes = source.labels, len(source.class_names)
    given = np.arange(0) if source.validation is None else source.validation
    own = complement(given, len(labels))
    test = np.arange(0)
    if not source.has_test:
        size = max(round(TEST_SHARE * len(own)), classes)
        test = own[stratified_sample(labels[own], size, seed=_TEST_SEED)]
    development = np.setdiff1d(own, test, assume_unique=True)
    if source.validation is not None:
        return source, development, given, test
    total = len(development)
    share = VALIDATION_SHARE if total >= LARGE else VALIDATION_SHARE_OF_SMALL
    size = max(round(share * total), classes)
    chosen = stratified_sample(labels[development], size, seed=_VALIDATION_SEED)
    return source, development[complement(chosen, total)], development[chosen], test


def _parts_by_name(source: Source) -> tuple[Ints, Ints, Ints]:
    """Training, validation and test images of files: adding or removing a file moves no other one.

    Therefore the validation share is that of small data sets, however many files there are.
    """
    given = source.validation
    own = complement(np.arange(0) if given is None else given, len(source.labels))
    test_share = 0.0 if source.has_test else TEST_SHARE
    shares = [] if source.has_test else [test_share]
    if given is None:
        shares.append((1 - test_share) * VALIDATION_SHARE_OF_SMALL)
    names = [source.files[index].name for index in own]
    *drawn, train = (own[p] for p in sample_by_name(source.labels[own], names, shares))
    test = np.arange(0) if source.has_test else drawn[0]
    return train, drawn[-1] if given is None else given, test


def _subset(
    config: DataConfig, source: Source, indices: Ints, size: int | None, key: str, part: str
) -> Ints:
    if size is None:
        return indices
    if size > len(indices):
        raise DataError(
            f"{key}: {size} is more than the {len(indices)} {part} images of {data_name(config)}"
        )
    if size < len(source.class_names):
        raise DataError(
            f"{key}: {size} is fewer than the {len(source.class_names)} classes of {data_name(config)}"
        )
    return indices[stratified_sample(source.labels[indices], size, seed=_SUBSET_SEED)]


def _read(config: DataConfig, source: Source, indices: Ints, resolution: int) -> ImageSet:
    preparation = Preparation(channels=source.in_channels, resolution=resolution, fit=config.fit)
    try:
        images = source.read(indices, preparation)
    except MemoryError as error:
        gigabytes = len(indices) * source.in_channels * resolution**2 / 1e9
        raise DataError(
            f"not enough memory: {len(indices):,} images of {resolution} x {resolution} need "
            f"{gigabytes:,.0f} GB; reduce proxy.resolution or proxy.train_images"
        ) from error
    return ImageSet(images=images, labels=source.labels[indices])


def _channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from exact counts of the 256 values."""
    values = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        weights = np.bincount(images[:, channel].ravel(), minlength=256) / images[:, channel].size
        mean = float(weights @ values)
        means.append(mean)
        # A constant channel deviates by 0; one grey level instead keeps the normalised values
        # finite.
        stds.append(max(float(weights @ (values - mean) ** 2) ** 0.5, 1 / 255))
    return tuple(means), tuple(stds)


def data_name(config: DataConfig) -> str:
    """Of a data set, for messages."""
    return f"{config.dataset} {config.root}" if config.dataset in OWN_DATA else config.dataset
