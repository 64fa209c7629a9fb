"""Plotly figures beside a study's: networks trained again, rank correlations, simulated searches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.pareto import Floats
from search.report import figures

if TYPE_CHECKING:
    from search.fidelity import Fidelity

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4b5563")


def accuracies(summary: pd.DataFrame, cost: str = "flops") -> go.Figure:
    """Mean accuracy against FLOPs or `num_params`, with its 95 % interval, the front as a staircase.

    `summary` is what `search.comparison.summarise_networks` gives.
    """
    title = figures.FLOPS_TITLE if cost == "flops" else "params (weights and biases)"
    figure = figures.empty_figure(title, "mean validation accuracy, with its 95 % interval")
    figure.update_xaxes(type="log", tickformat="~s", exponentformat="SI", dtick="D2")
    rows = summary.sort_values(cost)
    figure.add_scatter(
        x=rows[cost].tolist(),
        y=rows["mean"].tolist(),
        error_y={"array": (rows["high"] - rows["mean"]).fillna(0).tolist(), "thickness": 1.5},
        mode="markers+text",
        text=rows["name"].tolist(),
        textposition="bottom center",
        textfont={"size": 11},
        marker={"size": 8, "color": figures.FINISHED_COLOUR},
        name="networks",
    )
    best = rows[rows["on_front"]]
    figure.add_scatter(
        x=best[cost].tolist(),
        y=best["mean"].tolist(),
        mode="lines",
        line={"shape": "hv", "color": figures.FRONT_COLOUR, "width": 2},
        name="front of the means",
        hoverinfo="skip",
    )
    return figure


def mean_curves(frame: pd.DataFrame) -> go.Figure:
    """The mean curve of each network over its seeds, with the range of the seeds as a band."""
    figure = figures.empty_figure("epoch", "validation accuracy")
    for index, (name, group) in enumerate(frame.groupby("name", sort=False)):
        colour = _COLOURS[index % len(_COLOURS)]
        curves = np.array(group["curve"].tolist())
        epochs = list(range(1, curves.shape[1] + 1))
        _add_band(figure, epochs, curves.min(0), curves.mean(0), curves.max(0), str(name), colour)
    return figure


def correlations(fidelity: "Fidelity") -> go.Figure:
    """Kendall's tau of every score against the seconds that it costs."""
    figure = figures.empty_figure("seconds a network", "Kendall's tau, with its 95 % interval")
    figure.update_xaxes(type="log")
    rows = fidelity.correlations
    kinds = (
        ("all networks", [row.tau for row in rows], figures.FINISHED_COLOUR, "circle"),
        (
            "networks of like FLOPs",
            [row.tau_within for row in rows],
            figures.FRONT_COLOUR,
            "diamond",
        ),
    )
    for name, taus, colour, symbol in kinds:
        figure.add_scatter(
            x=[row.seconds for row in rows],
            y=[tau.mean for tau in taus],
            error_y={
                "array": [tau.high - tau.mean for tau in taus],
                "arrayminus": [tau.mean - tau.low for tau in taus],
                "thickness": 1,
            },
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertext=[row.score for row in rows],
            hovertemplate="%{hovertext}: %{y:.2f}, %{x:.3g} s<extra></extra>",
            name=name,
        )
    return figure


def simulated(frame: pd.DataFrame, against: str, title: str) -> go.Figure:
    """The hypervolume of simulated searches: each sampler's median over seeds, with its 90 % band.

    `frame` is what `search.simulation.simulate_all` gives; `against` the column for the x axis.
    """
    figure = figures.empty_figure(title, "hypervolume of the noise-free accuracies")
    places = np.linspace(
        frame[against].min(), frame.groupby(["sampler", "seed"])[against].max().min(), 200
    )
    for index, (name, group) in enumerate(frame.groupby("sampler", sort=False)):
        colour = _COLOURS[index % len(_COLOURS)]
        rows = []
        for _, search in group.groupby("seed"):
            reached = np.searchsorted(search[against].to_numpy(), places, side="right") - 1
            volumes = search["hypervolume"].to_numpy()
            rows.append(np.where(reached >= 0, volumes[np.maximum(reached, 0)], 0.0))
        low, middle, high = np.quantile(rows, [0.05, 0.5, 0.95], axis=0)
        _add_band(figure, places.tolist(), low, middle, high, str(name), colour)
    return figure


def _add_band(
    figure: go.Figure,
    x: Sequence[float],
    low: Floats,
    middle: Floats,
    high: Floats,
    name: str,
    colour: str,
) -> None:
    """A line with a band around it."""
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
