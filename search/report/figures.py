"""The plotly figures of a study, drawn from the frame of `search.results`."""

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.pareto import HypervolumeBounds, non_dominated, normalised_hypervolume
from search.results import front

FLOPS_TITLE = "FLOPs (multiply-adds of one image)"
ACCURACY_TITLE = "validation accuracy (last epoch)"

# Okabe-Ito colours, which stay apart for every kind of colour vision.
FRONT_COLOUR = "#d55e00"
FINISHED_COLOUR = "#0072b2"
STOPPED_COLOUR = "#9aa3ab"
FAILED_COLOUR = "#cc79a7"
TEXT_COLOUR = "#1f2933"
GRID_COLOUR = "#e6e9ec"


def pareto(frame: pd.DataFrame) -> go.Figure:
    """Accuracy against FLOPs: the front as a staircase, and every trial that measured an accuracy.

    Stopped and failed trials stand at their last accuracy. Trials that did not come from the sampler
    carry the name of their origin.
    """
    figure = empty_figure(FLOPS_TITLE, ACCURACY_TITLE)
    figure.update_xaxes(type="log", tickformat="~s", exponentformat="SI", dtick="D2")
    measured = frame[frame["last_accuracy"].notna() & frame["flops"].notna()]
    if measured.empty:
        return _with_notice(figure, "No trial has measured an accuracy yet")
    finished = measured[measured["state"] == "finished"]
    groups = [
        ("stopped early", measured[measured["state"] == "stopped"], "circle-open", STOPPED_COLOUR),
        ("failed", measured[measured["state"] == "failed"], "x-thin-open", FAILED_COLOUR),
        ("finished", finished[~finished["on_front"]], "circle", FINISHED_COLOUR),
    ]
    for name, rows, symbol, colour in groups:
        _add_trials(figure, rows, name=name, marker={"symbol": symbol, "color": colour, "size": 7})
    _add_trials(
        figure,
        front(finished),
        name="Pareto front",
        mode="lines+markers",
        # A budget between two points buys the accuracy of the cheaper one.
        line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
        marker={"color": FRONT_COLOUR, "size": 9},
    )
    for _, row in measured[measured["origin"].notna()].iterrows():
        _add_label(figure, row)
    return figure


