"""What this process may use of its machine: CPUs and memory, within the limits of cgroups and of SLURM."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_MEMINFO = Path("/proc/meminfo")


def usable_cpus() -> int:
    """How many CPUs this process may keep busy; at least 1, also where a quota leaves a part of one.

    An affinity (taskset, cpusets), a container's quota and a batch system's share know nothing of each
    other: the least of them holds.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    limits = [len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1]
    limits += map(int, _cpu_quotas())
    if (of_task := os.environ.get("SLURM_CPUS_PER_TASK", "")).isdecimal():
        limits.append(int(of_task))
    return max(1, min(limits))


def usable_memory() -> int | None:
    """The bytes that this process and all that it starts may still take; None where nobody says."""
    try:
        facts = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        free = 1024 * int(facts["MemAvailable"].split()[0])
    except (OSError, LookupError, ValueError):
        return None
    return max(0, min([free, *_memory_left()]))


def _cpu_quotas() -> Iterator[float]:
    """In CPUs: of this process's cgroups, and of those around them."""
    for folder in _own_folders("cpu"):
        both = _numbers(folder / "cpu.max") or (
            _numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us")
        )
        if len(both) == 2 and min(both) > 0:  # without a limit it is "max", or -1
            yield both[0] / both[1]


def _memory_left() -> Iterator[int]:
    """In bytes: what the limits of this process's cgroups, and of those around them, leave."""
    for folder in _own_folders("memory"):
        most = _numbers(folder / "memory.max") or _numbers(folder / "memory.limit_in_bytes")
        used = _numbers(folder / "memory.current") or _numbers(folder / "memory.usage_in_bytes")
        if most and used:
            # What was read of files counts as used, but goes as soon as the room is wanted.
            yield most[0] - used[0] + _of_files(folder / "memory.stat")


def _of_files(statistics: Path) -> int:
    try:
        facts = dict(line.split() for line in statistics.read_text().splitlines())
        return int(facts.get("total_inactive_file", facts.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _own_folders(controller: str) -> Iterator[Path]:
    """Where limits may be, of version 2 and of version 1, from this process's cgroup outwards.

    Within a container its cgroup may be called as on the host, and lie at the root all the same.
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
    """The numbers of a file; none where it has a word instead, or is not there."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
