"""The commands about one network, called in this process: describe --latency, export-onnx."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.complexity import count
from hgcnet.model import HGCNet
from hgcnet.model_folder import save_model
from tests.parts.commands import hgcnas

SMALL = Architecture(stem_channels=4, bottleneck=2, stages=(Stage(depth=2, growth=4, groups=3),))


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = HGCNet(SMALL, Task(in_channels=1, num_classes=3, resolution=8))
    save_model(tmp_path / "model", network, metrics={"epochs": 1}, mean=(0.5,), std=(0.25,))
    return tmp_path / "model"


def say(*arguments: str, code: int = 0) -> str:
    ended = hgcnas(*arguments, cwd=Path.cwd(), code=code)
    return ended.errors if code else ended.output


def say_json(*arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(say(*arguments, "--json"))
    return document


def test_a_model_folder_is_described_as_its_architecture(folder: Path) -> None:
    described = say_json("describe", "model")

    assert described["fingerprint"] == SMALL.fingerprint
    assert described["task"] == {"in_channels": 1, "num_classes": 3, "resolution": 8}
    assert "latency" not in described


def test_latency_is_given_for_both_forms_with_the_hardware(folder: Path) -> None:
    described = say_json("describe", "model", "--latency")
    assert set(described["latency"]) == {"reference", "fused"}
    assert described["threads"] == 1
    assert described["latency"]["fused"]["median"] > 0
    assert described["hardware"]


@pytest.mark.long
def test_latency_is_said_with_the_hardware(folder: Path) -> None:
    hardware = say_json("describe", "model", "--latency")["hardware"]
    text = say("describe", "model", "--latency")
    assert f"one image on {hardware}, 1 thread, float32:\nreference" in text
    assert "\nfused" in text


def test_a_trained_network_is_exported_with_its_weights_and_normalisation(folder: Path) -> None:
    facts = say_json("export-onnx", "model", "-o", "net.onnx")

    model = onnx.load("net.onnx")
    recorded = {fact.key: fact.value for fact in model.metadata_props}
    (weight,) = (t for t in model.graph.initializer if t.name == "stem.weight")
    assert facts["trained"] is True
    assert facts["flops"] == facts["structure"]["flops"] == int(recorded["flops"])
    assert (recorded["mean"], recorded["std"]) == ("[0.5]", "[0.25]")
    expected = hgcnet.load(folder).stem.weight.detach().numpy()
    assert onnx.numpy_helper.to_array(weight).tobytes() == expected.tobytes()


def test_a_preset_is_exported_as_advertised_with_fresh_weights() -> None:
    said = say("export-onnx", "hgcnet_42_g4", "-o", "net.onnx")

    assert "net.onnx: grouped, executes 55.5M FLOPs with 286k params\n" in said
    assert "The weights are not trained: the file is for timing, not for predictions." in said


def test_the_dense_form_says_what_it_executes_beside_the_structure() -> None:
    arguments = ("export-onnx", "hgcnet_42_g4", "--form", "dense", "-o", "net.onnx")

    said = say(*arguments)
    facts = say_json(*arguments, "--resolution", "16")

    assert "net.onnx: dense, executes 82.2M FLOPs with 523k params\n" in said
    assert "Studies and limits count 55.5M FLOPs and 286k params" in said
    counts = count(hgcnet.preset("hgcnet_42_g4"), Task(resolution=16))
    assert facts["structure"]["flops"] == counts.flops < facts["flops"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hgcnet_42", "-o", "n.onnx"), "hgcnet_42: is neither a preset nor"),
        ((".", "-o", "n.onnx"), ".: is not a complete model folder: architecture.toml is missing"),
        (("hgcnet_42_g4", "-o", "absent/n.onnx"), "absent/n.onnx: cannot be written"),
        (("hgcnet_42_g4", "-o", "n.onnx", "--form", "sparse"), "'--form'"),
        (("hgcnet_42_g4",), "Missing option"),
    ],
    ids=str,
)
def test_a_error_gets_one_line(arguments: tuple[str, ...], message: str) -> None:
    said = say("export-onnx", *arguments, code=2)

    assert message in said
    assert len(said.splitlines()) == 1
    assert list(Path().iterdir()) == []
