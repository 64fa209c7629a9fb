"""How long one image takes: the structured and the fused form of a network, measured side by side.

It is not an objective, as it holds for this machine, this torch and this hour only.
"""

import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hgcnet.architecture import Architecture, Task
from hgcnet.model import HGCNet


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds of a forward pass of one image in float32."""

    form: str  # "reference", eq. 1 of the paper as written, or "fused"
    median: float
    low: float  # a tenth of the passes took less
    high: float  # a tenth took more
    passes: int


def measure_latency(
    architecture: Architecture,
    task: Task,
    *,
    device: torch.device | None = None,
    threads: int = 1,
    seconds: float = 2.0,
) -> tuple[Latency, ...]:
    """Times both forms in turns, so that whatever else the machine does slows both.

    The number of torch's threads is fixed meanwhile. The warm-up, a tenth of the time and at least
    two passes, is not counted.

    Args:
        architecture: Of the network. Its weights are fresh, as they do not change the time.
        task: Gives the resolution.
        device: The CPU if not given.
        threads: On a CPU.
        seconds: Approximate duration; at least eight passes of each form are timed.
    """
    device = device or torch.device("cpu")
    network = HGCNet(architecture, task, form="reference").eval().to(device)
    forms: dict[str, nn.Module] = {"reference": network, "fused": network.fused()}
    shape = (1, task.in_channels, task.resolution, task.resolution)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            _time_in_turns(forms, images, passes=2, seconds=seconds / 10)
            timings = _time_in_turns(forms, images, passes=8, seconds=seconds)
    finally:
        torch.set_num_threads(before)
    return tuple(_summarise(form, timing) for form, timing in timings.items())


def hardware_name(device: torch.device | None = None) -> str:
    """The processor's or GPU's name as its maker gives it."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _time_in_turns(
    forms: dict[str, nn.Module], images: torch.Tensor, *, passes: int, seconds: float
) -> dict[str, list[float]]:
    timings: dict[str, list[float]] = {form: [] for form in forms}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, timings.values())) < passes:
        for form, network in forms.items():
            start = time.perf_counter()
            network(images)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
            timings[form].append(time.perf_counter() - start)
    return timings


def _summarise(form: str, timing: list[float]) -> Latency:
    deciles = statistics.quantiles(timing, n=10)
    return Latency(
        form=form,
        median=statistics.median(timing),
        low=deciles[0],
        high=deciles[-1],
        passes=len(timing),
    )
