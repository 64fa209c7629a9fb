"""What the commands that search without training print: the table of networks, and simulations on it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli import terminal
from search.cli.command_of import Said, err
from search.units import duration

if TYPE_CHECKING:
    from search.simulation.table import NetworkTable
    from search.simulation.virtual_clock import Simulation


def tabulate(result: "NetworkTable") -> Said:
    """Prints the table's path and what is in it."""
    seconds = float(result.trainings["seconds"].sum())
    facts = {
        "file": str(result.path),
        "networks": result.trainings["fingerprint"].nunique(),
        "trainings": len(result.trainings),
        "seconds": round(seconds, 1),
        "complete": result.is_complete,
    }
    line = (
        f"{result.path}: {facts['networks']} networks, {facts['trainings']} trainings, "
        f"{duration(seconds)} of training"
    )
    return facts, [line, *([] if result.is_complete else [terminal.MISSING])]


def simulate(result: "Simulation", table: Path) -> Said:
    """Prints medians over seeds of the hypervolume of accuracies without noise, and how soon it is reached.

    Args:
        table: a table of this study, written by `hgcnas tabulate`.
        samplers: which to compare, with commas between.
    """
    quality = result.surrogate
    if not quality.is_trusted:
        err.print(
            f"{table}: the surrogate's tau is {quality.tau:.2f} in cross-validation, below 0.7: "
            "conclude nothing from this",
            soft_wrap=True,
        )
    rows = json.loads(result.summary.to_json(orient="records"))  # null: never
    line = (
        f"{quality.networks} networks; the surrogate: tau {quality.tau:.2f}, residual "
        f"{quality.residual:.4f}, noise of a seed {quality.noise:.4f}"
    )
    return (
        {"surrogate": asdict(quality), "samplers": rows},
        [line, terminal.simulation_table(result.summary), str(result.page)],
    )
