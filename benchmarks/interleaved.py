"""Times several things in turn, so that other load on the machine affects all of them alike."""

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one thing, one for each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """What the seconds are of."""

    name: str
    read: Callable[[], float]


CPU_TIME = "the process's time on the processor: for one thread, where others use the machine too"


def choose_clock(cpu_time: bool, device: torch.device) -> Clock:
    """Wall time unless CPU time is asked for; on a GPU, of work that is done."""
    if cpu_time:
        return Clock("CPU time", time.process_time)
    if device.type == "cpu":
        return Clock("wall time", time.perf_counter)

    def read() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return Clock("wall time", read)


def measure(
    cases: Mapping[str, Callable[[], object]], rounds: int, clock: Clock
) -> dict[str, Timing]:
    """Times each case once in every round, each time after a call of it that does not count.

    (What ran just before leaves other caches and another layout of the heap behind. Without the call
    that does not count, one and the same step was up to 1.4 times slower by its place in the round.)
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            call()
            start = clock.read()
            call()
            seconds[name].append(clock.read() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio(slow: Timing, fast: Timing) -> str:
    """How much faster the second is: median and range of the ratios within a round."""
    return ratio_of(list(zip(slow.seconds, fast.seconds, strict=True)))


def ratio_of(pairs: Sequence[tuple[float, float]]) -> str:
    """Median and range of a / b."""
    values = [a / b for a, b in pairs]
    return f"{statistics.median(values):5.2f}x ({min(values):.2f} - {max(values):.2f})"


def describe_machine() -> str:
    """Processor, cores, threads in use, version of torch, load: what a number must be read with."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    wanted = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} x {name} ({', '.join(wanted)}), torch {importlib.metadata.version('torch')}, "
        f"Python {platform.python_version()}{load}"
    )
