"""Checks a study before anything starts, and reads what it needs."""

from dataclasses import dataclass
from pathlib import Path

from hgcnet.architecture import Architecture, Task
from hgcnet.errors import SpaceError, StudyFileError
from hgcnet.networks import find_network, network_kind
from hgcnet.presets import PRESETS
from search.data.inspection import DataInspection, check_inspection, inspect_data
from search.data.splits import DataSummary
from search.optuna_space import OptunaSpace
from search.study_file.schema import StudyFile
from space.search_space import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStudy:
    """A study file with its data set inspected, its space built and its first architectures read."""

    file: StudyFile
    data: DataSummary
    inspection: DataInspection
    space: OptunaSpace
    start_with: dict[str, Architecture]


def prepare(file: StudyFile) -> PreparedStudy:
    """Checks what a study needs. Writes nothing, but for a data set that is downloaded.

    Raises:
        UserError: the data set is absent, unreadable in part or too small, nothing meets the limits, or
            an architecture of `start_with` lies outside the space.
    """
    inspection = inspect_data(file.data)
    check_inspection(file.data, inspection)
    data = inspection.summary
    for key, size in (("train_images", data.train_images), ("val_images", data.val_images)):
        asked = getattr(file.proxy, key)
        if asked is not None and not data.num_classes <= asked <= size:
            raise StudyFileError(
                f"{file.source}: proxy.{key}: {asked} is not between {data.num_classes}, the number "
                f"of classes, and {size}, the number of such images in {file.data.dataset}"
            )
    task = Task(
        in_channels=data.in_channels,
        num_classes=data.num_classes,
        resolution=file.data.resolution,
        class_names=data.class_names,
    )
    try:
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
    except SpaceError as error:
        raise SpaceError(f"{file.source}: {error}") from error
    start_with = {}
    for index, name in enumerate(file.sampler.start_with):
        where = f"{file.source}: sampler.start_with[{index}]: {name}"
        architecture = find_architecture(name, Path(file.source).parent, where)
        try:
            space.encode(architecture)
        except SpaceError as error:
            raise SpaceError(f"{where}: {error}") from error
        stem = Path(name).stem
        start_with[name if stem in start_with else stem] = architecture
    return PreparedStudy(
        file=file, data=data, inspection=inspection, space=space, start_with=start_with
    )


def find_architecture(name: str, folder: Path, where: str) -> Architecture:
    """The architecture of a preset's name, or of a file or model folder in `folder`.

    Raises:
        StudyFileError: there is none of these; `where` names the place.
        ArchitectureError: it cannot be used.
    """
    if network_kind(name, folder) is None:
        raise StudyFileError(
            f"{where} is not a file, a model folder or a preset ({', '.join(PRESETS)})"
        )
    return find_network(name, folder).architecture
