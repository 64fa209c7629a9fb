"""The lock of a folder, beside what two processes do with it (tests/integration)."""

from pathlib import Path

import pytest

from hgcnet.errors import RunError
from search.file_lock import hold_lock


def test_who_holds_a_lock_is_said_and_it_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with (
            hold_lock(path, lambda: "not for us"),
            pytest.raises(RunError, match=f"^{tmp_path}: it is taken$"),
            hold_lock(path, lambda: "it is taken"),
        ):
            pass


def test_a_lock_that_cannot_be_had_at_all_names_its_folder(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(RunError, match=f"^{tmp_path}: cannot be locked: Is a directory$"),
        hold_lock(tmp_path / "lock", lambda: "it is taken"),
    ):
        pass
