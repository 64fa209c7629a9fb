"""Files that outlive a loss of power, and what people read when one cannot be read or written."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hgcnet.atomic_write import make_folder, reading, replace_file, writing
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


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes | list[str]]]:
    """What was brought to the disk: names of files with what was in them then, and of folders with theirs."""
    found: list[tuple[str, bytes | list[str]]] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        is_folder = path.is_dir()
        inside = sorted(p.name for p in path.iterdir()) if is_folder else path.read_bytes()
        found.append((path.name, inside))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc here")
def test_a_file_is_on_the_disk_before_its_name_is(
    tmp_path: Path, synced: list[tuple[str, bytes | list[str]]]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace_file(path, b"new")
    (unfinished, content), folder = synced
    assert (unfinished.startswith(".file."), content) == (True, b"new")
    assert folder == (tmp_path.name, ["file"])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc here")
def test_a_new_folder_is_on_the_disk_with_those_above_it(
    tmp_path: Path, synced: list[tuple[str, bytes | list[str]]]
) -> None:
    make_folder(tmp_path / "runs" / "one")
    assert sorted(synced) == sorted([("runs", ["one"]), (tmp_path.name, ["runs"])])
    make_folder(tmp_path / "runs" / "one")
    assert len(synced) == 2
