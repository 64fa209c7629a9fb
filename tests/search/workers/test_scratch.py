"""Temporary folders that end with their process, and what is swept of those that were killed."""

import fcntl
import os
from pathlib import Path

import pytest

from hgcnet.errors import RunError
from search.workers.scratch import scratch_folder, sweep


@pytest.fixture
def place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders are made; it is as long as it may be."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def leave(place: Path, name: str) -> Path:
    """A folder as a killed process leaves it: with its files, and a lock that nobody holds."""
    left = place / name
    (left / "r" / "session_1").mkdir(parents=True)
    (left / "owner.lock").touch()
    return left


def test_a_folder_is_gone_after_the_block_whatever_ends_it(place: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert list(place.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), scratch_folder():
        raise KeyboardInterrupt
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_swept_by_the_next(place: Path) -> None:
    left = leave(place, "hgcnas-abcdefgh")
    with scratch_folder():
        assert not left.exists()


def test_what_a_living_process_has_is_left_alone(place: Path) -> None:
    with scratch_folder() as folder, scratch_folder() as other:
        assert folder.exists()
        assert other.exists()
    lived_in = leave(place, "hgcnas-abcdefgh")
    lock = os.open(lived_in / "owner.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    sweep(place)
    assert lived_in.exists()
    os.close(lock)
    sweep(place)
    assert not lived_in.exists()


def test_what_is_not_ours_is_left_alone(place: Path) -> None:
    without_lock = place / "hgcnas-12345678"
    without_lock.mkdir()
    (without_lock / "precious").touch()
    other_name = leave(place, "hgcnas-of-others")
    link = place / "hgcnas-87654321"
    link.symlink_to(leave(place, "elsewhere"))
    just_begun = place / "hgcnas-00000000"
    just_begun.mkdir()
    sweep(place)
    assert (without_lock / "precious").exists()
    assert other_name.exists()
    assert (place / "elsewhere" / "owner.lock").exists()
    assert just_begun.exists()
    os.utime(just_begun, (0, 0))  # its process died between two lines
    sweep(place)
    assert not just_begun.exists()


def test_a_long_tmpdir_is_passed_over_as_sockets_lie_in_the_folder(folder, monkeypatch):
    long = folder / ("x" * 70)
    long.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(long))
    with scratch_folder() as found:
        assert found.parent == Path("/tmp")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 70, "has a path of more than 25 bytes, too long for sockets"),
        ("absent", "cannot be written (No such file or directory)"),
    ],
)
def test_a_place_that_was_named_and_cannot_be_used_is_refused(monkeypatch, name, reason):
    monkeypatch.setenv("RAY_TMPDIR", f"/tmp/{name}")
    with pytest.raises(RunError) as error, scratch_folder():
        pass
    assert str(error.value) == (
        "set RAY_TMPDIR to a folder with a short path, for Ray's sockets and logs: "
        f"/tmp/{name} {reason}"
    )
