"""The Ray that trials run on: started here or joined, and what its machines can give."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from search.workers.ray_inside import signals_left_alone

import ray  # isort: skip - after what keeps it silent

from hgcnet.errors import RunError, one_line
from search.process_settings import environment, log_levels
from search.stop_signals import StopSignal, not_for_children, stops_deferred
from search.study_file.schema import Workers

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own progress tables
    "RAY_USAGE_STATS_ENABLED": "0",
    # No process for each CPU in advance: Tune's trials have an environment of their own and use none.
    "RAY_prestart_worker_first_driver": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # files that nobody reads, and memory
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is handled here
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the storage is the truth: nothing is restored
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one machine can give."""

    cpus: float
    gpus: float

    def slots(self, workers: Workers) -> int:
        """How many trials it runs at once."""
        by_cpu, share = int(self.cpus // workers.cpus), workers.gpus
        if not share:
            return by_cpu
        # A share never spans two GPUs, so each GPU holds a whole number of trials.
        return min(by_cpu, int(self.gpus * int(1 / share) if share < 1 else self.gpus // share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the Ray that was joined can give."""

    nodes: tuple[Node, ...]

    def slots(self, workers: Workers) -> int:
        """How many trials run at once. No trial spans two nodes."""
        return sum(node.slots(workers) for node in self.nodes)

    def of_one_alone(self, workers: Workers) -> dict[str, float]:
        """What a trial takes that shares its GPUs with none; without GPUs, the largest machine."""
        if workers.gpus:
            return {"CPU": workers.cpus, "GPU": max(1.0, workers.gpus)}
        return {"CPU": max(node.cpus for node in self.nodes)}


@contextmanager
def joined_ray(address: str | None, **options: Any) -> Iterator[Resources]:
    """Starts Ray on this machine, or joins a cluster; leaves it at the end.

    Within another such block it is that one's Ray.

    Raises:
        RunError: the address cannot be used or reached.
    """
    if address is not None and address.startswith("ray://"):
        raise RunError(
            f"--ray-address {address}: ray:// would move the search itself to the head node; "
            "run hgcnas on a node of the cluster and give HOST:PORT or auto"
        )
    with (
        environment(_ENVIRONMENT),
        log_levels({"ray": logging.ERROR, "ray.tune": logging.CRITICAL}),
    ):
        if ray.is_initialized():
            yield read_resources()
            return
        if address is not None:
            import hgcnet
            import search
            import space

            options["runtime_env"] = {"py_modules": [hgcnet, space, search]}
        try:
            # (The password in the storage's URL is no business of Ray's processes, nor are signals to us.)
            with (
                environment({"HGCNAS_STORAGE": None}),
                stops_deferred(),  # else a Ray that is half started would leave processes behind
                not_for_children(),
                signals_left_alone(),
            ):
                ray.init(
                    address=address or "local",
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    include_dashboard=None if address else False,
                    **options,
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RunError(
                f"Ray cannot be {f'reached at {address}' if address else 'started here'}: "
                f"{one_line(error)}"
            ) from error
        except StopSignal:
            ray.shutdown()
            raise
        try:
            yield read_resources()
        finally:
            ray.shutdown()


def read_resources() -> Resources:
    """What the nodes of the Ray that was joined have, in use or not."""
    totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    nodes = (Node(cpus=total.get("CPU", 0.0), gpus=total.get("GPU", 0.0)) for total in totals)
    return Resources(nodes=tuple(nodes))


def check_resources(resources: Resources, workers: Workers, source: str) -> None:
    """Refuses what can never be met; Tune would wait for ever.

    Raises:
        RunError: names the key and what there is.
    """
    if resources.slots(workers):
        return
    cpus = max((node.cpus for node in resources.nodes), default=0.0)
    gpus = max((node.gpus for node in resources.nodes), default=0.0)
    there = "there" if len(resources.nodes) == 1 else "on the largest node"
    if workers.cpus > cpus:
        wrong = f".cpus: {workers.cpus} asked for each trial; {cpus:g} {there}"
    elif workers.gpus > gpus:
        found = f"{gpus:g} {there}" if gpus else "no GPU is there"
        wrong = (
            f".gpus: {workers.gpus:g} asked for each trial; {found} (gpus = 0 trains on the CPU)"
        )
    else:
        asked = f"{workers.cpus} CPUs and the {workers.gpus:g} GPUs asked for each trial together"
        wrong = f": no node has the {asked}"
    raise RunError(f"{source}: workers{wrong}")
