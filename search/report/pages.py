"""Other pages of figures: comparisons, fidelities, simulations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hgcnet.arrays import Floats
from hgcnet.atomic_write import make_folder, replace_file, writing
from search.pareto import COST_NAMES
from search.report.figures import accuracies
from search.report.page import document, figure_html
from search.report.style import COLOURS, OTHER_COLOURS, empty_figure
from search.training.quality import QUALITY_NAMES

if TYPE_CHECKING:
    from search.retraining.compare import Comparison
    from search.retraining.fidelity import Fidelity
    from search.simulation.virtual_clock import Simulation


def write_comparison(comparison: "Comparison", title: str) -> Path:
    """Writes compare.html into the comparison's folder.

    Raises:
        RunError: it cannot be written.
    """
    networks, quality = comparison.networks, QUALITY_NAMES[comparison.quality_metric]
    heading = quality[0].upper() + quality[1:]  # "macro F1" keeps its capital
    figures = {
        f"{heading} against FLOPs": accuracies(networks, "flops", quality),
        f"{heading} against parameters": accuracies(networks, "num_params", quality),
        "Learning curves": mean_curves(comparison.trainings, quality),
    }
    return _write_figures(comparison.folder / "compare.html", title, figures)


def write_fidelity(fidelity: "Fidelity", title: str) -> Path:
    """Writes fidelity.html into the fidelity's folder.

    Raises:
        RunError: it cannot be written.
    """
    figures = {"Fidelity": correlations(fidelity)}
    return _write_figures(fidelity.folder / "fidelity.html", title, figures)


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


def mean_curves(trainings: pd.DataFrame, quality: str) -> go.Figure:
    """The mean curve of each network over its seeds, with the range of the seeds as a band."""
    figure = empty_figure("epoch", f"validation {quality}")
    for name, group in trainings.groupby("name", sort=False):
        curves = np.array(group["curve"].tolist())
        epochs = range(1, curves.shape[1] + 1)
        _add_band(figure, str(name), epochs, (curves.min(0), curves.mean(0), curves.max(0)))
    return figure


def correlations(fidelity: "Fidelity") -> go.Figure:
    """Kendall's tau of every score against its cost in seconds."""
    title = "Kendall's tau, with its 95 % interval"
    figure = empty_figure("seconds per network", title, type="log")
    rows = fidelity.correlations
    within = f"networks of like {COST_NAMES[fidelity.cost]}"
    for name, taus, colour, symbol in (
        ("all networks", [row.tau for row in rows], COLOURS["finished"], "circle"),
        (within, [row.tau_within for row in rows], COLOURS["front"], "diamond"),
    ):
        above, below = [t.high - t.mean for t in taus], [t.mean - t.low for t in taus]
        figure.add_scatter(
            x=[row.seconds for row in rows],
            y=[tau.mean for tau in taus],
            error_y={"array": above, "arrayminus": below, "thickness": 1},
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertext=[row.score for row in rows],
            hovertemplate="%{hovertext}: %{y:.2f}, %{x:.3g} s<extra></extra>",
            name=name,
        )
    return figure


def simulated(searches: pd.DataFrame, against: str, title: str) -> go.Figure:
    """The hypervolume of simulated searches: each sampler's median over seeds, with its 90 % band.

    `searches` is from `search.simulation.virtual_clock.simulate_searches`, `against` the column of the x axis.
    """
    figure = empty_figure(title, "hypervolume of the noise-free accuracies")
    ends = searches.groupby(["sampler", "seed"])[against].max()
    places = np.linspace(searches[against].min(), ends.min(), 200)
    for name, group in searches.groupby("sampler", sort=False):
        rows = []
        for _, search in group.groupby("seed"):
            reached = np.searchsorted(search[against].to_numpy(), places, side="right")
            rows.append(np.append(0.0, search["hypervolume"])[reached])
        _add_band(figure, str(name), places.tolist(), np.quantile(rows, [0.05, 0.5, 0.95], axis=0))
    return figure


def _add_band(figure: go.Figure, name: str, x: Sequence[float], band: Sequence[Floats]) -> None:
    """Adds a line with a band, in its own colour; `band` is low, middle, high."""
    low, middle, high = band
    colour = OTHER_COLOURS[len(figure.data) // 2 % len(OTHER_COLOURS)]
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=colour,
        opacity=0.15,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    line = {"color": colour, "width": 2}
    figure.add_scatter(x=list(x), y=middle.tolist(), mode="lines", name=name, line=line)


def _write_figures(page: Path, title: str, figures: Mapping[str, go.Figure]) -> Path:
    sections = {
        heading: figure_html(figure, f"figure-{number}")
        for number, (heading, figure) in enumerate(figures.items())
    }
    with writing(page):
        make_folder(page.parent)
        replace_file(page, document(title, sections).encode())
    return page
