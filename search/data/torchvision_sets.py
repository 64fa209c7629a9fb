"""The data sets that torchvision downloads by name: `torchvision:SVHN` and others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hgcnet.arrays import Images, Ints
from hgcnet.errors import DataError, one_line
from hgcnet.preparation import Preparation, prepare_image
from search.data.reading_progress import map_files
from search.data.source import Part, Source, array_source
from search.data.torchvision_inside import labels_of

_Options = Mapping[str, Any]
_BY_TRAIN: tuple[_Options, None, _Options] = ({"train": True}, None, {"train": False})
_BY_SPLIT: tuple[_Options, None, _Options] = ({"split": "train"}, None, {"split": "test"})
_WITH_VALIDATION: tuple[_Options, _Options, _Options] = (
    {"split": "train"},
    {"split": "val"},
    {"split": "test"},
)
# The constructor's options for each set's training, validation and test part; None: it has none.
TORCHVISION_SETS: Mapping[str, tuple[_Options, _Options | None, _Options | None]] = {
    "MNIST": _BY_TRAIN,
    "FashionMNIST": _BY_TRAIN,
    "KMNIST": _BY_TRAIN,
    "USPS": _BY_TRAIN,
    "SVHN": _BY_SPLIT,
    "STL10": _BY_SPLIT,
    "EuroSAT": ({}, None, None),
    "GTSRB": _BY_SPLIT,
    "DTD": _WITH_VALIDATION,
    "Flowers102": _WITH_VALIDATION,
    "Food101": _BY_SPLIT,
    "OxfordIIITPet": ({"split": "trainval"}, None, {"split": "test"}),
    # The smallest of three sizes; what it calls val is what others test on.
    "Imagenette": ({"split": "train", "size": "160px"}, None, {"split": "val", "size": "160px"}),
}


def open_torchvision(name: str, root: Path, part: Part) -> Source:
    """Opens a set below ROOT, and downloads it there if it is missing.

    Raises:
        DataError: it is missing, and cannot be downloaded.
    """
    train, validation, test = TORCHVISION_SETS[name]
    if part == "test" and test is not None:
        return _source([_open_or_download(name, root, test)], has_test=True)
    parts = [
        _open_or_download(name, root, options)
        for options in (train, validation)
        if options is not None
    ]
    return _source(parts, has_test=test is not None)


def _open_or_download(name: str, root: Path, options: _Options) -> Any:
    import torchvision.datasets

    kind = getattr(torchvision.datasets, name)
    try:
        return kind(root, download=False, **options)
    except (OSError, RuntimeError):
        try:
            return kind(root, download=True, **options)  # with a progress bar of its own
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{one_line(root)}: torchvision's {name} is missing or incomplete here, and its download "
                f"failed ({one_line(' '.join(str(error).split()))}); data.root must be the folder to keep it in"
            ) from error


def _source(parts: Sequence[Any], *, has_test: bool) -> Source:
    """A source over one part, or over two of which the second validates."""
    labels = np.concatenate([np.array(labels_of(part), dtype=np.int64) for part in parts])
    names = _class_names(parts[0], int(labels.max()) + 1)
    validation = None
    if len(parts) > 1:
        validation = np.arange(len(parts[0]), len(labels))
    if hasattr(parts[0], "data") and len(parts) == 1:
        images = np.asarray(parts[0].data)  # (N, H, W), or (N, C, H, W)
        images = images[:, None] if images.ndim == 3 else images
        return array_source(images, labels, names, has_test=has_test)

    def read(indices: Ints, preparation: Preparation) -> Images:
        def prepare(index: int) -> Images:
            is_first = index < len(parts[0])
            image, _ = parts[0][index] if is_first else parts[1][index - len(parts[0])]
            return prepare_image(image, preparation)

        side = preparation.resolution
        images = np.empty((len(indices), preparation.channels, side, side), dtype=np.uint8)
        for row, image in enumerate(map_files(prepare, indices.tolist())):
            images[row] = image
        return images

    return Source(
        labels=labels,
        class_names=names,
        in_channels=3,
        has_test=has_test,
        read=read,
        validation=validation,
    )


def _class_names(data: Any, at_least: int) -> tuple[str, ...]:
    """As the set has them, else numbers; of several names of a class the first."""
    names = getattr(data, "classes", None) or range(at_least)
    return tuple(str(name[0] if isinstance(name, tuple) else name) for name in names)
