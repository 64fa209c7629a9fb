"""The resources of machines, and how many trials run there at once. Independent of Ray."""

from dataclasses import dataclass

from hgcnet.errors import RunError
from search.study_file.schema import Workers


class MachineWarning(UserWarning):
    """A machine has too little of something, but the study can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The resources of one machine."""

    cpus: float
    gpus: float

    def slots(self, workers: Workers) -> int:
        """How many trials it has room for."""
        by_cpu, share = int(self.cpus // workers.cpus), workers.gpus
        if not share:
            return by_cpu
        # A share never spans two GPUs, so each GPU holds a whole number of trials.
        return min(by_cpu, int(self.gpus * int(1 / share) if share < 1 else self.gpus // share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resources of all machines of a Ray."""

    nodes: tuple[Node, ...]

    def slots(self, workers: Workers) -> int:
        """How many trials run at once. No trial spans two nodes."""
        room = sum(node.slots(workers) for node in self.nodes)
        return room if workers.at_once is None else min(room, workers.at_once)

    def of_one_alone(self, workers: Workers) -> dict[str, float]:
        """The resources of a trial that shares its GPUs with no other; without GPUs, of the largest machine."""
        if workers.gpus:
            return {"CPU": workers.cpus, "GPU": max(1.0, workers.gpus)}
        return {"CPU": max(node.cpus for node in self.nodes)}


def check_resources(resources: Resources, workers: Workers, source: str) -> None:
    """Refuses requests that no machine can meet; Tune would wait forever.

    Raises:
        RunError: names the key and what there is.
    """
    if (wrong := why_not(resources, workers)) is not None:
        raise RunError(f"{source}: {wrong}")


def why_not(resources: Resources, workers: Workers) -> str | None:
    """The key that no machine can meet, and what there is; None if all can be met."""
    if resources.slots(workers):
        return None
    cpus = max((node.cpus for node in resources.nodes), default=0.0)
    gpus = max((node.gpus for node in resources.nodes), default=0.0)
    there = "available" if len(resources.nodes) == 1 else "on the largest node"
    if workers.cpus > cpus:
        return f"workers.cpus: each trial asks for {workers.cpus}; {cpus:g} {there}"
    elif workers.gpus > gpus:
        found = f"{gpus:g} {there}" if gpus else "no GPU is available"
        return f"workers.gpus: each trial asks for {workers.gpus:g}; {found} (gpus = 0 trains on the CPU)"
    asked = f"{workers.cpus} CPUs and {workers.gpus:g} GPUs that each trial asks for"
    return f"workers: no node has the {asked}"
