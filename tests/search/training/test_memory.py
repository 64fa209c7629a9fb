"""The estimate of a training's memory against what torch keeps for the backward pass."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import layer_table
from hgcnet.model import HGCNet
from hgcnet.presets import preset
from search.data.data_config import DataConfig
from search.data.splits import load_splits
from search.study_file.reading import read_study_file
from search.training.memory import activation_elements, is_out_of_memory, training_bytes
from search.training.precision import autocast
from search.training.proxy_config import Precision, ProxyConfig
from space.search_space import SearchSpace

TASK = Task(resolution=16)
BATCH = 64


def bytes_kept(architecture: Architecture, precision: Precision) -> int:
    """Of all storages that the backward pass of one batch needs, each once, without parameters."""
    network = HGCNet(architecture, TASK, form="composed").to(memory_format=torch.channels_last)
    parameters = {parameter.data_ptr() for parameter in network.parameters()}
    kept: dict[int, torch.Tensor] = {}  # the tensors too, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    images = torch.randn(BATCH, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, autocast(precision, torch.device("cpu")):
        network(images)
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in parameters)


@pytest.mark.parametrize(("precision", "size"), [("fp32", 4), ("bf16", 2)])
def test_the_estimated_activations_are_those_that_torch_keeps(precision, size):
    file = read_study_file(Path(__file__).parents[3] / "studies" / "cifar10.toml")
    space = SearchSpace(file.parameters, file.limits, Task())
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(4)]
    for architecture in [preset("se_hgcnet_42_g4"), preset("sgcnet_42_g1"), *drawn]:
        layers = layer_table(architecture, TASK)
        composed = sum(r.in_channels * r.out_channels for r in layers if "grouped" in r.name)
        estimate = size * BATCH * activation_elements(architecture, TASK) + 4 * composed
        assert 0.98 < bytes_kept(architecture, precision) / estimate < 1.1


def test_the_estimate_grows_with_the_batch_up_to_the_number_of_images():
    config = DataConfig(dataset="digits", resolution=8)
    splits = load_splits(config, resolution=8, train_images=100, val_images=50)

    def estimate(batch_size: int) -> int:
        proxy = ProxyConfig(epochs=1, batch_size=batch_size, precision="fp32")
        return training_bytes(preset("hgcnet_42_g4"), splits, proxy, torch.device("cpu"))

    assert estimate(50) < estimate(100) == estimate(1000) < 2 * estimate(50)


def test_errors_of_memory_are_told_from_others():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
