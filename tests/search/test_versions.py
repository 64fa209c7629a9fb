"""Versions: the digest of the sources, by which code is told from other code."""

import shutil
from pathlib import Path

import pytest

import hgcnet
import search
import space
from hgcnet.errors import RunError
from search.versions import code_digest, digest_of_sources, versions
from search.workers.ray_code import options_with_code


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, which this process takes for its own."""
    for package in (hgcnet, space, search):
        [folder] = package.__path__
        here = tmp_path / package.__name__
        shutil.copytree(folder, here, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(package, "__path__", [str(here)])
    return tmp_path


def test_the_digest_goes_by_names_and_contents_of_the_sources_alone(copied: Path) -> None:
    own = code_digest()
    assert digest_of_sources() == own  # wherever they lie
    (copied / "space" / "notes.txt").touch()
    assert digest_of_sources() == own
    (copied / "space" / "decode.py").rename(copied / "space" / "decoded.py")
    renamed = digest_of_sources()
    assert renamed != own
    (copied / "space" / "decoded.py").rename(copied / "space" / "decode.py")
    with (copied / "hgcnet" / "layers.py").open("a") as file:
        file.write("#")
    assert digest_of_sources() not in (own, renamed)
    assert code_digest() == own  # what this process has loaded
    assert versions()["code"] == own


def test_workers_get_no_code_that_changed_under_their_driver(copied: Path) -> None:
    assert options_with_code()["runtime_env"]["env_vars"] == {"HGCNAS_CODE": code_digest()}
    (copied / "search" / "more.py").touch()
    with pytest.raises(RunError, match="the sources of hgcnas have changed since it started"):
        options_with_code()
