"""DataConfig: a data set as a study file names it. Loads no decoder."""

from dataclasses import dataclass
from typing import Literal

DatasetName = Literal[
    "digits",
    "cifar10",
    "cifar100",
    "image_folder",
    "npz",
    "torchvision:MNIST",
    "torchvision:FashionMNIST",
    "torchvision:KMNIST",
    "torchvision:USPS",
    "torchvision:SVHN",
    "torchvision:STL10",
    "torchvision:EuroSAT",
    "torchvision:GTSRB",
    "torchvision:DTD",
    "torchvision:Flowers102",
    "torchvision:Food101",
    "torchvision:OxfordIIITPet",
    "torchvision:Imagenette",
]

# What people bring themselves; all others are always the same images.
OWN_DATA: frozenset[str] = frozenset({"image_folder", "npz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which data set, and the resolution that FLOPs and limits refer to.

    `root`: the folder of image_folder and of what is downloaded, or the .npz file; digits needs none.
    `mirror`: whether training images are mirrored at random; None is yes for all but digits and signs.
    `unreadable`: whether files of an image folder that cannot be read are refused, or left out.
    """

    dataset: DatasetName
    root: str = "~/.cache/hgcnas"
    resolution: int
    mirror: bool | None = None
    unreadable: Literal["refuse", "skip"] = "refuse"
