"""How the figures look: colours, axes, and what stands where there is nothing to draw yet."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

FLOPS_TITLE = "FLOPs (multiply-adds of one image)"
PARAMS_TITLE = "params (weights and biases)"
COST_TITLES = {"flops": FLOPS_TITLE, "num_params": PARAMS_TITLE}
ACCURACY_TITLE = "validation accuracy (last epoch)"

# Okabe-Ito colours, which stay apart for every kind of colour vision.
FRONT_COLOUR = "#d55e00"
FINISHED_COLOUR = "#0072b2"
STOPPED_COLOUR = "#9aa3ab"
FAILED_COLOUR = "#cc79a7"
OTHER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4b5563")
TEXT_COLOUR = "#1f2933"
GRID_COLOUR = "#e6e9ec"

HEIGHT = 460  # pixels
LEFT, RIGHT, TOP, BOTTOM = 70, 40, 20, 60  # margins, pixels


def empty_figure(x_title: str, y_title: str, height: int = HEIGHT) -> go.Figure:
    """Axes in the report's style."""
    figure = go.Figure(layout=_layout(height))
    figure.update_xaxes(title_text=x_title, **_AXIS)
    figure.update_yaxes(title_text=y_title, **_AXIS)
    return figure


def in_style(figure: go.Figure, height: int = HEIGHT) -> go.Figure:
    """A figure of several axes, as `make_subplots` gives it, in the report's style."""
    figure.update_layout(_layout(height))
    figure.update_xaxes(**_AXIS)
    figure.update_yaxes(**_AXIS)
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


def with_notice(figure: go.Figure, text: str) -> go.Figure:
    """A figure that has nothing to show says why."""
    figure.add_annotation(
        text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 16}
    )
    figure.update_xaxes(showticklabels=False, ticks="", showgrid=False)
    figure.update_yaxes(showticklabels=False, ticks="", showgrid=False)
    figure.update_layout(height=200)
    return figure


def _layout(height: int) -> dict[str, object]:
    # Without a template the figure is small: the dashboard stores it in pieces.
    return {
        "template": "none",
        "height": height,
        "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": TEXT_COLOUR},
        "modebar": {"orientation": "v"},  # in the margin, beside titles and buttons
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hoverlabel": {"align": "left"},
    }


_AXIS = {
    "gridcolor": GRID_COLOUR,
    "zeroline": False,
    "linecolor": TEXT_COLOUR,
    "ticks": "outside",
}
