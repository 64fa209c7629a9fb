"""CPUs and memory within the limits of cgroups and SLURM, read from folders as a kernel has them."""

import os
from pathlib import Path

import pytest

from hgcnet import machine
from hgcnet.machine import usable_cpus, usable_memory

MIB = 2**20


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of /sys/fs/cgroup, on a machine of 64 CPUs and 1 GiB."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:  {2**20} kB\n")
    return tmp_path / "cgroup"


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("max 100000", 64),
        ("50000 100000", 1),
        ("150000 100000", 1),
        ("400000 100000", 4),
        ("9999999 100000", 64),
        ("nonsense", 64),
    ],
)
def test_a_quota_of_version_2_is_kept_and_half_a_cpu_is_one(cgroups, quota, cpus):
    write(cgroups, cpu__max=quota)
    assert usable_cpus() == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 64), ("50000", 1), ("250000", 2)])
def test_a_quota_of_version_1_is_kept(cgroups, quota, cpus):
    cgroups.with_name("own").write_text("4:cpu,cpuacct:/docker/1f\n3:memory:/\n0::/\n")
    write(cgroups / "cpu", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert usable_cpus() == cpus


def test_the_least_limit_of_the_cgroups_around_a_process_holds(cgroups):
    cgroups.with_name("own").write_text("0::/system.slice/job/step\n")
    write(cgroups / "system.slice", cpu__max="300000 100000")
    write(cgroups / "system.slice" / "job" / "step", cpu__max="700000 100000")
    assert usable_cpus() == 3


@pytest.mark.parametrize(("text", "cpus"), [("4", 4), ("0", 1), ("", 64), ("four", 64), ("99", 64)])
def test_what_slurm_gave_to_a_task_is_kept(cgroups, monkeypatch, text, cpus):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", text)
    assert usable_cpus() == cpus


def test_an_affinity_is_kept(cgroups, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_cpus() == 1


def test_without_a_limit_of_memory_what_is_free_is_usable(cgroups):
    write(cgroups, memory__max="max", memory__current="5")
    assert usable_memory() == 1024 * MIB


def test_of_a_limit_of_memory_what_is_used_is_gone_but_for_what_files_take(cgroups):
    stat = f"anon 7\ninactive_file {50 * MIB}"
    used = str(200 * MIB)
    write(cgroups, memory__max=str(500 * MIB), memory__current=used, memory__stat=stat)
    assert usable_memory() == 350 * MIB
    cgroups.with_name("own").write_text("4:memory:/a\n")
    write(
        cgroups / "memory" / "a",
        memory__limit_in_bytes=str(300 * MIB),
        memory__usage_in_bytes=str(400 * MIB),
    )
    assert usable_memory() == 0


def test_where_nobody_says_how_much_memory_there_is_nothing_is_said(cgroups):
    cgroups.with_name("meminfo").unlink()
    assert usable_memory() is None
