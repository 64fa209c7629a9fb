"""What a name on the command line, in a study file or in Python stands for."""

from pathlib import Path

import pytest

import hgcnet
from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task, write_architecture
from hgcnet.errors import ArchitectureError
from hgcnet.networks import find_network, network_kind

TINY = Architecture(stem_channels=8, stages=(Stage(depth=1, growth=4, groups=2),))
TASK = Task(in_channels=1, num_classes=7, resolution=16)
FILE = ArchitectureFile(architecture=TINY, task=TASK, provenance={"study": "s"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an architecture file by two names, a model folder, and a file that is called as a preset."""
    for name in ("net.toml", "net", "hgcnet_42_g4"):
        write_architecture(tmp_path / name, FILE)
    network = hgcnet.HGCNet(TINY, TASK)
    hgcnet.save_model(tmp_path / "trained", network, metrics={}, mean=[0.5], std=[0.5])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hgcnet_42_g4", "preset"),
        ("net.toml", "file"),
        ("net", "file"),
        ("trained", "model folder"),
        ("absent.toml", None),
        ("with\0zero", None),
    ],
)
def test_a_name_is_of_one_kind(name: str, kind: str | None, folder: Path) -> None:
    assert network_kind(name, folder) == kind


def test_a_network_is_found_by_each_kind_of_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_network("hgcnet_42_g4", folder) == ArchitectureFile(
        architecture=hgcnet.preset("hgcnet_42_g4")
    )
    for name in ("net.toml", "net", folder / "net.toml"):
        assert find_network(name, folder) == FILE
    trained = find_network("trained", folder)
    assert (trained.architecture, trained.task) == (TINY, TASK)

    monkeypatch.chdir(folder)
    assert find_network("net.toml") == FILE
    assert hgcnet.create_model("trained").architecture == TINY
    assert hgcnet.create_model("trained").training


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", "^resnet18: is neither a preset nor .*; presets are sgcnet_42_g1, "),
        ("hgcnet_42", "did you mean 'hgcnet_42_g"),
        ("absent.toml", r"absent\.toml: cannot be read: No such file or directory$"),
        (".", "is not a complete model folder: architecture.toml is missing"),
    ],
)
def test_a_network_that_is_not_there_is_named(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=said):
        find_network(name, tmp_path)
