"""Studies on machines that have little: half a CPU, no shared memory, no home, no loopback; and what a kill leaves."""

import subprocess
from pathlib import Path

import pytest

from tests.parts.processes import HGCNAS, Family, Processes, wait_until
from tests.parts.small_study import write_study

# What makes such a machine, in a shell of its own mount namespace. {folder} is the test's.
MACHINES = {
    "half a CPU": (
        "mount -t tmpfs t /sys/fs/cgroup && echo '50000 100000' > /sys/fs/cgroup/cpu.max"
    ),
    "half a CPU of version 1": (
        "mount -t tmpfs t /sys/fs/cgroup && mkdir /sys/fs/cgroup/cpu && "
        "echo 50000 > /sys/fs/cgroup/cpu/cpu.cfs_quota_us && "
        "echo 100000 > /sys/fs/cgroup/cpu/cpu.cfs_period_us"
    ),
    "one CPU of several": "taskset -cp 0 $$ > {folder}/taskset",
    "a home that cannot be written": "mount -t tmpfs -o ro t /mnt && export HOME=/mnt",
    "no home": "export HOME=/nonexistent/home",
    "no shared memory": (
        "mkdir {folder}/dev && mount -t tmpfs d {folder}/dev && "
        "cp -a /dev/null /dev/zero /dev/random /dev/urandom {folder}/dev && "
        "ln -s /proc/self/fd {folder}/dev/fd && mount --bind {folder}/dev /dev"
    ),
    "64 MB of shared memory": "mount -t tmpfs -o size=64m s /dev/shm",
    "a long TMPDIR": "export TMPDIR={folder}/$(printf x%.0s $(seq 70)) && mkdir $TMPDIR",
    "a folder of Ray's that is another's": "mkdir -p /tmp/ray && mount -t tmpfs -o ro r /tmp/ray",
}
ONE_AT_ONCE = ("half a CPU", "half a CPU of version 1", "one CPU of several")
SAID = {
    "no shared memory": "/dev/shm is missing",
    "64 MB of shared memory": "/dev/shm has 67 MB",
}


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    """Skips where no namespace can be made."""
    if subprocess.run(["unshare", "-m", "-n", "true"], capture_output=True).returncode:
        pytest.skip("no namespace can be made here; it takes root")


def run_on(machine: str, processes: Processes, *options: str) -> Family:
    """A study of two trials on such a machine."""
    folder = processes.folder
    write_study(folder, budget__trials=2, early_stopping={"kind": "none"})
    made = MACHINES[machine].format(folder=folder)
    command = (HGCNAS, "run", "small.toml", "--no-report", *options)
    return processes.start(
        *("unshare", "-m", "sh", "-c", f'{made} && exec "$@"', "sh", *command), TMPDIR=str(folder)
    )


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("hgcnas-????????"))


@pytest.mark.parametrize("machine", MACHINES)
def test_a_study_runs_on_a_machine_that_has_little_and_leaves_nothing(
    machine: str, processes: Processes
) -> None:
    run = run_on(machine, processes)
    run.wait_until(lambda: run.members("ray::ProxyTrainable") or run.has_ended, "a worker")
    if machine in ONE_AT_ONCE:
        run.wait_until(lambda: "1/2 trained" in run.output, "the first one is trained")
        assert len(run.members("ray::ProxyTrainable")) <= 1
    assert "2/2 trained" in run.succeed()
    said = [line for line in run.errors.splitlines() if line.startswith("hgcnas: ")]
    assert len(said) == (machine in SAID), said
    assert SAID.get(machine, "") in run.errors
    assert left_in(processes.folder) == []


def test_a_machine_without_loopback_is_told_what_it_lacks(processes: Processes) -> None:
    write_study(processes.folder)
    run = processes.start("unshare", "-n", HGCNAS, "run", "small.toml")
    assert run.end() == 2
    assert "127.0.0.1, which does not work on this machine" in run.errors
    assert not (processes.folder / "runs").exists()


def test_a_full_disk_for_rays_files_is_told_before_anything_starts(processes: Processes) -> None:
    folder = processes.folder
    write_study(folder)
    script = 'mount -t tmpfs -o size=1m f /mnt && exec "$@"'
    command = ("unshare", "-m", "sh", "-c", script, "sh", HGCNAS, "run", "small.toml")
    run = processes.start(*command, RAY_TMPDIR="/mnt")
    assert run.end() == 2
    assert "/mnt is full (1 MB free)" in run.errors
    assert not (folder / "runs").exists()


def test_what_a_killed_driver_leaves_is_swept_by_the_next(processes: Processes) -> None:
    folder = processes.folder
    write_study(folder, budget__trials=2, early_stopping={"kind": "none"})
    command, environment = ("run", "small.toml", "--no-report"), {"TMPDIR": str(folder)}
    killed = processes.hgcnas(*command, **environment)
    killed.wait_until(lambda: killed.members("ray::ProxyTrainable"), "a worker")
    killed.kill()
    assert left_in(folder)
    processes.hgcnas(*command, **environment).succeed()
    assert left_in(folder) == []
    wait_until(lambda: not killed.members(), "what was killed is gone")
