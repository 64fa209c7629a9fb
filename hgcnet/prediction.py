"""Predictions of a trained network, for images of any kind and size."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hgcnet.arrays import Floats, Images
from hgcnet.errors import ArchitectureError, DataError
from hgcnet.preparation import prepare_each

if TYPE_CHECKING:  # the network imports this file
    from hgcnet.model import HGCNet
    from hgcnet.model_folder import ModelRecord

_BATCH = 64  # images that pass through the network at once,
_PIXELS = 2**20  # and fewer of larger ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The prediction for one image."""

    class_name: str  # the most probable
    probability: float
    probabilities: Mapping[str, float]  # of every class, in the order of the outputs

    def most_probable(self, number: int) -> list[tuple[str, float]]:
        """The most probable classes, with their probabilities."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:number]


def predict(network: "HGCNet", images: Iterable[Any]) -> list[Prediction]:
    """A prediction for each image; see `HGCNet.predict`.

    Raises:
        ArchitectureError, DataError: as `predict_each`; and for the first image that cannot be used.
    """
    if (
        isinstance(images, str | Path)
        or hasattr(images, "getexif")
        or (isinstance(images, np.ndarray) and images.ndim != 4)
    ):
        raise DataError(
            "predict takes a list of images; for one: predict([image]), for an array of many: predict(list(images))"
        )
    predictions = []
    for found in predict_each(network, images):
        if isinstance(found, DataError):
            raise found
        predictions.append(found)
    return predictions


def predict_each(network: "HGCNet", images: Iterable[Any]) -> Iterator[Prediction | DataError]:
    """For each image, in order, its prediction, or why it cannot be used.

    Raises:
        ArchitectureError: the network has no record of how its images are prepared.
    """
    record = network.record
    if record is None:
        raise ArchitectureError(
            "predict: load the network from a model folder, with hgcnet.load(FOLDER); this one is "
            "untrained, or has no record of how its images are prepared"
        )
    names = output_names(record)
    prepared = prepare_each(images, record.preparation)
    size = max(1, min(_BATCH, _PIXELS // record.preparation.resolution**2))
    while some := list(islice(prepared, size)):
        pixels = [found for found in some if not isinstance(found, DataError)]
        rows = iter(_probabilities(network, record, np.stack(pixels)) if pixels else ())
        for found in some:
            yield found if isinstance(found, DataError) else _prediction(names, next(rows))


def output_names(record: "ModelRecord") -> tuple[str, ...]:
    """A name for each output: its number in folders from before there were class names."""
    return record.class_names or tuple(map(str, range(record.file.task.num_classes)))


def _prediction(names: tuple[str, ...], row: Floats) -> Prediction:
    best = int(row.argmax())
    return Prediction(
        class_name=names[best],
        probability=float(row[best]),
        probabilities=dict(zip(names, row.tolist(), strict=True)),
    )


@torch.inference_mode()
def _probabilities(network: "HGCNet", record: "ModelRecord", pixels: Images) -> Floats:
    """(N, C, H, W) -> (N, num_classes), whatever mode the network is in."""
    weight, in_training = network.stem.weight, network.training
    images = record.normalise(torch.from_numpy(pixels).to(weight.device)).to(weight.dtype)
    network.eval()
    try:
        logits = network(images)
    finally:
        network.train(in_training)
    probabilities: Floats = logits.double().softmax(1).cpu().numpy()
    return probabilities
