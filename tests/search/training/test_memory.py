"""Errors of memory are told from others, and too small a share of a GPU from one that works."""

import pytest
import torch

from hgcnet.errors import RunError
from search.training.memory import check_share, is_out_of_memory, least_share


def test_errors_of_memory_are_told_from_others():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


GIB = 2**30


@pytest.mark.parametrize(("gib", "least"), [(8, 0.11), (24, 0.04), (80, 0.02), (0.5, 1.68)])
def test_the_smallest_share_leaves_a_training_room_beside_what_cuda_takes(gib, least):
    assert least_share(round(gib * GIB)) == least


def test_too_small_a_share_of_the_smallest_gpu_is_refused_with_the_one_that_works():
    with pytest.raises(RunError) as error:
        check_share(0.075, "x.toml", [80 * GIB, 8 * GIB])
    assert str(error.value) == (
        "x.toml: workers.gpus: 0.075 of a GPU with 8.6 GB is too little, as CUDA alone takes 0.6 GB "
        "in each process; give 0.11 or more"
    )
    check_share(0.11, "x.toml", [80 * GIB, 8 * GIB])
    check_share(0.075, "x.toml", [80 * GIB])
    check_share(0.075, "x.toml", [])  # nobody knows
    check_share(0.0, "x.toml", [8 * GIB])  # trains on the CPU


def test_a_gpu_that_is_too_small_for_anything_is_called_that():
    with pytest.raises(RunError, match="too small for any training"):
        check_share(0.5, "x.toml", [GIB // 2])
