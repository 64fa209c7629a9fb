"""Learning curves of a study's trials, and the rungs at which trainings could be stopped."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.style import (
    FAILED_COLOUR,
    FINISHED_COLOUR,
    FRONT_COLOUR,
    STOPPED_COLOUR,
    TEXT_COLOUR,
    empty_figure,
    with_notice,
)
from search.results.trials import front

MOST_CURVES = 250  # of one kind, but for the front, which is drawn whole


def learning_curves(frame: pd.DataFrame, rung_epochs: Sequence[int] = ()) -> go.Figure:
    """Validation accuracy after every epoch; the front's trials stand out, the rungs are marked.

    Of more than MOST_CURVES trials of one kind, so many are drawn, evenly over the study; the legend
    says so. A circle marks where a curve was stopped.
    """
    figure = empty_figure("epoch", "validation accuracy")
    started = frame[frame["epochs"] > 0]
    if started.empty:
        return with_notice(figure, "No trial has finished an epoch yet")
    is_finished = started["state"] == "finished"
    groups = [
        ("stopped early", started[started["state"] == "stopped"], STOPPED_COLOUR, 1.0, 0.5),
        ("failed", started[started["state"] == "failed"], FAILED_COLOUR, 1.0, 0.8),
        ("finished", started[is_finished & ~started["on_front"]], FINISHED_COLOUR, 1.0, 0.4),
        ("Pareto front", front(started), FRONT_COLOUR, 1.5, 0.9),
    ]
    for name, rows, colour, width, opacity in groups:
        drawn = rows if name == "Pareto front" else _thinned(rows)
        if len(drawn) < len(rows):
            name = f"{name} ({len(drawn)} of {len(rows):,} drawn)"
        line = {"color": colour, "width": width}
        _add_curves(figure, drawn, name=name, line=line, opacity=opacity)
    _add_stops(figure, _thinned(started[started["state"] == "stopped"]))
    _add_rungs(figure, started, rung_epochs)
    figure.update_xaxes(range=[0.5, int(started["epochs"].max()) + 0.5], tickformat="d")
    return figure


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    if len(rows) <= MOST_CURVES:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, MOST_CURVES).round().astype(np.int64)]


def _add_curves(figure: go.Figure, rows: pd.DataFrame, **style: object) -> None:
    """All curves as one trace: a gap of None parts one from the next."""
    if rows.empty:
        return
    epochs: list[int | None] = []
    accuracy: list[float | None] = []
    numbers: list[int | None] = []
    for number, curve in zip(rows["number"], rows["curve"], strict=True):
        epochs += [*range(1, len(curve) + 1), None]
        accuracy += [*(round(value, 4) for value in curve), None]
        numbers += [number] * len(curve) + [None]
    figure.add_scatter(
        x=epochs,
        y=accuracy,
        customdata=numbers,
        mode="lines+markers",  # a curve of one epoch has no line
        marker={"size": 3},
        hovertemplate="trial %{customdata}, epoch %{x}: %{y:.4f}<extra></extra>",
        **style,
    )


def _add_stops(figure: go.Figure, stopped: pd.DataFrame) -> None:
    if stopped.empty:
        return
    figure.add_scatter(
        x=stopped["epochs"].tolist(),
        y=stopped["last_accuracy"].round(4).tolist(),
        mode="markers",
        marker={
            "size": 6,
            "color": "white",
            "line": {"color": STOPPED_COLOUR, "width": 1.5},
        },
        customdata=stopped["number"].tolist(),
        hovertemplate="trial %{customdata} stopped after epoch %{x}: %{y:.4f}<extra></extra>",
        name="stopped here",
    )


def _add_rungs(figure: go.Figure, started: pd.DataFrame, rung_epochs: Sequence[int]) -> None:
    stopped = started.loc[started["state"] == "stopped", "epochs"]
    for epoch in rung_epochs:
        count = int((stopped == epoch).sum())
        reached = int((started["epochs"] >= epoch).sum())
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
