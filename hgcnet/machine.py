"""The CPUs and memory that this process may use, within the limits of cgroups and SLURM."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_MEMINFO = Path("/proc/meminfo")


def usable_cpus() -> int:
    """How many CPUs this process may use; at least 1, even if its quota is less.

    Affinity (taskset, cpusets), a container's quota and a batch system's share are independent of
    each other: the smallest counts.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    limits = [len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1]
    limits += map(int, _cpu_quotas())
    if (of_task := os.environ.get("SLURM_CPUS_PER_TASK", "")).isdecimal():
        limits.append(int(of_task))
    return max(1, min(limits))


def usable_memory() -> int | None:
    """The bytes that this process and its children may still allocate; None if unknown."""
    try:
        facts = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        free = 1024 * int(facts["MemAvailable"].split()[0])
    except (OSError, LookupError, ValueError):
        return None
    return max(0, min([free, *_memory_left()]))


def _cpu_quotas() -> Iterator[float]:
    """The CPU quotas of this process's cgroups and their parents, in CPUs."""
    for folder in _own_folders("cpu"):
        both = _numbers(folder / "cpu.max") or (
            _numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us")
        )
        if len(both) == 2 and min(both) > 0:  # without a limit it is "max", or -1
            yield both[0] / both[1]


def _memory_left() -> Iterator[int]:
    """The bytes that the limits of this process's cgroups and their parents leave."""
    for folder in _own_folders("memory"):
        most = _numbers(folder / "memory.max") or _numbers(folder / "memory.limit_in_bytes")
        used = _numbers(folder / "memory.current") or _numbers(folder / "memory.usage_in_bytes")
        if most and used:
            # The page cache counts as used, but is freed when memory is needed.
            yield most[0] - used[0] + _of_files(folder / "memory.stat")


def _of_files(statistics: Path) -> int:
    try:
        facts = dict(line.split() for line in statistics.read_text().splitlines())
        return int(facts.get("total_inactive_file", facts.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _own_folders(controller: str) -> Iterator[Path]:
    """The folders of cgroup limits, of versions 2 and 1, from this process's cgroup outwards.

    In a container the cgroup may be named as on the host, although its folder is the root.
    """
    try:
        lines = _OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return
    own = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    for names, path in own.items():
        if names and controller not in names.split(","):
            continue
        places = dict.fromkeys((names, controller) if names else ("", "unified"))
        inner = Path(path.lstrip("/"))
        for place in places:
            yield from (_CGROUPS / place / folder for folder in (inner, *inner.parents))


def _numbers(path: Path) -> list[int]:
    """The numbers of a file; none if it has a word instead, or is missing."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
