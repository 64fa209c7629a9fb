"""The Pareto plot of a study, drawn from the frame of `search.results.trials.trials`."""

from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.style import (
    ACCURACY_TITLE,
    COST_TITLES,
    FAILED_COLOUR,
    FINISHED_COLOUR,
    FRONT_COLOUR,
    STOPPED_COLOUR,
    TEXT_COLOUR,
    empty_figure,
    names_beside,
    with_flops_axis,
    with_notice,
)
from search.report.traits import network_traits
from search.results.trials import front, judged_accuracy

_COLOUR_SCALE = "Viridis"
_COLOUR_TITLES = {
    "groups": "groups,<br>mean of the<br>modules",
    "depth": "depth:<br>modules",
    "growth": "growth,<br>mean of the<br>modules",
    "SE": "SE: share<br>of the<br>modules",
}


def pareto_figure(frame: pd.DataFrame, x: str = "flops") -> go.Figure:
    """Accuracy against FLOPs or `num_params`: the front as a staircase, and what else was measured.

    A front of both costs is no staircase: its networks are points. The front is drawn at its estimated
    accuracies, if the frame has them, and every trial at what it measured; stopped and failed ones at
    their last accuracy. Trials that did not come from the sampler have a ring with their name. Every
    trace has the trials' numbers as its `customdata`.
    """
    figure = with_flops_axis(empty_figure(COST_TITLES[x], ACCURACY_TITLE))
    measured = frame[frame["last_accuracy"].notna() & frame[x].notna()]
    if measured.empty:
        return with_notice(figure, "No trial has measured an accuracy yet")
    finished = measured[measured["state"] == "finished"]
    is_estimated = finished["estimated_accuracy"].notna()
    plain = finished[is_estimated | ~finished["on_front"]]
    best = front(finished).sort_values(x, kind="stable")
    heights = judged_accuracy(best)
    groups = [
        ("stopped early", measured[measured["state"] == "stopped"], "circle-open", STOPPED_COLOUR),
        ("failed", measured[measured["state"] == "failed"], "x-thin-open", FAILED_COLOUR),
        ("finished", plain, "circle", FINISHED_COLOUR),
    ]
    for name, rows, symbol, colour in groups:
        marker = {"symbol": symbol, "color": colour, "size": 7}
        _add_trials(figure, rows, x, name=name, marker=marker)
    _add_trials(
        figure,
        best,
        x,
        y=heights.tolist(),
        name="Pareto front, as estimated" if is_estimated.any() else "Pareto front",
        mode="lines+markers" if heights.is_monotonic_increasing else "markers",
        # A budget between two points buys the accuracy of the cheaper one.
        line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
        marker={"color": FRONT_COLOUR, "size": 9},
    )
    named = measured[measured["origin"].notna()].sort_values(x)
    _add_trials(
        figure,
        named,
        x,
        name="given by name",
        mode="markers+text",
        marker={"symbol": "circle-open", "color": TEXT_COLOUR, "size": 13},
        **names_beside([_origin_name(origin) for origin in named["origin"]]),
    )
    return figure


def with_colour_selector(figure: go.Figure, frame: pd.DataFrame) -> go.Figure:
    """Gives the figure of `pareto_figure` buttons that colour its points by a trait of the networks."""
    if not figure.data:
        return figure
    traits = network_traits(frame.set_index("number"))
    plain = [trace.marker.color for trace in figure.data]
    buttons = [_button("state", plain, {"coloraxis.showscale": False})]
    for trait, title in _COLOUR_TITLES.items():
        colours = [traits[trait].loc[list(trace.customdata)].tolist() for trace in figure.data]
        shown = {"coloraxis.showscale": True, "coloraxis.colorbar.title.text": title}
        buttons.append(_button(trait, colours, shown))
    figure.update_traces(marker_coloraxis="coloraxis")
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "showactive": True}
    place = {"x": 1, "xanchor": "right", "y": 1.03, "yanchor": "bottom", "pad": {"r": 0, "t": 0}}
    figure.update_layout(
        coloraxis={"colorscale": _COLOUR_SCALE, "showscale": False, "colorbar": {"thickness": 14}},
        updatemenus=[menu | place],
    )
    return figure


def _button(label: str, colours: list[object], layout: dict[str, object]) -> dict[str, object]:
    return {"label": label, "method": "update", "args": [{"marker.color": colours}, layout]}


def _add_trials(figure: go.Figure, rows: pd.DataFrame, x: str, /, **style: object) -> None:
    if rows.empty:
        return
    defaults = {
        "x": rows[x].tolist(),
        "y": rows["last_accuracy"].tolist(),
        "mode": "markers",
        "customdata": rows["number"].tolist(),
        "hovertext": [_hover_text(row) for row in rows.to_dict("records")],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    figure.add_scatter(**(defaults | style))


def _hover_text(row: dict[str, Any]) -> str:
    epochs = "1 epoch" if row["epochs"] == 1 else f"{row['epochs']} epochs"
    when = "" if row["state"] == "finished" else f" after {epochs}"
    lines = [
        f"<b>trial {row['number']}</b>, {row['state']}{when}",
        escape(str(row["architecture"])) if pd.notna(row["architecture"]) else "",
        f"measured accuracy {row['last_accuracy']:.4f}, {row['flops'] / 1e6:.2f}M FLOPs",
        f"estimated accuracy {row['estimated_accuracy']:.4f}"
        if pd.notna(row["estimated_accuracy"])
        else "",
        f"{row['num_params'] / 1e6:.3f}M params" if pd.notna(row["num_params"]) else "",
        escape(str(row["origin"])) if pd.notna(row["origin"]) else "",
        escape(str(row["failure"])) if pd.notna(row["failure"]) else "",
    ]
    return "<br>".join(line for line in lines if line)


def _origin_name(origin: str) -> str:
    """ "start_with: hgcnet_42_g4" -> "hgcnet_42_g4"; "cheapest" stays."""
    return origin.partition(": ")[2] or origin
