"""A network by what people call it: a preset's name, an architecture file or a model folder."""

import os
from pathlib import Path
from typing import Literal

from hgcnet.architecture import ArchitectureFile, read_architecture
from hgcnet.presets import PRESETS, preset

NetworkKind = Literal["preset", "file", "model folder"]


def network_kind(name: str | Path, folder: Path | None = None) -> NetworkKind | None:
    """What `find_network` takes a name for; None if there is nothing of this name.

    Only a model folder has weights.
    """
    path = _path(name, folder)
    if str(name) in PRESETS:
        return "preset"
    # Not pathlib's, which raise an error where permission is denied.
    if os.path.isdir(path):  # noqa: PTH112
        return "model folder"
    return "file" if os.path.isfile(path) else None  # noqa: PTH113


def find_network(name: str | Path, folder: Path | None = None) -> ArchitectureFile:
    """The architecture and the task of a preset, an architecture file or a model folder.

    A preset takes precedence over a file of its name; its task is the default one.

    Args:
        folder: Paths are relative to it; the current one if not given.

    Raises:
        ArchitectureError: there is nothing of this name, or it cannot be used.
    """
    path = _path(name, folder)
    kind = network_kind(name, folder)
    if kind == "model folder":
        from hgcnet.model_folder import read_record  # which loads torch

        return read_record(path).file
    if kind != "preset" and (str(path).endswith(".toml") or os.path.exists(path)):  # noqa: PTH110
        return read_architecture(path)
    return ArchitectureFile(architecture=preset(str(name)))


def _path(name: str | Path, folder: Path | None) -> Path:
    return Path(name) if folder is None else folder / name
