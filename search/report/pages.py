"""Pages of figures beside a study's report: comparisons, fidelities, simulations."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from hgcnet.atomic_write import replace_file, writing
from search.report.page import document, figure_html, section
from search.report.retrained import accuracies, correlations, mean_curves, simulated

if TYPE_CHECKING:
    from search.retraining.compare import Comparison
    from search.retraining.fidelity import Fidelity
    from search.simulation.virtual_clock import Simulation


def write_comparison(comparison: "Comparison", title: str) -> Path:
    """Writes compare.html into the comparison's folder.

    Raises:
        RunError: it cannot be written.
    """
    figures = {
        "Accuracy against FLOPs": accuracies(comparison.networks),
        "Accuracy against parameters": accuracies(comparison.networks, "num_params"),
        "Learning curves": mean_curves(comparison.trainings),
    }
    return _write_figures(comparison.folder / "compare.html", title, figures)


def write_fidelity(fidelity: "Fidelity", title: str) -> Path:
    """Writes fidelity.html into the fidelity's folder.

    Raises:
        RunError: it cannot be written.
    """
    return _write_figures(
        fidelity.folder / "fidelity.html", title, {"Fidelity": correlations(fidelity)}
    )


def write_simulation(simulation: "Simulation", title: str) -> Path:
    """Writes the page of a simulation.

    Raises:
        RunError: it cannot be written.
    """
    frame = simulation.searches
    figures = {
        "Against trained networks": simulated(frame, "trained", "trained networks"),
        "Against epochs": simulated(frame, "epochs", "epochs trained"),
        "Against time": simulated(frame, "seconds", "seconds of the virtual clock"),
    }
    return _write_figures(simulation.page, title, figures)


def _write_figures(page: Path, title: str, figures: Mapping[str, go.Figure]) -> Path:
    body = [
        section(heading, figure_html(figure, f"figure-{number}"))
        for number, (heading, figure) in enumerate(figures.items())
    ]
    with writing(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        replace_file(page, document(title, body).encode())
    return page
