"""What machines can give to trials, and how many run there at once. Knows no Ray."""

from dataclasses import dataclass

from hgcnet.errors import RunError
from search.study_file.schema import Workers


class MachineWarning(UserWarning):
    """What a machine has too little of, where a study goes on all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one machine can give."""

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
    """What all machines of a Ray can give."""

    nodes: tuple[Node, ...]

    def slots(self, workers: Workers) -> int:
        """How many trials run at once. No trial spans two nodes."""
        room = sum(node.slots(workers) for node in self.nodes)
        return room if workers.at_once is None else min(room, workers.at_once)

    def of_one_alone(self, workers: Workers) -> dict[str, float]:
        """What a trial takes that shares its GPUs with none; without GPUs, the largest machine."""
        if workers.gpus:
            return {"CPU": workers.cpus, "GPU": max(1.0, workers.gpus)}
        return {"CPU": max(node.cpus for node in self.nodes)}


def check_resources(resources: Resources, workers: Workers, source: str) -> None:
    """Refuses what can never be met; Tune would wait for ever.

    Raises:
        RunError: names the key and what there is.
    """
    if (wrong := why_not(resources, workers)) is not None:
        raise RunError(f"{source}: {wrong}")


def why_not(resources: Resources, workers: Workers) -> str | None:
    """What of the workers no machine can give, by its key, and what there is; None is nothing."""
    if resources.slots(workers):
        return None
    cpus = max((node.cpus for node in resources.nodes), default=0.0)
    gpus = max((node.gpus for node in resources.nodes), default=0.0)
    there = "there" if len(resources.nodes) == 1 else "on the largest node"
    if workers.cpus > cpus:
        return f"workers.cpus: {workers.cpus} asked for each trial; {cpus:g} {there}"
    elif workers.gpus > gpus:
        found = f"{gpus:g} {there}" if gpus else "no GPU is there"
        return f"workers.gpus: {workers.gpus:g} asked for each trial; {found} (gpus = 0 trains on the CPU)"
    asked = f"{workers.cpus} CPUs and the {workers.gpus:g} GPUs asked for each trial together"
    return f"workers: no node has the {asked}"
