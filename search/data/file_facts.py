"""Facts of image files that only opening them shows: kept as long as a file is unchanged."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hgcnet.atomic_write import replace_file
from search.data.folder_listing import ListedFile
from search.data.reading_progress import map_files

# Raise it when images are read in another way: all files are then looked at again.
_LOOK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """The facts of one file. With an `error`, a line that names the file, the others mean nothing."""

    mode: str = ""  # as Pillow calls it: "RGB", "L", "RGBA", ...
    width: int = 0
    height: int = 0
    content: str = ""  # a hash of its pixels
    seconds: float = 0.0  # that it took to decode
    error: str | None = None


# A file by path, size and time: what was seen by this process, also where there is no place to keep it.
_Key = tuple[str, int, int]
_seen: dict[_Key, FileFacts] = {}


def look_at_files(
    root: Path, files: Sequence[ListedFile], read: Callable[[ListedFile], FileFacts]
) -> tuple[FileFacts, ...]:
    """The facts of each file; only new and changed ones are opened.

    They are kept in the user's cache folder, if it can be written. An unreadable file is tried each
    time, as new permissions do not change a file's time.
    """
    keys = [(str(file.path.absolute()), file.size, file.modified) for file in files]
    if any(key not in _seen for key in keys):
        _seen.update(_read_kept(root))
    new = [row for row, key in enumerate(keys) if key not in _seen]
    found = dict(zip(new, map_files(lambda row: read(files[row]), new), strict=True))
    facts = tuple(found[row] if row in found else _seen[key] for row, key in enumerate(keys))
    sound = {key: fact for key, fact in zip(keys, facts, strict=True) if fact.error is None}
    _seen.update(sound)
    if any(facts[row].error is None for row in new):
        _keep(root, sound)
    return facts


def _kept_at(root: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.blake2b(os.fsencode(root.absolute()), digest_size=12).hexdigest()
    return cache / "hgcnas" / "looks" / f"{name}.json"


def _made_by() -> str:
    import PIL

    return f"look {_LOOK}, Pillow {PIL.__version__}"


def _read_kept(root: Path) -> dict[_Key, FileFacts]:
    """The kept facts of an earlier look; nothing if they cannot be used."""
    try:
        document = json.loads(_kept_at(root).read_bytes())
        if document["made_by"] != _made_by():
            return {}
        return {
            (str(path), int(size), int(modified)): FileFacts(**facts)
            for path, size, modified, facts in document["files"]
        }
    except (OSError, RuntimeError, ValueError, LookupError, TypeError):
        return {}  # (RuntimeError: there is no home)


def _keep(root: Path, facts: Mapping[_Key, FileFacts]) -> None:
    document = {
        "made_by": _made_by(),
        "files": [[*key, asdict(fact)] for key, fact in facts.items()],
    }
    try:
        path = _kept_at(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(document).encode())
    except (OSError, RuntimeError):
        pass  # the next look takes as long as this one
