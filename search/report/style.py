"""How figures look: colours, axes, and notices where there is nothing to draw yet."""

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

# Okabe-Ito colours, which can be told apart with any colour vision.
COLOURS = {
    "front": "#d55e00",
    "finished": "#0072b2",
    "stopped": "#9aa3ab",
    "failed": "#cc79a7",
    "text": "#1f2933",
    "grid": "#e6e9ec",
}
OTHER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4b5563")

# The states with a measured accuracy, in the order in which they are drawn.
STATE_TITLES = {"stopped": "stopped early", "failed": "failed", "finished": "finished"}
# An x axis of FLOPs or params: logarithmic, with ticks like 20M.
COST_AXIS = {"type": "log", "tickformat": "~s", "exponentformat": "SI", "dtick": "D2"}
STAIRS = {"shape": "hv", "color": COLOURS["front"], "width": 2}  # the line of a front

_AXIS = {
    "gridcolor": COLOURS["grid"],
    "zeroline": False,
    "linecolor": COLOURS["text"],
    "ticks": "outside",
    "automargin": True,
    "title": {"standoff": 12},  # from the labels, however long or turned
}
_LAYOUT = {
    "template": "none",  # a template makes a figure large, and the dashboard stores figures in pieces
    "margin": {"l": 70, "r": 44, "t": 20, "b": 60},
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": COLOURS["text"]},
    "modebar": {"orientation": "v"},  # in the margin, beside titles and buttons
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    "hoverlabel": {"align": "left"},
}


def empty_figure(x_title: str, y_title: str, **x_axis: object) -> go.Figure:
    """Axes in the report's style; `x_axis` as plotly takes it."""
    figure = empty_panels()
    figure.update_xaxes(title_text=x_title, **x_axis)
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
    """An empty figure with a text that says why."""
    figure = empty_panels(height=200)
    figure.add_annotation(
        text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 16}
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def names_beside(names: Sequence[str]) -> dict[str, object]:
    """Options that write names beside the points of a trace, which come from left to right.

    In turn right below and left above: off the staircase of a front, and apart from their neighbours.
    """
    return {
        "text": [escape(name) for name in names],
        "textposition": [("bottom right", "top left")[index % 2] for index in range(len(names))],
        "textfont": {"size": 11, "color": COLOURS["text"]},
        "cliponaxis": False,
    }


def thinned(rows: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """At most `most` of the rows, evenly spread, with the first and the last; None keeps all."""
    if most is None or len(rows) <= most:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def legend_name(name: str, drawn: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The name of a trace, with the number of rows drawn if not all are."""
    return name if len(drawn) == len(rows) else f"{name} ({len(drawn)} of {len(rows):,})"
