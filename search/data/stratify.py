"""Stratified samples: every class keeps its share, and the same labels (or names) give the same sample."""

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from hgcnet.arrays import Ints


def stratified_sample(labels: Ints, size: int, *, seed: int) -> Ints:
    """Sorted indices of `size` images in which each class has its share, and at least one image.

    The order in which a class gives its images depends on `seed` alone, so that with one seed a
    smaller sample lies within a larger one, up to the rounding of the shares.
    `size` is at least the number of classes, and labels are 0 .. K - 1 with no class empty.
    """
    class_sizes = np.bincount(labels)
    # The raw stream of a bit generator is the same in every numpy; that of its permutation() is not.
    shuffled = np.argsort(np.random.PCG64(seed).random_raw(labels.size), kind="stable")
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    position = np.arange(labels.size) - np.repeat(np.cumsum(class_sizes) - class_sizes, class_sizes)
    return np.sort(by_class[position < np.repeat(_shares(class_sizes, size), class_sizes)])


def complement(indices: Ints, total: int) -> Ints:
    """The sorted indices below `total` that are not among `indices`."""
    return np.setdiff1d(np.arange(total), indices, assume_unique=True)


def _shares(class_sizes: Ints, size: int) -> Ints:
    """`size` shared out by largest remainder, at least one for each class."""
    exact = class_sizes * size / class_sizes.sum()
    shares: Ints = np.maximum(np.floor(exact).astype(np.int64), 1)
    while (missing := size - int(shares.sum())) > 0:
        shares[np.argmax(np.where(shares < class_sizes, exact - shares, -np.inf))] += 1
    while missing < 0:
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
        missing += 1
    return shares


def sample_by_name(labels: Ints, names: Sequence[str], shares: Sequence[float]) -> tuple[Ints, ...]:
    """Sorted indices of one part for each share, and of what is left.

    A name is hashed to a number in [0, 1), and each part is a piece of that interval. So an image's
    part depends on its name alone, and adding or removing another image does not move it. The parts
    have their shares only approximately. Where a class has no image in a piece, the part is given
    the class's next one in order of that number; classes have at least one image for every part and
    what is left.
    """
    numbers = np.array([_number(name) for name in names])
    bounds = np.cumsum(shares)
    pieces = np.searchsorted(bounds, numbers, side="right")  # len(shares): what is left
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        order = of_class[np.argsort(numbers[of_class], kind="stable")]
        counts = np.bincount(pieces[order], minlength=len(bounds) + 1)
        if counts.min() == 0:
            pieces[order] = np.repeat(np.arange(len(counts)), _none_empty(counts))
    return tuple(np.flatnonzero(pieces == part) for part in range(len(bounds) + 1))


def _number(name: str) -> float:
    """In [0, 1); the same for both Unicode forms of an accent, as a copy from a Mac has the other one."""
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest()) / 2**48


def _none_empty(counts: Ints) -> Ints:
    """The counts with one for each zero, taken from a neighbour: then the fewest images move."""
    found = counts.copy()
    for part in np.flatnonzero(counts == 0):
        neighbours = sorted(range(len(found)), key=lambda other: abs(other - part))
        found[next(other for other in neighbours if found[other] > 1)] -= 1
        found[part] = 1
    return found
