"""What becomes of a trained network: its accuracy on the test split, and its model folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hgcnet.model import HGCNet
from hgcnet.model_folder import save_model
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_test
from search.training.proxy_training import DeviceImages, Evaluation, evaluate, to_device


def load_test_images(
    data: DataConfig, splits: Splits, *, resolution: int, device: torch.device
) -> DeviceImages:
    """The test split on a device, to be normalised as the training part of `splits`.

    Raises:
        DataError: as `load_test`.
    """
    return to_device(load_test(data, resolution=resolution), splits, device)


def save_tested(
    folder: Path,
    model: HGCNet,
    test: DeviceImages,
    splits: Splits,
    metrics: Callable[[Evaluation], Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> Evaluation:
    """Evaluates a trained network on the test split and writes it as a model folder.

    In float32, as those who load it will use it, whatever it was trained in.

    Args:
        metrics: What the folder says was measured, given loss and accuracy on the test split.

    Raises:
        ArchitectureError: the folder cannot be written.
    """
    tested = evaluate(model, test)
    save_model(
        folder,
        model,
        metrics=metrics(tested),
        mean=splits.mean,
        std=splits.std,
        provenance=provenance,
    )
    return tested
