"""The two small graphs that a running study keeps in Optuna Dashboard.

A sampler may read all that is kept there at each ask: few points are drawn, and numbers are rounded.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import plotly.graph_objects as go

from search.pareto import HypervolumeBounds, normalised_hypervolume
from search.report.style import (
    ACCURACY_TITLE,
    FAILED_COLOUR,
    FINISHED_COLOUR,
    FLOPS_TITLE,
    FRONT_COLOUR,
    STOPPED_COLOUR,
    TEXT_COLOUR,
    empty_figure,
)

MAX_POINTS = 120  # of each kind
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A trial that measured an accuracy."""

    number: int
    state: str  # finished, stopped or failed
    accuracy: float  # of the last epoch there was
    flops: int
    on_front: bool
    name: str  # that somebody gave it; empty: it comes from the sampler
    architecture: str  # in one line


def pareto_graph(points: Sequence[Point]) -> go.Figure:
    """Accuracy against FLOPs: the front as a staircase, and what else was measured."""
    front = sorted((p for p in points if p.on_front), key=lambda p: (p.flops, p.accuracy))
    figure = _titled_figure(f"Pareto front: {len(front)} networks", FLOPS_TITLE, ACCURACY_TITLE)
    figure.update_xaxes(type="log", tickformat="~s", exponentformat="SI", dtick="D2")
    beside = [point for point in points if not point.on_front]
    for state, legend, symbol, colour in (
        ("stopped", "stopped early", "circle-open", STOPPED_COLOUR),
        ("failed", "failed", "x-thin-open", FAILED_COLOUR),
        ("finished", "finished", "circle", FINISHED_COLOUR),
    ):
        style = {"mode": "markers", "marker": {"symbol": symbol, "color": colour, "size": 6}}
        _add_points(figure, [p for p in beside if p.state == state], legend, **style)
    _add_points(
        figure,
        front,
        "front",
        hovertext=[point.architecture for point in _thinned(front)],
        mode="lines+markers",
        # A budget between two points buys the accuracy of the cheaper one.
        line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
        marker={"color": FRONT_COLOUR, "size": 8},
    )
    named = [point for point in points if point.name]
    figure.add_scatter(
        **_places(named),
        text=[point.name for point in _thinned(named)],
        mode="text",
        textposition="bottom center",
        textfont={"size": 11, "color": TEXT_COLOUR},
        hoverinfo="skip",
        showlegend=False,
    )
    return figure


def hypervolume_graph(trained: Iterable[Point], bounds: HypervolumeBounds) -> go.Figure:
    """The hypervolume_graph where it rose.

    Args:
        trained: what finished or was stopped early, in the order in which it ended.
    """
    number = 0
    steps: list[tuple[int, float, str]] = []
    best: list[tuple[float, int]] = []
    for number, point in enumerate(trained, start=1):
        if point.state != "finished" or bounds.reference_accuracy is None:
            continue
        place = (point.accuracy, point.flops)
        if any(_covers(other, place) for other in best):
            continue
        best = [other for other in best if not _covers(place, other)] + [place]
        accuracies, flops = zip(*best, strict=True)
        volume = round(normalised_hypervolume(accuracies, flops, bounds), 5)
        steps.append((number, volume, f"trial {point.number}"))
    if steps:
        steps.append((number, steps[-1][1], "now"))
        title = f"Hypervolume: {steps[-1][1]:.4f} after {number} trainings"
    else:
        title = "Hypervolume: known once the cheapest network is trained"
    figure = _titled_figure(title, "trained (finished or stopped early)", "share of the ideal")
    kept = _thinned(steps)
    figure.add_scatter(
        x=[step[0] for step in kept],
        y=[step[1] for step in kept],
        hovertext=[step[2] for step in kept],
        hovertemplate="%{hovertext}: %{y:.4f}<extra></extra>",
        mode="lines",
        line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
        showlegend=False,
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def _titled_figure(title: str, x_title: str, y_title: str) -> go.Figure:
    figure = empty_figure(x_title, y_title)
    # The dashboard gives it a card of its own size.
    figure.update_layout(height=None, margin={"l": 70, "r": 20, "t": 95, "b": 50})
    figure.update_layout(title={"text": title, "font": {"size": 16}, "x": 0.02, "y": 0.97})
    return figure


def _add_points(figure: go.Figure, points: Sequence[Point], legend: str, **style: object) -> None:
    if not points:
        return
    kept = _thinned(points)
    if len(kept) < len(points):
        legend += f" ({len(kept)} of {len(points):,})"
    figure.add_scatter(
        **_places(points),
        name=legend,
        customdata=[point.number for point in kept],
        hovertemplate="trial %{customdata}: %{y:.4f}, %{x:.4s} FLOPs<br>%{hovertext}<extra></extra>"
        if "hovertext" in style
        else "trial %{customdata}: %{y:.4f}, %{x:.4s} FLOPs<extra></extra>",
        **style,
    )


def _places(points: Sequence[Point]) -> dict[str, list[float]]:
    kept = _thinned(points)
    return {
        "x": [int(float(f"{point.flops:.4g}")) for point in kept],
        "y": [round(point.accuracy, 4) for point in kept],
    }


def _thinned(items: Sequence[T]) -> Sequence[T]:
    """At most MAX_POINTS of them, evenly spaced; the last is always there."""
    return items[::-1][:: max(1, math.ceil(len(items) / MAX_POINTS))][::-1]


def _covers(one: tuple[float, int], other: tuple[float, int]) -> bool:
    """Whether a network is nowhere worse than another in accuracy and FLOPs."""
    return one[0] >= other[0] and one[1] <= other[1]
