"""The data that a study or a training began with: a digest, and how other data differ, as text."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hgcnet.errors import one_line, shown
from search.data.data_config import OWN_DATA, DataConfig
from search.data.splits import DataParts, open_parts, root_of

_NAMED_CLASSES, _NAMED_FILES = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """Identifies data: a folder by names and sizes of its files, an archive by its content.

    Named data sets never change.
    """

    digest: str
    counts: Mapping[str, int]  # class -> images, of all parts
    files: Mapping[str, int]  # of a folder: "part/class/name" -> bytes
    skipped: int = 0  # unreadable files that are left out

    def summary(self) -> dict[str, Any]:
        """What is stored with a study: all but the files."""
        return {"digest": self.digest, "counts": dict(self.counts), "skipped": self.skipped}

    def document(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return self.summary() | {"files": dict(self.files)}


def record_data(config: DataConfig) -> DataRecord:
    """The record of a config's data as they are now; decodes no image.

    Raises:
        DataError: as `open_parts`.
    """
    if config.dataset not in OWN_DATA:
        return _named_record(config)
    return record_parts(config, open_parts(config))


def record_parts(config: DataConfig, parts: DataParts) -> DataRecord:
    """The record of a data set that was opened."""
    if config.dataset not in OWN_DATA:
        return _named_record(config)
    counts = {
        name: sum(parts.class_counts(part)[name] for part in parts.parts)
        for name in parts.class_names
    }
    files = {}
    for part, (source, indices) in parts.parts.items():
        given = part if part != "validation" or source.validation is not None else "train"
        given = given if part != "test" or source is not parts.parts["train"][0] else "train"
        for index in indices if source.files else ():
            files[f"{given}/{source.files[index].name}"] = source.files[index].size
    if config.dataset == "image_folder":
        content: object = sorted(files.items())
    else:
        with zipfile.ZipFile(root_of(config)) as archive:  # of its content, however it is packed
            content = sorted((m.filename, m.CRC, m.file_size) for m in archive.infolist())
    return DataRecord(
        digest=_digest([content, parts.class_names]),
        counts=counts,
        files=files,
        skipped=len(parts.unreadable),
    )


def _named_record(config: DataConfig) -> DataRecord:
    return DataRecord(digest=_digest(config.dataset), counts={}, files={})


def _digest(content: object) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def absolute_root(config: DataConfig) -> str:
    """The absolute path of the data."""
    return str(root_of(config).absolute())


def data_difference(
    before: Mapping[str, Any], now: DataRecord, files_before: Mapping[str, int]
) -> str | None:
    """What has changed since `before`, a stored summary, as text; None if nothing has.

    Args:
        files_before: the record's files; without any, only classes and numbers are named.
    """
    if before.get("digest") == now.digest:
        return None
    counts = before.get("counts", {})
    then, today = _by_class(files_before), _by_class(now.files)
    words = []
    for name in sorted(counts.keys() | now.counts.keys()):
        old, new = counts.get(name), now.counts.get(name)
        mine, own = then.get(name, {}), today.get(name, {})
        lost, found = mine.keys() - own.keys(), own.keys() - mine.keys()
        changed = [key for key in mine.keys() & own.keys() if mine[key] != own[key]]
        if old is None:
            words.append(f"the class {shown(name)} is new")
        elif new is None:
            words.append(f"the class {shown(name)} is gone")
        elif files_before:
            parts = [
                f"{len(keys)} {word} ({_some(keys)})"
                for keys, word in ((lost, "lost"), (found, "new"), (changed, "changed"))
                if keys
            ]
            if parts:
                words.append(f"class {shown(name)}: {', '.join(parts)}")
        elif old != new:
            words.append(f"class {shown(name)}: {old} images before, {new} now")
    if len(words) > _NAMED_CLASSES:
        words = [*words[:_NAMED_CLASSES], f"{len(words) - _NAMED_CLASSES} more classes differ"]
    return "; ".join(words) or "as many images of each class, but different ones"


def _by_class(files: Mapping[str, int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, size in files.items():
        found.setdefault(key.split("/")[1], {})[key] = size
    return found


def read_files(path: Path) -> dict[str, int]:
    """The files of a record that was kept as JSON; none if it cannot be read, as only messages need them."""
    try:
        files = json.loads(path.read_bytes())["files"]
        return {str(name): int(size) for name, size in files.items() if name.count("/") > 1}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = ", ..." if len(listed) > _NAMED_FILES else ""
    return ", ".join(one_line(name) for name in listed[:_NAMED_FILES]) + more
