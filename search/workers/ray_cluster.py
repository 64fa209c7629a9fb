"""The Ray that trials run on: started here or joined, and the resources of its machines."""

import logging
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any

from search.workers.ray_inside import (
    cluster_that_runs_here,
    forget_token,
    refusal_of_cluster,
    signals_left_alone,
    slow_starts_awaited,
)

import ray  # isort: skip - after what keeps it silent
from ray.exceptions import RayError

from hgcnet.errors import RunError, one_line
from hgcnet.machine import usable_cpus, usable_memory
from search.process_settings import environment, log_levels
from search.stop_signals import not_for_children, stops_deferred
from search.study_file.schema import Workers
from search.training.memory import check_share, gpu_sizes
from search.workers.ray_code import check_code_of_workers, options_with_code
from search.workers.resources import MachineWarning, Node, Resources, check_resources
from search.workers.scratch import MARK, RAYS, end_started_for, scratch_folder

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own progress tables
    "RAY_USAGE_STATS_ENABLED": "0",
    # Not 30 s: machines are busy.
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    # No process for each CPU in advance: Tune's trials have an environment of their own and use none.
    "RAY_prestart_worker_first_driver": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # they cost memory, and write files that nothing reads
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is handled here
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the storage is the truth: nothing is restored
}
_TOKEN = secrets.token_hex(32)  # of every Ray that this process starts
_LOOPBACK = "127.0.0.1"
_SHARED_MEMORY = Path("/dev/shm")
_LEAST_STORE, _MOST_STORE = 80 * 2**20, 200 * 10**9  # bytes of Ray's object store
_SECONDS_TO_ANSWER, _SECONDS_TO_START = 10, 120
# How HTTP/2 begins, which Ray speaks: what a client says first, and the kind of frame that answers it.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = 4
_SMALL_SHARE, _SECONDS_FOR_SIZES = 0.2, 60  # of a GPU


@contextmanager
def joined_ray(address: str | None, **options: Any) -> Iterator[Resources]:
    """Starts Ray on this machine, or joins a cluster; leaves it at the end.

    Inside another such block it is that block's Ray. Its workers run this process's code.

    Args:
        options: of `ray.init`, for a Ray that is started here.

    Raises:
        RunError: the address cannot be used or reached, Ray cannot be started here, or the process has
            initialised a Ray whose workers have other code.
    """
    if address is not None and address.startswith("ray://"):
        raise RunError(
            f"--ray-address {address}: run hgcnas on a node of the cluster and give HOST:PORT or auto; "
            "ray:// would run the search itself on the head node"
        )
    with (
        environment(_ENVIRONMENT),
        log_levels({"ray": logging.ERROR, "ray.tune": logging.CRITICAL}),
    ):
        if ray.is_initialized():
            check_code_of_workers()
            yield read_resources()
            return
        code = options_with_code()
        with _started(code | options) if address in (None, "local") else _joined(address, code):
            yield read_resources()


@contextmanager
def _started(options: dict[str, Any]) -> Iterator[None]:
    """A Ray of this process: its files are removed after it, and nothing is written to the home folder."""
    _check_loopback()
    with scratch_folder() as folder:
        options = {"num_cpus": usable_cpus(), **_object_store(folder), **options}
        for_ray_alone = {
            "HGCNAS_STORAGE": None,  # Ray's processes do not need the password in its URL
            "RAY_AUTH_TOKEN": _TOKEN,  # else Ray would write one to the home folder, which may be missing
            "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE"),  # Ray sets it, and would leave it
            "TMPDIR": str(folder),
            "RAY_TMPDIR": str(folder),
            MARK: str(folder),
        }
        forget_token()
        try:
            with _told("Ray cannot be started here"), environment(for_ray_alone):
                _start(folder, options)
            yield
        finally:
            ray.shutdown()
            forget_token()


def _start(folder: Path, options: dict[str, Any]) -> None:
    """Starts Ray, and retries once if that took too long for it, as on a busy machine."""
    for may_again in (True, False):
        try:
            with slow_starts_awaited(_SECONDS_TO_START), _undisturbed():
                ray.init(
                    address="local",
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    include_dashboard=False,
                    # Not the address in a network that a laptop may leave meanwhile.
                    _node_ip_address=_LOOPBACK,
                    _temp_dir=str(folder / RAYS),  # which Ray opens to everybody
                    **options,
                )
        except Exception as error:
            is_slow = type(error) is Exception  # all other errors of Ray have a type
            if not (may_again and is_slow):
                raise
            ray.shutdown()
            end_started_for(folder)
        else:
            return


@contextmanager
def _joined(address: str, options: dict[str, Any]) -> Iterator[None]:
    """A cluster that somebody else has started."""
    check_cluster(address)
    quiet = environment({"HGCNAS_STORAGE": None})
    try:
        with _told(f"{_named(address)} cannot be joined"), quiet, _undisturbed():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **options)
        yield
    finally:
        ray.shutdown()


