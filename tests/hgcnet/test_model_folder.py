"""Model folders: whole or refused, and the same logits in another process to the last bit."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import hgcnet
from hgcnet import model_folder
from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task, write_architecture
from hgcnet.complexity import count
from hgcnet.errors import ArchitectureError
from hgcnet.model import HGCNet
from hgcnet.model_folder import load, read_record, save_model
from hgcnet.preparation import Preparation

SMALL = Architecture(
    stem_channels=4,
    bottleneck=2,
    stages=(
        Stage(depth=2, growth=4, groups=3, se="last"),
        Stage(depth=1, growth=6, groups=8),
    ),
)
TASK = Task(in_channels=2, num_classes=7, resolution=9)
MEAN, STD = (0.491, 0.1), (0.247, 1 / 3)
FILES = ["architecture.toml", "metrics.json", "model.safetensors"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def draw_images() -> torch.Tensor:
    return torch.randn(3, 2, 9, 9, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def network(randomise: Callable[[HGCNet, int], HGCNet]) -> HGCNet:
    return randomise(HGCNet(SMALL, TASK), 5)


@pytest.fixture
def folder(tmp_path: Path, network: HGCNet) -> Path:
    path = tmp_path / "somewhere" / "model"
    metrics = {"test_accuracy": 0.9364, "epochs": 300}
    save_model(path, network, metrics=metrics, mean=MEAN, std=STD, provenance={"study": "s"})
    return path


def test_a_folder_holds_three_files_and_everything_that_was_given(
    folder: Path, network: HGCNet
) -> None:
    record = read_record(folder)

    assert names_in(folder) == FILES
    assert (record.file.architecture, record.file.task) == (SMALL, TASK)
    assert record.metrics == {"test_accuracy": 0.9364, "epochs": 300}
    assert (record.mean, record.std) == (MEAN, STD)
    assert record.file.provenance["study"] == "s"
    assert record.file.provenance["flops"] == count(SMALL, TASK).flops
    loaded = hgcnet.load(folder)
    assert not loaded.training
    assert all(
        torch.equal(loaded.state_dict()[name], tensor)
        for name, tensor in network.state_dict().items()
    )


@pytest.mark.parametrize("stride", [2, 4])
def test_a_stem_with_a_stride_is_restored_bit_for_bit(tmp_path: Path, stride: int) -> None:
    network = HGCNet(replace(SMALL, stem_stride=stride), TASK).eval()

    save_model(tmp_path, network, metrics={}, mean=MEAN, std=STD)

    loaded = load(tmp_path)
    assert loaded.architecture == network.architecture
    assert torch.equal(loaded(draw_images()), network(draw_images()))


def test_names_and_preparation_stand_in_the_folder(tmp_path: Path) -> None:
    task = Task(num_classes=2, resolution=16, class_names=("cat", "dog"))
    statistics = {"mean": [0.5] * 3, "std": [0.25] * 3}

    save_model(tmp_path / "model", HGCNet(SMALL, task), metrics={}, **statistics, fit="pad")

    record = read_record(tmp_path / "model")
    assert record.class_names == ("cat", "dog")
    assert record.preparation == Preparation(channels=3, resolution=16, fit="pad")
    document = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert document["class_names"] == ["cat", "dog"]
    assert document["preparation"] == {
        "channels": 3,
        "resolution": 16,
        "fit": "pad",
        "background": 255,
        "sixteen_bits": "the upper 8",
        "orientation": "exif",
        "resize": "area",
    }
    text = (tmp_path / "model" / "architecture.toml").read_text()
    assert hgcnet.load(tmp_path / "model").task.class_names == ("cat", "dog")
    assert '"cat"' in text


def test_a_folder_from_before_there_were_names_is_read(folder: Path) -> None:
    document = json.loads((folder / "metrics.json").read_text())
    del document["class_names"], document["preparation"]
    (folder / "metrics.json").write_text(json.dumps(document))

    record = read_record(folder)

    assert record.class_names == ()
    assert record.preparation == Preparation(channels=2, resolution=9, fit="crop")


def test_a_network_in_channels_last_and_float64_is_stored_as_any_other(
    tmp_path: Path, folder: Path, network: HGCNet
) -> None:
    other = network.to(memory_format=torch.channels_last).double()

    save_model(tmp_path / "other", other, metrics={}, mean=MEAN, std=STD)

    one, two = load(folder).state_dict(), load(tmp_path / "other").state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_file_gives_fresh_weights_by_its_seed(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    write_architecture(path, ArchitectureFile(architecture=SMALL, task=TASK))

    network, other = load(path, seed=1), load(path, seed=2)

    assert network.training
    assert network.task == TASK
    fresh = HGCNet(SMALL, TASK, generator=torch.Generator().manual_seed(1))
    assert torch.equal(network.stem.weight, fresh.stem.weight)
    assert not torch.equal(network.stem.weight, other.stem.weight)


def test_pixels_are_normalised_by_what_was_recorded(folder: Path) -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(2, 2, 8, 8)

    images = read_record(folder).normalise(pixels)

    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (MEAN, STD))
    torch.testing.assert_close(images.double(), (pixels / 255 - mean) / std, rtol=0, atol=1e-6)


def test_saving_again_replaces_the_model_and_leaves_other_files(
    folder: Path, network: HGCNet
) -> None:
    (folder / "notes.txt").write_text("mine")
    with torch.no_grad():
        network.classifier.bias.fill_(0.5)

    save_model(folder, network, metrics={"epochs": 1}, mean=MEAN, std=STD)

    assert read_record(folder).metrics == {"epochs": 1}
    assert torch.equal(load(folder).classifier.bias, network.classifier.bias)
    assert names_in(folder) == sorted([*FILES, "notes.txt"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_writing_that_dies_never_leaves_a_whole_folder(
    folder: Path, network: HGCNet, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Dies at the first, second, third file, each time over an older whole folder."""
    replaced: list[Path] = []
    write = model_folder.replace_file

    def dying(path: Path, content: bytes) -> None:
        if len(replaced) == number - 1:
            raise KeyboardInterrupt
        replaced.append(path)
        write(path, content)

    monkeypatch.setattr("hgcnet.model_folder.replace_file", dying)
    monkeypatch.setattr("hgcnet.architecture.replace_file", dying)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, network, metrics={}, mean=MEAN, std=STD)

    with pytest.raises(ArchitectureError, match=r"is not a complete model folder: metrics"):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_without_one_of_its_files_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(
        ArchitectureError, match=f"is not a complete model folder: {name} is missing"
    ):
        load(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(folder: Path, name: str, keep: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * keep)])

    with pytest.raises(ArchitectureError) as error:
        load(folder)

    assert str(folder / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_files_of_two_folders_do_not_mix(tmp_path: Path, folder: Path) -> None:
    """Also where the networks are equal: the metrics speak of one training."""
    other = tmp_path / "other"
    generator = torch.Generator().manual_seed(6)
    save_model(other, HGCNet(SMALL, TASK, generator=generator), metrics={}, mean=MEAN, std=STD)
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())

    with pytest.raises(
        ArchitectureError, match=r"safetensors: does not match its checksum in metrics"
    ):
        load(folder)


