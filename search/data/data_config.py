"""DataConfig: a data set as a study file names it. Loads no decoder."""

from dataclasses import dataclass
from typing import Literal

from hgcnet.preparation import Fit

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

DOWNLOADS = "~/.cache/hgcnas"  # where data sets by name are kept

# What people bring themselves; all others are always the same images.
OWN_DATA: frozenset[str] = frozenset({"image_folder", "npz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which data set, and the resolution that FLOPs and limits refer to.

    `root`: the folder of image_folder and of what is downloaded, or the .npz file; digits needs none.
    `channels`: what images become; None is grey where all files of the training part are grey, else RGB.
    `fit`: how an image becomes a square; see `hgcnet.preparation`.
    `mirror`: whether training images are mirrored at random; None is yes for all but digits and signs.
    `unreadable`: whether files of an image folder that cannot be read are refused, or left out.
    """

    dataset: DatasetName
    root: str = DOWNLOADS
    resolution: int
    mirror: bool | None = None
    channels: Literal["grey", "rgb"] | None = None
    fit: Fit = "crop"
    unreadable: Literal["refuse", "skip"] = "refuse"

    @property
    def image_settings(self) -> dict[str, str]:
        """What is set of the preparation of images: a network takes it along, so that `train` does the same."""
        given = {"channels": self.channels, "fit": None if self.fit == "crop" else self.fit}
        return {key: value for key, value in given.items() if value is not None}
