"""The two small graphs that a running study keeps in Optuna Dashboard.

A sampler may read all that is kept there at each ask: few points are drawn, and numbers are rounded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import plotly.graph_objects as go

from search.pareto import COST_NAMES, HypervolumeBounds, running_hypervolume
from search.report.style import (
    ACCURACY_TITLE,
    COST_TITLES,
    FAILED_COLOUR,
    FINISHED_COLOUR,
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
    num_params: int
    estimate: float | None = None  # of the accuracy, without one seed's noise; of finished trials
    on_front: bool
    name: str  # that somebody gave it; empty: it comes from the sampler
    architecture: str  # in one line

    @property
    def judged_accuracy(self) -> float:
        """What decides whether it lies on the front."""
        return self.accuracy if self.estimate is None else self.estimate


def pareto_graph(points: Sequence[Point], x: str = "flops") -> go.Figure:
    """Accuracy against FLOPs or `num_params`: the front as a staircase, and what else was measured.

    The front is drawn at its estimates, where there are any, and the other trials at what they measured. A front of both costs is no staircase: its networks are points.
    """
    front = sorted(
        (p for p in points if p.on_front), key=lambda p: (getattr(p, x), p.judged_accuracy)
    )
    title = f"Pareto front: {len(front)} networks"
    figure = _titled_figure(title, COST_TITLES[x], ACCURACY_TITLE)
    figure.update_xaxes(type="log", tickformat="~s", exponentformat="SI", dtick="D2")
    beside = [point for point in points if not point.on_front]
    for state, legend, symbol, colour in (
        ("stopped", "stopped early", "circle-open", STOPPED_COLOUR),
        ("failed", "failed", "x-thin-open", FAILED_COLOUR),
        ("finished", "finished", "circle", FINISHED_COLOUR),
    ):
        style = {"mode": "markers", "marker": {"symbol": symbol, "color": colour, "size": 6}}
        _add_points(figure, [p for p in beside if p.state == state], x, legend, **style)
    heights = [point.judged_accuracy for point in front]
    is_staircase = all(low <= high for low, high in pairwise(heights))
    _add_points(
        figure,
        front,
        x,
        "front",
        hovertext=[_of_front(point) for point in _thinned(front)],
        mode="lines+markers" if is_staircase else "markers",
        # A budget between two points buys the accuracy of the cheaper one.
        line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
        marker={"color": FRONT_COLOUR, "size": 8},
    )
    named = [point for point in points if point.name]
    figure.add_scatter(
        **_places(named, x),
        text=[point.name for point in _thinned(named)],
        mode="text",
        textposition="bottom center",
        textfont={"size": 11, "color": TEXT_COLOUR},
        hoverinfo="skip",
        showlegend=False,
    )
    return figure


def hypervolume_graph(trained: Sequence[Point], bounds: HypervolumeBounds) -> go.Figure:
    """The hypervolume where it rose.

    Args:
        trained: what finished or was stopped early, in the order in which it ended.
    """
    steps: list[tuple[int, float, str]] = []
    if bounds.reference_accuracy is not None and any(p.state == "finished" for p in trained):
        accuracy = [p.accuracy if p.state == "finished" else np.nan for p in trained]
        costs = np.array([[getattr(p, metric) for metric in bounds.metrics] for p in trained])
        volumes = running_hypervolume(accuracy, costs, bounds).round(5)
        rises = np.flatnonzero(np.diff(volumes, prepend=-1.0)).tolist()
        steps = [(i + 1, float(volumes[i]), f"trial {trained[i].number}") for i in rises]
    if steps:
        steps.append((len(trained), steps[-1][1], "now"))
        title = f"Hypervolume: {steps[-1][1]:.4f} after {len(trained)} trainings"
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


def _add_points(
    figure: go.Figure, points: Sequence[Point], x: str, legend: str, **style: object
) -> None:
    if not points:
        return
    kept = _thinned(points)
    if len(kept) < len(points):
        legend += f" ({len(kept)} of {len(points):,})"
    more = "<br>%{hovertext}" if "hovertext" in style else ""
    figure.add_scatter(
        **_places(points, x),
        name=legend,
        customdata=[point.number for point in kept],
        hovertemplate=f"trial %{{customdata}}: %{{y:.4f}}, %{{x:.4s}} {COST_NAMES[x]}{more}"
        "<extra></extra>",
        **style,
    )


def _places(points: Sequence[Point], x: str) -> dict[str, list[float]]:
    kept = _thinned(points)
    return {
        "x": [int(float(f"{getattr(point, x):.4g}")) for point in kept],
        "y": [round(p.judged_accuracy if p.on_front else p.accuracy, 4) for p in kept],
    }


def _of_front(point: Point) -> str:
    if point.estimate is None:
        return point.architecture
    return f"estimated; measured {point.accuracy:.4f}<br>{point.architecture}"


def _thinned(items: Sequence[T]) -> Sequence[T]:
    """At most MAX_POINTS of them, evenly spaced; the last is always there."""
    return items[::-1][:: max(1, math.ceil(len(items) / MAX_POINTS))][::-1]
