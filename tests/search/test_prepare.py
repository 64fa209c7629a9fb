"""What a study file may name to be trained first."""

from pathlib import Path

import pytest

import hgcnet
from hgcnet.architecture import Architecture, Stage
from hgcnet.errors import StudyFileError
from search.prepare import find_architecture, prepare
from search.study_file.reading import read_study_file

ROOT = Path(__file__).parents[2]
TINY = Architecture(stem_channels=8, stages=(Stage(depth=1, growth=4, groups=2),))


def test_a_study_knows_the_names_of_its_classes() -> None:
    prepared = prepare(read_study_file(ROOT / "studies" / "quickstart.toml"))
    assert prepared.space.space.task.class_names == tuple("0123456789")


def test_a_study_starts_with_presets_and_with_what_lies_beside_its_file(tmp_path: Path) -> None:
    hgcnet.save_model(
        tmp_path / "trained", hgcnet.HGCNet(TINY), metrics={}, mean=[0.5] * 3, std=[0.5] * 3
    )

    assert find_architecture("trained", tmp_path, "here") == TINY
    assert find_architecture("trained/architecture.toml", tmp_path, "here") == TINY
    assert find_architecture("hgcnet_42_g4", tmp_path, "here") == hgcnet.preset("hgcnet_42_g4")
    with pytest.raises(
        StudyFileError, match=r"^here: net\.toml is not a file, a model folder or a preset \("
    ):
        find_architecture("net.toml", tmp_path, "here: net.toml")
