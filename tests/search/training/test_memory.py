"""Errors of memory are told from others."""

import pytest
import torch

from search.training.memory import is_out_of_memory


def test_errors_of_memory_are_told_from_others():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
