"""Learning curves of a study's trials, and the rungs at which trainings could be stopped."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from search.report.style import COLOURS, STATE_TITLES, empty_figure, legend_name, notice, thinned
from search.results.trials import front
from search.training.quality import ACCURACY, QUALITY_NAMES

MOST_CURVES = 250  # of one kind; the front is always complete
_OPACITIES = {"stopped": 0.5, "failed": 0.8, "finished": 0.4}


def learning_curves(
    frame: pd.DataFrame,
    rung_epochs: Sequence[int] = (),
    quality: str = QUALITY_NAMES[ACCURACY],
) -> go.Figure:
    """The quality after every epoch, with the front highlighted and the rungs marked.

    Of each kind at most MOST_CURVES trials are drawn, evenly over the study; the legend says so. A circle
    marks where a training was stopped.
    """
    started = frame[frame["epochs"] > 0]
    if started.empty:
        return notice("No trial has finished an epoch yet")
    figure = empty_figure("epoch", f"validation {quality}")
    stopped = started[started["state"] == "stopped"]
    beside = started[~started["on_front"]]
    for state, title in STATE_TITLES.items():
        rows = beside[beside["state"] == state]
        drawn = thinned(rows, MOST_CURVES)
        look = {"line": {"color": COLOURS[state], "width": 1}, "opacity": _OPACITIES[state]}
        _add_curves(figure, drawn, name=legend_name(title, drawn, rows), **look)
    line = {"color": COLOURS["front"], "width": 1.5}
    _add_curves(figure, front(started), name="Pareto front", line=line, opacity=0.9)
    if not stopped.empty:
        drawn, line = thinned(stopped, MOST_CURVES), {"color": COLOURS["stopped"], "width": 1.5}
        figure.add_scatter(
            x=drawn["epochs"].tolist(),
            y=drawn["last_accuracy"].round(4).tolist(),
            mode="markers",
            marker={"size": 6, "color": "white", "line": line},
            customdata=drawn["number"].tolist(),
            hovertemplate="trial %{customdata} stopped after epoch %{x}: %{y:.4f}<extra></extra>",
            name="stopped here",
        )
    for epoch in rung_epochs:
        count, reached = (stopped["epochs"] == epoch).sum(), (started["epochs"] >= epoch).sum()
        figure.add_vline(
            x=epoch,
            line={"color": COLOURS["text"], "width": 1, "dash": "dot"},
            layer="below",
            annotation={
                "text": f"rung: {count:,} of {reached:,} stopped",
                "font": {"size": 11},
                "bgcolor": "rgba(255, 255, 255, 0.8)",
                "yanchor": "bottom",
            },
            annotation_position="bottom right",
        )
    figure.update_xaxes(range=[0.5, int(started["epochs"].max()) + 0.5], tickformat="d")
    return figure


def _add_curves(figure: go.Figure, rows: pd.DataFrame, **style: object) -> None:
    """Adds all curves as one trace, with gaps of None between them."""
    if rows.empty:
        return
    points: list[tuple[int | float | None, ...]] = []
    for number, curve in zip(rows["number"], rows["curve"], strict=True):
        points += [(epoch, round(value, 4), number) for epoch, value in enumerate(curve, start=1)]
        points += [(None, None, None)]
    epochs, accuracy, numbers = zip(*points, strict=True)
    figure.add_scatter(
        x=epochs,
        y=accuracy,
        customdata=numbers,
        mode="lines+markers",  # a curve of one epoch has no line
        marker={"size": 3},
        hovertemplate="trial %{customdata}, epoch %{x}: %{y:.4f}<extra></extra>",
        **style,
    )
