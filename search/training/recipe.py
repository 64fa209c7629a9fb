"""What all trainings of a folder share: data, proxy, and what is held out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from hgcnet.presets import PAPER_TEST_ERROR
from search.data.data_config import OWN_DATA, DataConfig
from search.data.inspection import check_inspection, inspect_data
from search.data.splits import Splits, load_splits
from search.training.proxy_config import ProxyConfig
from search.training.quality import ACCURACY, QualityMetric

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingWeights:
    """The model folder whose weights a training begins with."""

    model: str  # its path, as it was given
    sha256: str  # of its weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What all trainings of a folder share."""

    data: DataConfig
    proxy: ProxyConfig
    hold_out: bool = True  # whether the validation part is kept out of the training
    quality_metric: QualityMetric = ACCURACY  # of curves; networks are compared by it
    start: StartingWeights | None = None  # None: fresh weights, from the seed

    def load(self) -> Splits:
        """Reads the training and validation images, after an inspection of all parts.

        Raises:
            DataError: as `load_splits`, or an image cannot be read, even of the test part.
        """
        if self.data.dataset in OWN_DATA:
            check_inspection(self.data, inspect_data(self.data))
        return load_splits(
            self.data,
            resolution=self.resolution,
            train_images=self.proxy.train_images,
            val_images=self.proxy.val_images,
            hold_out=self.hold_out,
        )

    @property
    def resolution(self) -> int:
        """Of the images that are trained on, in pixels."""
        return self.proxy.resolution or self.data.resolution

    @property
    def name(self) -> str:
        """A folder's name, from the settings that people vary."""
        images = self.proxy.train_images or "all"
        recipe = "" if self.proxy.recipe == "paper" else f"-{self.proxy.recipe}"
        return f"{self.proxy.epochs}-epochs-{self.resolution}px-{images}-images{recipe}"

    @property
    def text(self) -> str:
        """The same, to be read."""
        images = f"{self.proxy.train_images or 'all'} images"
        recipe = "" if self.proxy.recipe == "paper" else f", recipe {self.proxy.recipe}"
        return f"{self.proxy.epochs} epochs on {images} of {self.resolution} px{recipe}"

    @property
    def is_the_papers(self) -> bool:
        """Whether it is the recipe of Xie, Zhou, Kung 2019, apart from what is held out of the training."""
        proxy = self.proxy
        return (
            self.data.dataset in PAPER_TEST_ERROR
            and self.data.mirror is not False
            and (self.data.resolution, self.resolution) == (32, 32)
            and proxy.train_images is None
            and (proxy.epochs, proxy.batch_size) == (300, 128)
            and (proxy.learning_rate, proxy.weight_decay) == (0.1, 1e-4)
            and (proxy.recipe, proxy.class_weights) == ("paper", "none")
            and (self.quality_metric, self.start) == (ACCURACY, None)
        )

    def document(self) -> dict[str, Any]:
        """Every setting, as JSON has it; `from_document` reads it back."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> tuple["Recipe", list[str]]:
        """The recipe of a document, with today's default for every missing setting; and the unknown
        settings, which are left out."""
        unknown: list[str] = []

        def known_part(kind: type[Any], values: Mapping[str, Any], table: str) -> dict[str, Any]:
            known = {field.name for field in fields(kind)}
            unknown.extend(f"{table}{key}" for key in values if key not in known)
            return {key: value for key, value in values.items() if key in known}

        given = known_part(cls, {k: v for k, v in document.items() if k != "format"}, "")
        given["data"] = DataConfig(**known_part(DataConfig, given["data"], "data."))
        given["proxy"] = ProxyConfig(**known_part(ProxyConfig, given["proxy"], "proxy."))
        if given.get("start") is not None:
            start = known_part(StartingWeights, given["start"], "start.")
            given["start"] = StartingWeights(**start)
        return cls(**given), unknown


def with_options(recipe: Recipe, /, **given: int | str | None) -> Recipe:
    """The recipe with the settings of its proxy that are given and not None."""
    # The resolution is always given, so that two spellings of one recipe are one folder.
    changes: dict[str, Any] = {"resolution": recipe.resolution}
    changes |= {key: value for key, value in given.items() if value is not None}
    return replace(recipe, proxy=replace(recipe.proxy, **changes))
