"""Model folders: a trained network with everything needed to use it elsewhere; and `load`.

    architecture.toml    the architecture, its task, where it came from
    model.safetensors    the weights: numbers and names, nothing that could be executed
    metrics.json         what was measured, the names of the classes, the preparation and the
                         normalisation of images, SHA-256 of the two others

metrics.json is written last. A folder whose writing was interrupted has none, or one whose
checksums do not match, so it is never taken for a complete one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hgcnet.architecture import ArchitectureFile, read_architecture, write_architecture
from hgcnet.atomic_write import make_folder, reading, replace_file, writing
from hgcnet.complexity import count
from hgcnet.errors import ArchitectureError, MissingPackageError, one_line, shown
from hgcnet.layers import Form
from hgcnet.model import HGCNet
from hgcnet.preparation import Fit, Preparation, preparation_for, read_preparation

FORMAT = 1
_GREATEST = torch.finfo(torch.float32).max
_ARCHITECTURE, _WEIGHTS, _METRICS = "architecture.toml", "model.safetensors", "metrics.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """The contents of a model folder, without the weights."""

    file: ArchitectureFile
    metrics: Mapping[str, Any]
    mean: tuple[float, ...]  # of each channel's pixels, which are in [0, 1]
    std: tuple[float, ...]
    preparation: Preparation

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the outputs; empty in folders from before they were stored."""
        return self.file.task.class_names

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> the float32 images that the network was trained on."""
        statistics = torch.tensor((self.mean, self.std), dtype=torch.float32, device=pixels.device)
        mean, std = (255 * statistics)[:, :, None, None].unbind()
        return (pixels.float() - mean).div_(std)


def save_model(
    folder: str | Path,
    model: HGCNet,
    *,
    metrics: Mapping[str, Any],
    mean: Sequence[float],
    std: Sequence[float],
    fit: Fit = "crop",
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model folder. It replaces an older one; other files in the folder are kept.

    The names of the classes and the resolution of the images are those of the model's task.

    Args:
        folder: Made if it is missing.
        model: Its weights are stored in float32.
        metrics: What was measured; anything that JSON can hold.
        mean: Of each channel's pixels, which are in [0, 1]; with `std`, the normalisation that the
            weights were trained with.
        std: As `mean`.
        fit: How images were made square for the training.
        provenance: Where the network came from; counts and fingerprint are added.

    Raises:
        ArchitectureError: the folder cannot be written.
        ValueError: JSON cannot hold the metrics (NaN among others), or the normalisation is not one
            number for each channel, those of `std` above 0.
    """
    folder, architecture, task = Path(folder), model.architecture, model.task
    mean, std = [float(value) for value in mean], [float(value) for value in std]
    if wrong := _normalisation_error(mean, std, task.in_channels):
        raise ValueError(wrong)
    known = {"fingerprint": architecture.fingerprint, **asdict(count(architecture, task))}
    found = {**(provenance or {}), **known}
    file = ArchitectureFile(architecture=architecture, task=task, provenance=found)
    weights = _weights_to_bytes(model)
    document = {
        "format": FORMAT,
        "class_names": list(task.class_names),
        "preparation": preparation_for(task, fit).document(),
        "mean": mean,
        "std": std,
        "metrics": dict(metrics),
    }
    json.dumps(document, allow_nan=False)  # before anything is written
    with writing(folder, ArchitectureError):
        make_folder(folder)
        (folder / _METRICS).unlink(missing_ok=True)
        write_architecture(folder / _ARCHITECTURE, file)
        replace_file(folder / _WEIGHTS, weights)
        document["sha256"] = {name: _sha256(folder / name) for name in (_ARCHITECTURE, _WEIGHTS)}
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        replace_file(folder / _METRICS, text.encode())


