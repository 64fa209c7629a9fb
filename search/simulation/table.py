"""A table of a space: trained networks, for simulations of a search over it."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from hgcnet.architecture import Task
from hgcnet.atomic_write import make_folder, replace_file, writing
from hgcnet.errors import DataError, one_line
from hgcnet.latency import hardware_name
from search.prepare import PreparedStudy
from search.study_file.reading import read_stored
from search.study_file.schema import StudyFile
from search.versions import check_format, versions

FORMAT = 1

_STUDY = b"hgcnas_study"  # keys of the Parquet file's metadata
_MADE_WITH = b"hgcnas_made_with"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTable:
    """Many trained networks of a space, and the file that holds them."""

    path: Path
    trainings: pd.DataFrame  # a row each
    is_complete: bool


def write_table(frame: pd.DataFrame, prepared: PreparedStudy, path: Path) -> None:
    """Writes a table with its provenance: the study file, versions, hardware.

    Raises:
        RunError: it cannot be written.
    """
    curve = pa.array(frame["curve"], type=pa.list_(pa.float32()))
    table = pa.Table.from_pandas(frame.drop(columns="curve"), preserve_index=False)
    table = table.append_column("curve", curve)
    made_with = versions() | {"hardware": hardware_name(), "threads": prepared.file.workers.cpus}
    task = prepared.space.space.task.sizes
    document: dict[str, Any] = {"format": FORMAT, "file": prepared.file.document, "task": task}
    metadata = {_STUDY: json.dumps(document), _MADE_WITH: json.dumps(made_with)}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    buffer = BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    with writing(path):
        make_folder(path.parent)
        replace_file(path, buffer.getvalue())


def read_table(path: Path) -> tuple[pd.DataFrame, StudyFile, Task]:
    """A table, and its study and task.

    Raises:
        DataError: it cannot be read, or is not a table.
    """
    try:
        table = pyarrow.parquet.read_table(path)
        document = json.loads(table.schema.metadata[_STUDY])
        check_format(document.get("format"), FORMAT, path)
        file, _ = read_stored(document["file"], str(path))
        return table.to_pandas(), file, Task(**document["task"])
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is not a table of hgcnas: {one_line(error)}") from error
