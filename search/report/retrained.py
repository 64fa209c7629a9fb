"""Plotly figures beside a study's: networks trained again, rank correlations, simulated searches."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hgcnet.arrays import Floats
from search.pareto import COST_NAMES
from search.report import style

if TYPE_CHECKING:
    from search.retraining.fidelity import Fidelity


def accuracies(summary: pd.DataFrame, cost: str = "flops") -> go.Figure:
    """Mean accuracy against FLOPs or `num_params`, with its 95 % interval, the front as a staircase.

    The staircase leaves out what is on the front for another cost's sake alone. `summary` is what
    `search.retraining.compare.summarise_networks` gives.
    """
    title = style.COST_TITLES[cost]
    figure = style.empty_figure(title, "mean validation accuracy, with its 95 % interval")
    style.with_flops_axis(figure)
    rows = summary.sort_values(cost)
    costs, half = rows[cost].astype("float64"), (rows["high"] - rows["mean"]).fillna(0)
    best = rows[rows["on_front"]]
    best = best[best["mean"] >= best["mean"].cummax()]
    figure.add_scatter(
        x=best[cost].tolist(),
        y=best["mean"].tolist(),
        mode="lines",
        line={"shape": "hv", "color": style.FRONT_COLOUR, "width": 2},
        name="front of the means",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=costs.tolist(),
        y=rows["mean"].tolist(),
        error_y={"array": half.tolist(), "thickness": 1.5},
        mode="markers+text",
        **style.names_beside(rows["name"].tolist()),
        hovertext=[
            f"<b>{escape(name)}</b><br>{escape(architecture)}"
            for name, architecture in zip(rows["name"], rows["architecture"], strict=True)
        ],
        hovertemplate="%{hovertext}<br>%{y:.4f}, %{x:.4s}<extra></extra>",
        marker={"size": 8, "color": style.FINISHED_COLOUR},
        name="networks",
    )
    return figure


def mean_curves(frame: pd.DataFrame) -> go.Figure:
    """The mean curve of each network over its seeds, with the range of the seeds as a band."""
    figure = style.empty_figure("epoch", "validation accuracy")
    for index, (name, group) in enumerate(frame.groupby("name", sort=False)):
        colour = style.OTHER_COLOURS[index % len(style.OTHER_COLOURS)]
        curves = np.array(group["curve"].tolist())
        epochs = list(range(1, curves.shape[1] + 1))
        _add_band(figure, epochs, curves.min(0), curves.mean(0), curves.max(0), str(name), colour)
    return figure


def correlations(fidelity: "Fidelity") -> go.Figure:
    """Kendall's tau of every score against the seconds that it costs."""
    figure = style.empty_figure("seconds a network", "Kendall's tau, with its 95 % interval")
    figure.update_xaxes(type="log")
    rows = fidelity.correlations
    kinds = (
        ("all networks", [row.tau for row in rows], style.FINISHED_COLOUR, "circle"),
        (
            f"networks of like {COST_NAMES[fidelity.cost]}",
            [row.tau_within for row in rows],
            style.FRONT_COLOUR,
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

    `frame` is what `search.simulation.virtual_clock.simulate_searches` gives; `against` the column for the x axis.
    """
    figure = style.empty_figure(title, "hypervolume of the noise-free accuracies")
    places = np.linspace(
        frame[against].min(), frame.groupby(["sampler", "seed"])[against].max().min(), 200
    )
    for index, (name, group) in enumerate(frame.groupby("sampler", sort=False)):
        colour = style.OTHER_COLOURS[index % len(style.OTHER_COLOURS)]
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