def load(folder_or_file: str | Path, *, seed: int = 0, form: Form = "auto") -> HGCNet:
    """Loads the network of a model folder or an architecture file, for the task given there.

    From a model folder: with its weights, in evaluation mode; it can `predict`. From a file: with
    fresh weights, drawn from `seed`, in training mode.

    Raises:
        ArchitectureError: it cannot be read, is wrong or incomplete, or no longer describes the
            network whose fingerprint it holds.
    """
    path = Path(folder_or_file)
    if not path.is_dir():
        file = read_architecture(path)
        generator = torch.Generator().manual_seed(seed)
        return HGCNet(file.architecture, file.task, generator=generator, form=form)
    record = read_record(path)
    tensors = _read_weights(path / _WEIGHTS)
    total = sum(tensor.numel() for tensor in tensors.values())
    needed = count(record.file.architecture, record.file.task).num_params_total
    if total < needed:  # before a network without weights is allocated
        raise ArchitectureError(
            f"{path / _WEIGHTS}: has {total:,} numbers; the network of {_ARCHITECTURE} needs {needed:,}"
        )
    network = HGCNet(record.file.architecture, record.file.task, form=form)
    expected, found = (
        {name: f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}" for name, t in of.items()}
        for of in (network.state_dict(), tensors)
    )
    for name in sorted(expected.keys() | found.keys()):
        wanted, given = expected.get(name, "nothing"), found.get(name, "nothing")
        if wanted != given:
            raise ArchitectureError(
                f"{path / _WEIGHTS}: {one_line(name)}: has {given}; the network of {_ARCHITECTURE} "
                f"needs {wanted}"
            )
    network.load_state_dict(tensors)
    network.record = record
    return network.eval()


def weights_sha256(folder: Path) -> str:
    """The SHA-256 of a model folder's weights.

    Raises:
        ArchitectureError: they cannot be read.
    """
    return _sha256(folder / _WEIGHTS)


def read_record(folder: str | Path) -> ModelRecord:
    """Reads a model folder without its weights, and checks that it is complete.

    Raises:
        ArchitectureError: it is incomplete, or a file in it is wrong.
    """
    folder = Path(folder)
    for name in (_ARCHITECTURE, _WEIGHTS, _METRICS):
        if not (folder / name).is_file():
            raise ArchitectureError(
                f"{folder}: is not a complete model folder: {name} is missing; it needs "
                f"{_ARCHITECTURE}, {_WEIGHTS} and {_METRICS}"
            )
    path = folder / _METRICS
    document = _read_json(path)
    for name in (_ARCHITECTURE, _WEIGHTS):
        if _sha256(folder / name) != document["sha256"].get(name):
            raise ArchitectureError(
                f"{folder / name}: does not match its checksum in {_METRICS}: it is truncated, "
                "changed, or from another folder; copy the whole folder again"
            )
    file = read_architecture(folder / _ARCHITECTURE)
    mean, std = document["mean"], document["std"]
    if wrong := _normalisation_error(mean, std, file.task.in_channels):
        raise ArchitectureError(f"{path}: {wrong}")
    preparation = read_preparation(document["preparation"], file.task)
    if isinstance(preparation, str):
        raise ArchitectureError(f"{path}: preparation.{preparation}")
    return ModelRecord(
        file=file,
        metrics=document["metrics"],
        mean=tuple(mean),
        std=tuple(std),
        preparation=preparation,
    )


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingPackageError("a model folder", "safetensors") from error
    return safetensors.torch


def _weights_to_bytes(model: HGCNet) -> bytes:
    tensors = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    content: bytes = _safetensors().save(tensors, {"fingerprint": model.architecture.fingerprint})
    return content


def _read_weights(path: Path) -> dict[str, Tensor]:
    parse = _safetensors().load
    try:
        tensors: dict[str, Tensor] = parse(_read_bytes(path))
    except Exception as error:  # SafetensorError, and what torch raises about a dtype or a shape
        raise ArchitectureError(f"{path}: is not a safetensors file: {one_line(error)}") from error
    return tensors


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(f"{path}: is not JSON: {one_line(error)}") from error
    if isinstance(document, dict):
        document.setdefault("preparation", {})  # the first folders have none
    kinds = {"format": int, "sha256": dict, "mean": list, "std": list, "metrics": dict}
    kinds["preparation"] = dict
    for key, kind in kinds.items():
        value = document.get(key) if isinstance(document, dict) else None
        if not isinstance(value, kind):
            raise ArchitectureError(f"{path}: {key}: {shown(value)} is not a {kind.__name__}")
    if document["format"] != FORMAT:
        raise ArchitectureError(
            f"{path}: format: {shown(document['format'])} is not {FORMAT}, the supported format"
        )
    return dict(document)


def _read_bytes(path: Path) -> bytes:
    with reading(path, ArchitectureError):
        return path.read_bytes()


def _sha256(path: Path) -> str:
    return hashlib.sha256(_read_bytes(path)).hexdigest()


def _normalisation_error(mean: list[Any], std: list[Any], channels: int) -> str | None:
    for name, values in (("mean", mean), ("std", std)):
        numbers = [v for v in values if isinstance(v, int | float) and abs(v) <= _GREATEST]
        if len(numbers) != len(values) or len(values) != channels:
            return f"{name}: {shown(values)} is not one number for each of {channels} channels"
    if min(std) <= 0:
        return f"std: {shown(std)} is not above 0"
    return None
