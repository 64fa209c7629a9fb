"""What may change of a study file once its study was started."""

from typing import Any

from hgcnet.errors import RunError
from search.study_file.differences import first_difference
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile


def check_same_study(stored: dict[str, Any], file: StudyFile) -> None:
    """Only the budget and the workers of a started study may change.

    The stored document may be of an earlier version; it is parsed, so that both are in one form.

    Raises:
        RunError: names the first key that differs.
    """
    started = parse_study_file(stored, f"the study {file.name!r} as it was started")
    difference = first_difference(started.document, file.document)
    if difference is not None:
        key, old, new = difference
        raise RunError(
            f"{file.source}: {key}: {_shown(new)} given, but the study {file.name!r} was started "
            f"with {_shown(old)}; only [budget] and [workers] may change. Change it back, or give "
            "the new study another name"
        )


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
