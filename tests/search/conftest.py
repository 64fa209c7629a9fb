"""Small real data sets for the tests of `search`: the digits, in memory, as .npz and as .png."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hgcnet.preparation import Preparation
from search.data.data_config import DataConfig
from search.data.datasets import open_digits
from search.data.splits import Splits, load_splits


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 8, 8) uint8 and labels (1797,)."""
    source = open_digits(Path(), "train")
    as_they_are = Preparation(channels=1, resolution=8)
    return source.read(np.arange(len(source.labels)), as_they_are)[:, 0], source.labels


@pytest.fixture(scope="session")
def digit_splits() -> Splits:
    return load_splits(DataConfig(dataset="digits", resolution=8), resolution=8)


@pytest.fixture
def write_npz(tmp_path: Path) -> Callable[..., DataConfig]:
    """Writes the arrays that it is given and returns the config that reads them."""

    def write(**arrays: np.ndarray) -> DataConfig:
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return DataConfig(dataset="npz", root=str(path), resolution=8)

    return write
