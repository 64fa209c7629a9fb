"""Output of the commands that train many networks, or simulate it: from confirm to simulate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli import terminal
from search.cli.printing import Said, err
from search.retraining.tested_model import mean_answers
from search.training.quality import QUALITY_NAMES, name_on_test
from search.units import duration

if TYPE_CHECKING:
    from search.retraining.compare import Comparison
    from search.retraining.confirm import Confirmation
    from search.retraining.fidelity import Fidelity
    from search.simulation.table import NetworkTable
    from search.simulation.virtual_clock import Simulation


def confirm(result: "Confirmation", seeds: int) -> Said:
    """Prints the networks by mean accuracy with 95 % intervals, and the test accuracy of the best."""
    from search.retraining.confirm import confirmation_document

    chosen, quality = terminal.MISSING, QUALITY_NAMES[result.quality_metric]
    if result.is_complete:
        on_test = name_on_test(result.quality_metric)
        found = ", ".join(
            f"{value:.4f}"
            for tested in result.tested
            if (value := getattr(tested, on_test)) is not None
        )
        chosen = (
            f"chosen by the means: {result.chosen}; its test {quality}: {found} (models in "
            f"{result.tested[0].folder.parent})"
        )
    return confirmation_document(result), [
        f"{result.recipe}, {seeds} seeds:",
        terminal.confirmation_table(result.networks, quality),
        chosen,
        *terminal.classes_table(mean_answers(result.tested)),
    ]


def compare(result: "Comparison", seeds: int) -> Said:
    """Prints means and paired differences with 95 % intervals."""
    document = {
        "recipe": result.recipe,
        "networks": json.loads(result.networks.to_json(orient="records")),
        "against": result.against,
        "compared_on": result.compared_on,
        "differences": {name: asdict(found) for name, found in result.differences.items()},
        "complete": result.is_complete,
    }
    return document, [
        f"{result.recipe}, {seeds} seeds:",
        terminal.comparison_table(result),
        str(result.folder / "compare.html") if result.is_complete else terminal.MISSING,
    ]


def fidelity(result: "Fidelity") -> Said:
    """Prints the rank correlation of every score with the longer training.

    Args:
        proxies: proxy to measure beside the study's, such as epochs=4,resolution=12,train_images=2500; other
            settings are the study's. Repeat the option for more; by default variants of the study's proxy.
    """
    from search.retraining.fidelity import fidelity_document

    return fidelity_document(result), [
        f"Kendall's tau with {result.reference} over {len(result.networks)} networks, and over the "
        "pairs of them with like FLOPs:",
        terminal.fidelity_table(result),
        str(result.folder / "fidelity.html"),
        *([] if result.is_complete else [terminal.MISSING]),
    ]


def tabulate(result: "NetworkTable") -> Said:
    """Prints the path of the table, and its numbers of networks and trainings."""
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
    """Prints medians over seeds: noise-free hypervolumes, and trainings to reach that of the first sampler.

    Args:
        table: table of this study, written by `hgcnas tabulate`.
        samplers: samplers to compare, separated by commas.
    """
    quality = result.surrogate
    if not quality.is_trusted:
        err.print(
            f"{table}: the surrogate's tau in cross-validation is {quality.tau:.2f}, below 0.7: "
            "draw no conclusions from it",
            soft_wrap=True,
        )
    rows = json.loads(result.summary.to_json(orient="records"))  # null: never
    line = (
        f"{quality.networks} networks; surrogate: tau {quality.tau:.2f}, residual "
        f"{quality.residual:.4f}, seed noise {quality.noise:.4f}"
    )
    return (
        {"surrogate": asdict(quality), "samplers": rows},
        [line, terminal.simulation_table(result.summary), str(result.page)],
    )
