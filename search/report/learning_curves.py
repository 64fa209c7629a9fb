"""Learning curves of a study's trials, and the rungs at which trainings could be stopped."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from search.report.style import (
    FAILED_COLOUR,
    FINISHED_COLOUR,
    FRONT_COLOUR,
    STOPPED_COLOUR,
    TEXT_COLOUR,
    empty_figure,
    legend_name,
    notice,
    thinned,
)
from search.results.trials import front

MOST_CURVES = 250  # of one kind, but for the front, which is drawn whole


def learning_curves(frame: pd.DataFrame, rung_epochs: Sequence[int] = ()) -> go.Figure:
    """Validation accuracy after every epoch; the front's trials stand out, the rungs are marked.

    Of more than MOST_CURVES trials of one kind, so many are drawn, evenly over the study; the legend
    says so. A circle marks where a curve was stopped.
    """
    started = frame[frame["epochs"] > 0]
    if started.empty:
        return notice("No trial has finished an epoch yet")
    figure = empty_figure("epoch", "validation accuracy")
    stopped = started[started["state"] == "stopped"]
    beside = started[(started["state"] == "finished") & ~started["on_front"]]
    for name, rows, most, line, opacity in (
        ("stopped early", stopped, MOST_CURVES, {"color": STOPPED_COLOUR, "width": 1}, 0.5),
        (
            "failed",
            started[started["state"] == "failed"],
            MOST_CURVES,
            {"color": FAILED_COLOUR, "width": 1},
            0.8,
        ),
        ("finished", beside, MOST_CURVES, {"color": FINISHED_COLOUR, "width": 1}, 0.4),
        ("Pareto front", front(started), None, {"color": FRONT_COLOUR, "width": 1.5}, 0.9),
    ):
        drawn = thinned(rows, most)
        name = legend_name(name, drawn, rows)
        _add_curves(figure, drawn, name=name, line=line, opacity=opacity)
    if not stopped.empty:
        drawn = thinned(stopped, MOST_CURVES)
        figure.add_scatter(
            x=drawn["epochs"].tolist(),
            y=drawn["last_accuracy"].round(4).tolist(),
            mode="markers",
            marker={"size": 6, "color": "white", "line": {"color": STOPPED_COLOUR, "width": 1.5}},
            customdata=drawn["number"].tolist(),
            hovertemplate="trial %{customdata} stopped after epoch %{x}: %{y:.4f}<extra></extra>",
            name="stopped here",
        )
    for epoch in rung_epochs:
        count, reached = (stopped["epochs"] == epoch).sum(), (started["epochs"] >= epoch).sum()
        figure.add_vline(
            x=epoch,
            line={"color": TEXT_COLOUR, "width": 1, "dash": "dot"},
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
    """All curves as one trace: a gap of None parts one from the next."""
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
