"""Stratified samples: every class keeps its share, and the same labels always give the same sample."""

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
