"""The data that a study began with: others are refused, the same go on wherever they lie."""

import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from hgcnet.errors import RunError
from search.data.inspection import DataWarning
from search.prepare import prepare
from search.results.stored_study import read_study
from search.study.run_folder import RunFolder
from search.study.storage import open_storage, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from tests.parts.image_folders import FLAT, write_image_folder
from tests.parts.opened import closed

SPACE = {"depth": {"low": 1, "high": 2}, "groups": 1, "growth": 4, "stem_channels": 4}


def open_study(storage: BaseStorage, root: Path | str, **kept: Any) -> StudyWriter:
    document = {
        "name": "mine",
        "objectives": ["val_accuracy", "flops"],
        "budget": {"trials": 2},
        "data": {"dataset": "image_folder", "root": str(root), "resolution": 8},
        "space": SPACE,
        "proxy": {"epochs": 1},
    }
    prepared = prepare(parse_study_file(document, "mine.toml"))
    return StudyWriter(storage, prepared.file, prepared.space, prepared.inspection.record, **kept)


def attributes(storage: BaseStorage) -> dict[str, Any]:
    return dict(optuna.load_study(study_name="mine", storage=storage).user_attrs)


def test_the_same_images_under_another_path_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = InMemoryStorage()
    root = write_image_folder(tmp_path / "images", *FLAT)
    open_study(storage, "images")
    began_with = attributes(storage)["data_began_with"]
    assert began_with["counts"] == {"circle": 12, "square": 12}
    for name in ("./images", "../" + tmp_path.name + "/images", str(root)):
        open_study(storage, name)
    shutil.move(root, tmp_path / "moved")
    open_study(storage, "moved")
    after = attributes(storage)
    assert after["data_began_with"] == began_with
    assert after["data_root"] == str(tmp_path / "moved")
    assert json.loads(after["study_file"])["data"]["root"] == "moved"


def test_other_images_under_the_same_path_are_refused_with_the_difference(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    root = write_image_folder(tmp_path / "images", *FLAT)
    open_study(storage, root)
    before = attributes(storage)
    (root / "square/003.png").unlink()
    with pytest.raises(RunError, match="class 'square': 12 images before, 11 now; restore them"):
        open_study(storage, root)
    files = {f"train/{name}/{k:03}.png": 10**9 for name in FLAT for k in range(12)}
    with pytest.raises(RunError, match=r"1 lost \(train/square/003.png\), 11 changed"):
        open_study(storage, root, files_before=files)
    write_image_folder(root, "triangle")
    with pytest.raises(RunError, match="the class 'triangle' is new"):
        open_study(storage, root)
    assert attributes(storage) == before


def test_a_study_that_does_not_say_what_it_began_with_goes_on_and_says_so_then(
    tmp_path: Path,
) -> None:
    storage = InMemoryStorage()
    root = write_image_folder(tmp_path / "images", *FLAT)
    open_study(storage, root)
    study_id = storage.get_study_id_from_name("mine")
    known = storage._studies[study_id].user_attrs
    del known["data_began_with"], known["data_root"]
    write_image_folder(root, "triangle")
    with (
        pytest.warns(DataWarning),
        pytest.raises(RunError, match="has 3 classes, but the study 'mine' was started with 2"),
    ):
        open_study(storage, root)
    shutil.rmtree(root / "triangle")
    shutil.copytree(root, tmp_path / "copy")
    with pytest.raises(RunError, match=r"was started with .*; only .budget. and .workers. may"):
        open_study(storage, tmp_path / "copy")  # nobody knows whether they are the same
    with pytest.warns(DataWarning, match="which validated on other images"):
        open_study(storage, root)
    assert attributes(storage)["data_began_with"]["counts"] == {"circle": 12, "square": 12}


def test_who_reads_the_study_from_another_folder_finds_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "images", *FLAT)
    folder = RunFolder(tmp_path / "runs" / "mine")
    folder.create({"name": "mine"}, {})
    with closed(open_storage(sqlite_url(folder.path))) as storage:
        open_study(storage, "images")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        stored = read_study(folder)
        assert stored.file.data.root == str(tmp_path / "images")
        assert stored.data_began_with is not None
        stored.storage.engine.dispose()
