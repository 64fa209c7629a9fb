"""What the commands that train given networks with several seeds print: confirm, compare, fidelity."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from search.cli import terminal
from search.cli.command_of import Said

if TYPE_CHECKING:
    from search.retraining.compare import Comparison
    from search.retraining.confirm import Confirmation
    from search.retraining.fidelity import Fidelity


def confirm(result: "Confirmation", seeds: int) -> Said:
    """Prints the networks by mean accuracy with 95 % intervals, and the test accuracy of the first."""
    from search.retraining.confirm import confirmation_document

    chosen = terminal.MISSING
    if result.is_complete:
        accuracies = ", ".join(f"{tested.test_accuracy:.4f}" for tested in result.tested)
        chosen = (
            f"chosen by the means: {result.chosen}; its test accuracy: {accuracies} (models in "
            f"{result.tested[0].folder.parent})"
        )
    return confirmation_document(result), [
        f"{result.recipe}, {seeds} seeds:",
        terminal.confirmation_table(result.networks),
        chosen,
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
        proxies: a proxy to judge beside the study's, as epochs=4,resolution=12,train_images=2500; the rest
            is as in the study. Repeat it for more; by default four like the study's.
    """
    from search.retraining.fidelity import fidelity_document

    return fidelity_document(result), [
        f"Kendall's tau with {result.reference} over {len(result.networks)} networks, and over the "
        "pairs of them with like FLOPs:",
        terminal.fidelity_table(result),
        str(result.folder / "fidelity.html"),
        *([] if result.is_complete else [terminal.MISSING]),
    ]
