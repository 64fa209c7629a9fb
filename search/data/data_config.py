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

# Data that people bring themselves; the images of all others never change.
OWN_DATA: frozenset[str] = frozenset({"image_folder", "npz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """The images."""

    dataset: DatasetName
    """The data set. `image_folder` and `npz` are your own images; torchvision's sets are downloaded
    once."""
    root: str = DOWNLOADS
    """The image folder, the `.npz` file, or where downloads are kept. A relative path is relative
    to the current folder. Required for your own images."""
    resolution: int
    """Side of an image, in pixels. FLOPs and limits refer to it."""
    mirror: bool | None = None
    """Whether training images are mirrored at random. By default they are, except digits and
    traffic signs."""
    channels: Literal["grey", "rgb"] | None = None
    """What images are converted to. By default grey if all training files are grey, else RGB."""
    fit: Fit = "crop"
    """How an image becomes a square: `crop` keeps the central square, `pad` adds white, `stretch`
    changes the aspect."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """Files that cannot be read: `refuse` lists them all and stops before anything starts, `skip`
    leaves them out and counts them."""

    @property
    def image_settings(self) -> dict[str, str]:
        """The given settings of the preparation of images. An exported network keeps them, so that
        `train` does the same."""
        given = {"channels": self.channels, "fit": None if self.fit == "crop" else self.fit}
        return {key: value for key, value in given.items() if value is not None}
