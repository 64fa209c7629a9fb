"""What people read when a file cannot be read or written."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hgcnet.atomic_write import reading, replace_file, writing
from hgcnet.errors import DataError, RunError, UserError


@pytest.mark.parametrize(("context", "verb"), [(writing, "written"), (reading, "read")])
@pytest.mark.parametrize("error", [RunError, DataError])
def test_the_place_and_the_reason_are_named(
    context: Callable[[Path, type[UserError]], AbstractContextManager[None]],
    verb: str,
    error: type[UserError],
    tmp_path: Path,
) -> None:
    place = tmp_path / "absent"

    with pytest.raises(error) as caught, context(place, error):
        replace_file(place / "file", b"")

    assert str(caught.value) == f"{place}: cannot be {verb}: No such file or directory"
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="no number"), writing("place"):
        raise ValueError("no number")
