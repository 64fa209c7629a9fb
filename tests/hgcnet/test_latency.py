"""Latency: both forms are timed, the threads are put back. (How fast is for `benchmarks/`.)"""

import torch

from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.latency import hardware_name, measure_latency

SMALL = Architecture(stem_channels=4, stages=(Stage(depth=1, growth=4, groups=2),))


def test_both_forms_are_timed_and_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()

    rows = measure_latency(SMALL, Task(resolution=8), threads=before + 1, seconds=0.05)

    assert [row.form for row in rows] == ["reference", "fused"]
    assert all(0 < row.low <= row.median <= row.high for row in rows)
    assert rows[0].passes == rows[1].passes >= 8
    assert torch.get_num_threads() == before


def test_the_hardware_has_a_name() -> None:
    assert hardware_name().strip()