def hypervolume_history(frame: pd.DataFrame, bounds: HypervolumeBounds) -> go.Figure:
    """The hypervolume of the front after every trial that finished or was stopped early."""
    figure = empty_figure("trials finished or stopped early", "hypervolume (share of the ideal)")
    if bounds.reference_accuracy is None:
        return _with_notice(figure, "Known once the cheapest architecture has been trained")
    trained = frame[frame["state"].isin(["finished", "stopped"])].sort_values(
        ["finished", "number"]
    )
    # A stopped trial has no val_accuracy, and so leaves the hypervolume where it was.
    points = trained[["val_accuracy", "flops"]].to_numpy(dtype=np.float64, na_value=np.nan)
    volumes, best = [], np.empty((0, 2))
    for point in points:
        best = np.vstack([best, point])
        best = best[non_dominated(best * [-1, 1])]
        volumes.append(normalised_hypervolume(best[:, 0], best[:, 1], bounds))
    figure.add_scatter(
        x=list(range(1, len(volumes) + 1)),
        y=volumes,
        mode="lines",
        line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
        customdata=trained["number"].tolist(),
        hovertemplate="after trial %{customdata}: %{y:.4f}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def learning_curves(frame: pd.DataFrame) -> go.Figure:
    """Validation accuracy after every epoch of every trial; the front's trials stand out."""
    figure = empty_figure("epoch", "validation accuracy")
    started = frame[frame["epochs"] > 0]
    if started.empty:
        return _with_notice(figure, "No trial has finished an epoch yet")
    groups = [
        ("stopped early", started[started["state"] == "stopped"], STOPPED_COLOUR, 1),
        ("failed", started[started["state"] == "failed"], FAILED_COLOUR, 1),
        (
            "finished",
            started[(started["state"] == "finished") & ~started["on_front"]],
            FINISHED_COLOUR,
            1,
        ),
        ("Pareto front", front(started), FRONT_COLOUR, 2),
    ]
    for name, rows, colour, width in groups:
        line = {"color": colour, "width": width}
        _add_curves(figure, rows, name=name, line=line, opacity=width / 2)
    return figure


def _add_trials(figure: go.Figure, rows: pd.DataFrame, **style: object) -> None:
    if rows.empty:
        return
    defaults = {
        "mode": "markers",
        "hovertext": [_hover_text(row) for _, row in rows.iterrows()],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    figure.add_scatter(
        x=rows["flops"].tolist(), y=rows["last_accuracy"].tolist(), **(defaults | style)
    )


def _add_label(figure: go.Figure, row: pd.Series) -> None:
    """The name that a trial was given by, under its point."""
    figure.add_annotation(
        text=escape(_origin_name(row["origin"])),
        x=float(np.log10(row["flops"])),  # annotations of a log axis stand at the logarithm
        y=row["last_accuracy"],
        ax=0,
        ay=34,
        standoff=6,
        arrowwidth=1,
        arrowcolor=TEXT_COLOUR,
        font={"size": 12},
        bgcolor="rgba(255, 255, 255, 0.8)",
    )


def _add_curves(figure: go.Figure, rows: pd.DataFrame, **style: object) -> None:
    """All curves as one trace: a gap of None parts one from the next."""
    if rows.empty:
        return
    epochs: list[int | None] = []
    accuracy: list[float | None] = []
    numbers: list[int | None] = []
    for number, curve in zip(rows["number"], rows["curve"], strict=True):
        epochs += [*range(1, len(curve) + 1), None]
        accuracy += [*curve, None]
        numbers += [number] * len(curve) + [None]
    figure.add_scatter(
        x=epochs,
        y=accuracy,
        customdata=numbers,
        mode="lines+markers",
        marker={"size": 3},
        hovertemplate="trial %{customdata}, epoch %{x}: %{y:.4f}<extra></extra>",
        **style,
    )


def _hover_text(row: pd.Series) -> str:
    epochs = "1 epoch" if row["epochs"] == 1 else f"{row['epochs']} epochs"
    when = "" if row["state"] == "finished" else f" after {epochs}"
    lines = [
        f"<b>trial {row['number']}</b>, {row['state']}{when}",
        escape(row["architecture"]) if pd.notna(row["architecture"]) else "",
        f"accuracy {row['last_accuracy']:.4f}, {row['flops'] / 1e6:.2f}M FLOPs",
        f"{row['num_params'] / 1e6:.3f}M params" if pd.notna(row["num_params"]) else "",
        escape(row["origin"]) if pd.notna(row["origin"]) else "",
        escape(row["failure"]) if pd.notna(row["failure"]) else "",
    ]
    return "<br>".join(line for line in lines if line)


def _origin_name(origin: str) -> str:
    """ "start_with: hgcnet_42_g4" -> "hgcnet_42_g4"; "cheapest" stays."""
    return origin.partition(": ")[2] or origin


def empty_figure(x_title: str, y_title: str) -> go.Figure:
    """Axes in the report's style."""
    # Without a template the figure is small: the dashboard stores it in pieces.
    figure = go.Figure(
        layout={
            "template": "none",
            "height": 460,
            "margin": {"l": 70, "r": 40, "t": 20, "b": 60},
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": TEXT_COLOUR},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hoverlabel": {"align": "left"},
        }
    )
    axis = {
        "gridcolor": GRID_COLOUR,
        "zeroline": False,
        "linecolor": TEXT_COLOUR,
        "ticks": "outside",
    }
    figure.update_xaxes(title_text=x_title, **axis)
    figure.update_yaxes(title_text=y_title, **axis)
    return figure


def _with_notice(figure: go.Figure, text: str) -> go.Figure:
    figure.add_annotation(
        text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 16}
    )
    figure.update_xaxes(showticklabels=False, ticks="", showgrid=False)
    figure.update_yaxes(showticklabels=False, ticks="", showgrid=False)
    return figure
