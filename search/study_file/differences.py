"""Where two study files differ, and what may change of one once its study was started."""

from typing import Any

from hgcnet.errors import RunError
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile


def check_same_study(stored: dict[str, Any], file: StudyFile) -> None:
    """Only the budget and the workers of a started study may change.

    The stored document may be of an earlier version; it is parsed, so that both are in one form.

    Raises:
        RunError: names the first key that differs.
    """
    started = parse_study_file(stored, f"the study {file.name!r} as it was started")
    if difference := first_difference(started.document, file.document):
        key, *values = difference
        old, new = ("nothing" if value is None else repr(value) for value in values)
        raise RunError(
            f"{file.source}: {key}: {new} given, but the study {file.name!r} was started "
            f"with {old}; only [budget] and [workers] may change. Change it back, or give "
            "the new study another name"
        )


def first_difference(stored: Any, given: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key, and its two values, in which a study file differs from the stored one.

    `[budget]` and `[workers]` may differ.
    """
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = sorted(stored.keys() | given.keys())
        if not path:
            keys = [key for key in keys if key not in ("budget", "workers")]
        parts = [(f"{path}.{key}".lstrip("."), stored.get(key), given.get(key)) for key in keys]
    elif isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        pairs = enumerate(zip(stored, given, strict=True))
        parts = [(f"{path}[{index}]", old, new) for index, (old, new) in pairs]
    else:
        return None if stored == given else (path, stored, given)
    differences = (first_difference(old, new, key) for key, old, new in parts)
    return next((found for found in differences if found is not None), None)
