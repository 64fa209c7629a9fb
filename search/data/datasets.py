"""The data sets by name: each opens one of its parts as a Source."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from hgcnet.errors import DataError
from search.data.image_folder import open_image_folder
from search.data.npz_file import open_npz
from search.data.source import Part, Source, array_source
from search.data.torchvision_sets import TORCHVISION_SETS, open_torchvision


def open_digits(root: Path, part: Part) -> Source:
    """The 1,797 handwritten digits that scikit-learn carries: 8 x 8, grey. Reads nothing below `root`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (N, 8, 8), values 0 .. 16 before
    names = tuple(str(name) for name in digits.target_names)
    return array_source(grey[:, None], digits.target.astype(np.int64), names, has_test=False)


def _open_cifar(name: str, root: Path, part: Part) -> Source:
    """CIFAR-10 or -100 (Krizhevsky 2009) from ROOT/cifar-10-batches-py or ROOT/cifar-100-python.

    It is downloaded if it is missing.
    """
    import torchvision.datasets

    kind, is_train = getattr(torchvision.datasets, name), part == "train"
    try:
        data = kind(root, train=is_train, download=False)  # checks the files' MD5
    except RuntimeError:
        try:
            data = kind(root, train=is_train, download=True)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{root / kind.base_folder}: is missing or incomplete, and the download from "
                f"{kind.url} failed ({' '.join(str(error).split())}); "
                f"data.root must be the folder that holds {kind.base_folder}"
            ) from error
    images = data.data.transpose(0, 3, 1, 2)
    return array_source(images, np.array(data.targets), tuple(data.classes), has_test=True)


DATASETS: Mapping[str, Callable[[Path, Part], Source]] = {
    "digits": open_digits,
    "cifar10": partial(_open_cifar, "CIFAR10"),
    "cifar100": partial(_open_cifar, "CIFAR100"),
    "image_folder": open_image_folder,
    "npz": open_npz,
    **{f"torchvision:{name}": partial(open_torchvision, name) for name in TORCHVISION_SETS},
}