def check_cluster(address: str) -> None:
    """Checks whether a cluster can be joined.

    Raises:
        RunError: it cannot; says what answers there, if anything does, and what it requires.
    """
    place = _named(address)
    if address == "auto":  # Ray itself looks for this one's token, also in the home
        with _told("No Ray cluster was found on this machine (--ray-address auto)"):
            found = cluster_that_runs_here()
        if found is not None:
            _check_answer(found, place)
    else:
        _check_answer(address, place)
        if (reason := refusal_of_cluster(address)) is not None:
            raise RunError(f"{place}: {reason}")


def _named(address: str) -> str:
    return f"Ray at {one_line(address)} (--ray-address, or RAY_ADDRESS in the environment)"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keeps signals from Ray's processes, and defers our own: a half-started Ray would leave
    processes behind."""
    with stops_deferred(), not_for_children(), signals_left_alone():
        yield


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns whatever Ray raises inside into one line: it has many kinds of errors."""
    try:
        yield
    except Exception as error:
        raise RunError(f"{what}: {one_line(error) or type(error).__name__}") from error


def _check_loopback() -> None:
    """Raises a RunError if Ray's processes could not reach each other; they would wait forever."""
    try:
        with (
            socket.create_server((_LOOPBACK, 0)) as server,
            socket.create_connection(server.getsockname(), _SECONDS_TO_ANSWER),
        ):
            pass
    except OSError as error:
        raise RunError(
            f"Ray's processes need {_LOOPBACK}, which does not work on this machine "
            f"({error.strerror or error}); `ip link set lo up` enables it"
        ) from error


def _check_answer(address: str, place: str) -> None:
    """Raises a RunError unless something answers that may be a Ray.

    Ray itself would keep trying for minutes.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise RunError(f"{place}: is not an address; give HOST:PORT or auto")
    try:
        where = (host.strip("[]"), int(port))
        with socket.create_connection(where, _SECONDS_TO_ANSWER) as connection:
            is_ray = True
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                connection.sendall(_GREETING)
                is_ray = connection.recv(9)[3:4] == bytes((_SETTINGS,))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"{place}: no answer ({reason}); start a cluster with `ray start --head`, or leave out the "
            "address to train on this machine"
        ) from error
    if not is_ray:
        raise RunError(f"{place}: something other than Ray answers")


def _object_store(folder: Path) -> dict[str, Any]:
    """Options of Ray's object store, in which all workers of this machine read the images.

    Ray's default is three tenths of the memory, on the disk if shared memory is smaller.
    """
    if sys.platform != "linux":
        return {}
    store = min(_MOST_STORE, int(0.3 * (usable_memory() or _MOST_STORE)))
    try:
        shared = disk_usage(_SHARED_MEMORY).free if os.access(_SHARED_MEMORY, os.W_OK) else 0
    except OSError:
        shared = 0
    if 0.95 * shared >= _LEAST_STORE:
        return {"object_store_memory": max(_LEAST_STORE, min(store, int(0.95 * shared)))}
    there = f"has {shared / 1e6:.0f} MB" if shared else "is missing, or cannot be written"
    warnings.warn(
        f"{_SHARED_MEMORY} {there}: the images of the trainings are kept in {folder.parent}, which is "
        "slower; give a container more with --shm-size=2g (docker run) or an emptyDir of medium Memory "
        "(Kubernetes)",
        MachineWarning,
        stacklevel=2,
    )
    store = max(_LEAST_STORE, min(store, disk_usage(folder).free // 2))
    return {"object_store_memory": store, "_plasma_directory": str(folder)}


def check_workers(resources: Resources, workers: Workers, source: str) -> None:
    """Refuses resources that no machine has, and shares of a GPU too small for any training.

    Raises:
        RunError: names the key, what there is, and what would work.
    """
    check_resources(resources, workers, source)
    if 0 < workers.gpus < 1:
        check_share(workers.gpus, source, gpu_sizes() or _sizes_elsewhere(workers.gpus))


def _sizes_elsewhere(share: float) -> list[int]:
    """The bytes of a GPU of the cluster, where the share is so small that it matters."""
    if share > _SMALL_SHARE:
        return []
    task = ray.remote(num_cpus=0, num_gpus=share)(gpu_sizes)
    try:
        found: list[int] = ray.get(task.remote(), timeout=_SECONDS_FOR_SIZES)
    except RayError:  # all GPUs are taken, or torch is missing: the workers will say so
        return []
    return found


def read_resources() -> Resources:
    """The resources of all nodes of the joined Ray, in use or not."""
    totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    nodes = (Node(cpus=total.get("CPU", 0.0), gpus=total.get("GPU", 0.0)) for total in totals)
    return Resources(nodes=tuple(nodes))
