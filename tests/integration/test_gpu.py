"""Networks, trainings and studies on a real GPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch

from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.fusion import fused
from hgcnet.latency import measure_latency
from hgcnet.layers import Form
from hgcnet.model import HGCNet
from hgcnet.presets import preset
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_splits
from search.training.proxy_config import Precision, ProxyConfig
from search.training.proxy_training import ProxyTraining, evaluate, to_device

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SMALL = Architecture(
    stem_channels=16, stages=tuple(Stage(depth=2, growth=8, groups=4, se="last") for _ in range(3))
)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_splits(DataConfig(dataset="digits", resolution=8), resolution=8)


def train(splits: Splits, device: torch.device, epochs: int, **changes: Any) -> ProxyTraining:
    config = ProxyConfig(
        **({"epochs": max(4, epochs), "batch_size": 64, "precision": "fp32"} | changes)
    )
    training = ProxyTraining(SMALL, splits, config, seed=0, device=device)
    for _ in range(epochs):
        training.run_epoch()
    return training


@pytest.mark.parametrize("form", ["reference", "composed", "auto"])
def test_a_network_says_there_what_it_says_on_the_cpu(form: Form) -> None:
    task = Task(resolution=16)
    network = HGCNet(preset("se_hgcnet_42_g4"), task, form=form).double().eval()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    expected = network(images)

    there = network.to(GPU)
    for model in (there, fused(there)):
        torch.testing.assert_close(model(images.to(GPU)).cpu(), expected, rtol=1e-9, atol=1e-9)


def test_a_training_learns_there_as_on_the_cpu(splits: Splits) -> None:
    here, there = (train(splits, device, 4) for device in (CPU, GPU))

    # (The first steps still agree; then rounding takes them apart, as another seed would.)
    assert there.train_losses[0] == pytest.approx(here.train_losses[0], rel=0.1)
    assert there.curve[-1] == pytest.approx(here.curve[-1], abs=0.05)
    assert there.curve[-1] > 0.85


@pytest.mark.parametrize(
    ("precision", "changes"),
    [
        ("fp32", {}),
        ("bf16", {}),
        ("fp32", {"recipe": "strong", "class_weights": "balanced"}),
    ],
)
def test_recorded_steps_are_the_steps(
    splits: Splits, precision: Precision, changes: dict[str, Any]
) -> None:
    recorded = train(splits, GPU, 0, precision=precision, **changes)
    plain = train(splits, GPU, 0, precision=precision, **changes)
    plain._graph = None
    losses = [training.run_epoch().train_loss for training in (recorded, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)

    assert recorded._graph is not None
    assert recorded._graph._graph is not None
    for _ in range(3):
        recorded.run_epoch()
        plain.run_epoch()
    assert recorded.train_losses == pytest.approx(plain.train_losses, rel=0.25)
    assert recorded.curve[-1] == pytest.approx(plain.curve[-1], abs=0.05)
    accuracy = evaluate(
        recorded.model, to_device(splits.validation, splits, GPU), precision
    ).accuracy
    assert accuracy == pytest.approx(recorded.curve[-1], abs=0.01)


@pytest.mark.parametrize(("first", "then"), [(GPU, GPU), (GPU, CPU), (CPU, GPU)])
def test_a_training_goes_on_from_its_state_on_either_device(
    splits: Splits, first: torch.device, then: torch.device
) -> None:
    whole = train(splits, first, 4)
    state = train(splits, first, 2).save_state()

    continued = train(splits, then, 0)
    continued.load_state(state)
    losses = [continued.run_epoch().train_loss for _ in range(2)]

    assert losses == pytest.approx(whole.train_losses[2:], rel=0.25)
    assert continued.curve[-1] == pytest.approx(whole.curve[-1], abs=0.05)


def test_a_training_of_one_step_an_epoch_runs_there(splits: Splits) -> None:
    """Its graph is recorded in the fourth epoch."""
    training = train(splits, GPU, 8, batch_size=4096)
    assert training.train_losses[-1] < training.train_losses[0]


def test_latency_is_measured_there() -> None:
    reference, merged = measure_latency(preset("hgcnet_42_g4"), Task(), device=GPU, seconds=0.5)
    assert 0 < merged.median < reference.median


def run_study(folder: Path, changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials of a study of the digits."""
    document: dict[str, Any] = {
        "name": "small",
        "budget": {"trials": 8},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {"stem_channels": {"choice": [8, 16]}, "depth": {"low": 1, "high": 4}},
        "sampler": {"kind": "random"},
        "proxy": {"epochs": 3, "batch_size": 64},
    }
    document["space"] |= {"bottleneck": 2, "groups": {"choice": [1, 2]}, "growth": 8, "se": "none"}
    document["objectives"] = ["val_accuracy", "flops"]
    for key, values in changes.items():
        document[key] = document.get(key, {}) | values
    (folder / "small.toml").write_text(tomli_w.dumps(document))
    call(folder, "run", "small.toml", "--json")
    code = "import search; print(search.load_trials('small').to_json(orient='records'))"
    table = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    trials: list[dict[str, Any]] = json.loads(table.stdout)
    return trials


def call(folder: Path, *arguments: str) -> str:
    """What the command prints."""
    code = f"from search.cli.app import main; main({list(arguments)!r})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_study_trains_several_networks_at_once_on_one_gpu(tmp_path: Path) -> None:
    trials = run_study(tmp_path, {"workers": {"cpus": 1, "gpus": 0.25}})

    assert [trial["state"] for trial in trials] == ["finished"] * 8
    assert max(trial["val_accuracy"] for trial in trials) > 0.8
    forecast = json.loads(call(tmp_path, "run", "small.toml", "--dry-run", "--json"))
    room = (4 * forecast["gpus_here"], forecast["cpus_here"], len(trials))
    assert forecast["trials_at_once"] == min(room)


def test_what_is_out_of_memory_in_its_share_gets_the_gpu_alone(tmp_path: Path) -> None:
    gib = torch.cuda.mem_get_info()[1] / 2**30
    trials = run_study(
        tmp_path,
        {
            "budget": {"trials": 3},
            "data": {"resolution": 32},
            # (The cheapest network, which every study trains, fits into the share.)
            "space": {"stem_channels": 24, "depth": {"low": 1, "high": 12}, "growth": 16},
            "proxy": {"epochs": 1, "batch_size": 1024, "precision": "fp32"},
            "workers": {"cpus": 1, "gpus": round(3 / gib, 3)},
        },
    )

    finished = [trial for trial in trials if trial["state"] == "finished"]
    failed = [trial for trial in trials if trial["state"] == "failed"]
    assert len(finished) == 3
    assert failed
    for trial in failed:
        assert trial["failure"].startswith("out of memory: ")
