"""Torch is held to the CPUs that a process may use, for a while."""

import pytest
import torch

from search import process_settings
from search.process_settings import threads_of_usable_cpus


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(("cpus", "threads"), [(1, 1), (2, 2), (8, 3)])
def test_torch_takes_no_more_threads_than_there_are_cpus(three_threads, monkeypatch, cpus, threads):
    monkeypatch.setattr(process_settings, "usable_cpus", lambda: cpus)
    with threads_of_usable_cpus():
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


def test_a_number_of_threads_that_was_asked_for_is_kept(three_threads, monkeypatch):
    monkeypatch.setattr(process_settings, "usable_cpus", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with threads_of_usable_cpus():
        assert torch.get_num_threads() == 3
