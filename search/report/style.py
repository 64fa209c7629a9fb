"""How the figures look: colours, axes, and what stands where there is nothing to draw yet."""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

COST_TITLES = {
    "flops": "FLOPs (multiply-adds of one image)",
    "num_params": "params (weights and biases)",
}
ACCURACY_TITLE = "validation accuracy (last epoch)"

# Okabe-Ito colours, which stay apart for every kind of colour vision.
FRONT_COLOUR = "#d55e00"
FINISHED_COLOUR = "#0072b2"
STOPPED_COLOUR = "#9aa3ab"
FAILED_COLOUR = "#cc79a7"
OTHER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4b5563")
TEXT_COLOUR = "#1f2933"
GRID_COLOUR = "#e6e9ec"

STAIRS = {"shape": "hv", "color": FRONT_COLOUR, "width": 2}  # the line of a front

_AXIS = {"gridcolor": GRID_COLOUR, "zeroline": False, "linecolor": TEXT_COLOUR, "ticks": "outside"}
_LAYOUT = {
    "template": "none",  # a figure with one is large: the dashboard stores figures in pieces
    "margin": {"l": 70, "r": 40, "t": 20, "b": 60},
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": TEXT_COLOUR},
    "modebar": {"orientation": "v"},  # in the margin, beside titles and buttons
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    "hoverlabel": {"align": "left"},
}


def empty_figure(x_title: str, y_title: str) -> go.Figure:
    """Axes in the report's style."""
    figure = empty_panels()
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return figure


def empty_panels(height: int = 460, **grid: object) -> go.Figure:
    """Several axes in the report's style; `height` in pixels, `grid` as `make_subplots` takes it."""
    figure = make_subplots(**grid)
    figure.update_layout(height=height, **_LAYOUT)
    figure.update_xaxes(**_AXIS)
    figure.update_yaxes(**_AXIS)
    return figure


def notice(text: str) -> go.Figure:
    """A figure that has nothing to show, and says why."""
    figure = empty_panels(height=200)
    figure.add_annotation(
        text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 16}
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def with_flops_axis(figure: go.Figure) -> go.Figure:
    """Its x axes, of FLOPs or params, are logarithmic, with ticks like 20M."""
    figure.update_xaxes(type="log", tickformat="~s", exponentformat="SI", dtick="D2")
    return figure


def names_beside(names: Sequence[str]) -> dict[str, object]:
    """What writes names beside the points of a trace, which stand from left to right.

    By turns right below and left above: beside the staircase of a front, and neighbours apart.
    """
    places = ("bottom right", "top left")
    return {
        "text": [escape(name) for name in names],
        "textposition": [places[index % 2] for index in range(len(names))],
        "textfont": {"size": 11, "color": TEXT_COLOUR},
        "cliponaxis": False,
    }


def thinned(rows: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """At most so many of the rows, evenly, with the first and the last; None keeps them all."""
    if most is None or len(rows) <= most:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def legend_name(name: str, drawn: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The name of a trace; says how many of the rows are drawn, if not all."""
    if len(drawn) == len(rows):
        return name
    return f"{name} ({len(drawn)} of {len(rows):,} drawn)"