def test_weights_of_another_network_are_named_even_if_the_sums_are_right(
    tmp_path: Path, folder: Path
) -> None:
    other = tmp_path / "other"
    task = Task(in_channels=2, num_classes=8, resolution=9)
    save_model(other, HGCNet(SMALL, task), metrics={}, mean=MEAN, std=STD)
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    document = json.loads((folder / "metrics.json").read_text())
    sums = json.loads((other / "metrics.json").read_text())["sha256"]
    document["sha256"]["model.safetensors"] = sums["model.safetensors"]
    (folder / "metrics.json").write_text(json.dumps(document))

    message = r"classifier.bias: has float32 \(8,\); the network of architecture.toml needs"
    with pytest.raises(ArchitectureError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format: 2 is not 1"),
        ({"format": None}, "format: None is not a int"),
        ({"mean": [0.5]}, "mean: [0.5] is not one number for each of 2 channels"),
        ({"mean": [0.5, "x"]}, "is not one number for each of 2 channels"),
        ({"mean": [0.5, float("nan")]}, "is not one number for each of 2 channels"),
        ({"std": [0.5, 0]}, "std: [0.5, 0] is not above 0"),
        ({"metrics": 3}, "metrics: 3 is not a dict"),
        ({"preparation": 3}, "preparation: 3 is not a dict"),
        ({"preparation": {"fit": "cover"}}, "preparation.fit: 'cover' is not one of crop, pad"),
        ({"preparation": {"background": 0}}, "preparation.background: 0 is not 255"),
        ({"preparation": {"colours": "hsv"}}, "preparation.colours: 'hsv' is not a known setting"),
        ({"sha256": {}}, "does not match its checksum in metrics.json"),
    ],
    ids=str,
)
def test_what_is_wrong_in_the_metrics_is_named(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    with pytest.raises(ArchitectureError) as error:
        load(folder)

    assert message in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"accuracy": float("nan")}},
        {"mean": (0.5,)},
        {"std": (0.5, 0.0)},
    ],
    ids=str,
)
def test_a_caller_that_gives_nonsense_is_told_before_anything_is_written(
    tmp_path: Path, network: HGCNet, changes: dict[str, object]
) -> None:
    given = {"metrics": {}, "mean": MEAN, "std": STD} | changes

    with pytest.raises(ValueError, match=r"mean|std|JSON"):
        save_model(tmp_path / "model", network, **given)

    assert names_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_or_read_is_named(tmp_path: Path, network: HGCNet) -> None:
    (tmp_path / "in-the-way").write_text("")

    with pytest.raises(ArchitectureError, match="in-the-way/model: cannot be written"):
        save_model(tmp_path / "in-the-way" / "model", network, metrics={}, mean=MEAN, std=STD)
    with pytest.raises(ArchitectureError, match="absent: cannot be read: No such file"):
        load(tmp_path / "absent")


def test_nothing_is_pickled(folder: Path) -> None:
    """A pickle starts with its protocol, a zip of pickles with PK; safetensors with its length."""
    content = (folder / "model.safetensors").read_bytes()

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])

    assert header["__metadata__"] == {"fingerprint": SMALL.fingerprint}
    assert header["stem.weight"]["dtype"] == "F32"


def test_without_safetensors_the_message_says_what_to_install(
    folder: Path, network: HGCNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)

    for use in (
        lambda: load(folder),
        lambda: save_model(folder, network, metrics={}, mean=MEAN, std=STD),
    ):
        with pytest.raises(hgcnet.errors.MissingPackageError, match="pip install safetensors"):
            use()
    assert names_in(folder) == FILES
