"""Accuracy against FLOPs or params: the Pareto plots of a study and of retrained networks."""

from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.pareto import COST_NAMES
from search.report.style import (
    COLOURS,
    COST_AXIS,
    COST_TITLES,
    STAIRS,
    STATE_TITLES,
    empty_figure,
    legend_name,
    names_beside,
    notice,
    thinned,
)
from search.report.traits import network_traits
from search.results.trials import front, judged_accuracy
from search.training.quality import ACCURACY, QUALITY_NAMES

_COLOUR_TITLES = {
    "groups": "groups,<br>mean of the<br>modules",
    "depth": "depth:<br>modules",
    "growth": "growth,<br>mean of the<br>modules",
    "SE": "SE: share<br>of the<br>modules",
}
_SYMBOLS = {"stopped": "circle-open", "failed": "x-thin-open", "finished": "circle"}
_TEXTS = ("architecture", "origin", "failure")


def pareto_figure(
    frame: pd.DataFrame,
    x: str = "flops",
    most: int | None = None,
    quality: str = QUALITY_NAMES[ACCURACY],
) -> go.Figure:
    """Quality against FLOPs or `num_params`: the front as a staircase, and all measured trials.

    A front by both costs has points and no staircase. The front is drawn at its estimated accuracies if the
    frame has them, every trial at its measured accuracy; stopped and failed ones at their last. Trials that
    did not come from the sampler have a ring with their name. The `customdata` of every trace are the
    numbers of its trials.

    Args:
        frame: the trials, as `search.results.trials.to_frame` gives them.
        most: most trials of each kind to draw, for a small figure with short hover texts. The legend then
            tells how many there are. None draws all.
        quality: name of the study's quality metric.
    """
    measured = frame[frame["last_accuracy"].notna() & frame[x].notna()]
    if measured.empty:
        return notice(f"No trial has measured its {quality} yet")
    title = f"validation {quality} (last epoch)"
    figure = empty_figure(COST_TITLES[x], title, **COST_AXIS)
    best = front(measured).sort_values(x, kind="stable")
    heights = judged_accuracy(best)
    given = measured[measured["origin"].notna()].sort_values(x)

    def add(name: str, rows: pd.DataFrame, **style: object) -> None:
        if rows.empty:
            return
        drawn = thinned(rows, most)
        hover = f"trial %{{customdata}}: %{{y:.4f}}, %{{x:.4s}} {COST_NAMES[x]}"
        if most is None:
            style["hovertext"] = [_hover_text(row, quality) for row in drawn.to_dict("records")]
            hover = "%{hovertext}"
        elif rows is best:
            measured_as = drawn["last_accuracy"].map("{:.4f}".format)
            style["hovertext"] = (measured_as + "<br>" + drawn["architecture"]).tolist()
            hover += "<br>measured %{hovertext}"
        if rows is given:
            # "start_with: hgcnet_42_g4" -> "hgcnet_42_g4"; "cheapest" stays.
            style |= names_beside([text.partition(": ")[2] or text for text in drawn["origin"]])
        accuracy = heights if rows is best else rows["last_accuracy"]
        figure.add_scatter(
            x=drawn[x].tolist(),
            y=accuracy[drawn.index].round(4).tolist(),
            name=legend_name(name, drawn, rows),
            customdata=drawn["number"].tolist(),
            hovertemplate=f"{hover}<extra></extra>",
            **({"mode": "markers"} | style),
        )

    # Trials of the front with an estimate are drawn twice: also as measured.
    beside = measured[~measured["on_front"] | measured["estimated_accuracy"].notna()]
    for state, title in STATE_TITLES.items():
        marker = {"symbol": _SYMBOLS[state], "color": COLOURS[state], "size": 7}
        add(title, beside[beside["state"] == state], marker=marker)
    is_estimated = best["estimated_accuracy"].notna().any()
    add(
        "Pareto front, as estimated" if is_estimated else "Pareto front",
        best,
        mode="lines+markers" if heights.is_monotonic_increasing else "markers",
        line=STAIRS,  # a budget between two points buys the accuracy of the cheaper one
        marker={"color": COLOURS["front"], "size": 9},
    )
    ring = {"symbol": "circle-open", "color": COLOURS["text"], "size": 13}
    add("given by name", given, mode="markers+text", marker=ring)
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
    bar = {"thickness": 14, "y": 0, "yanchor": "bottom", "len": 0.45}  # below the mode bar
    figure.update_layout(
        coloraxis={"colorscale": "Viridis", "showscale": False, "colorbar": bar},
        updatemenus=[menu | place],
    )
    return figure


def accuracies(
    networks: pd.DataFrame, cost: str = "flops", quality: str = QUALITY_NAMES[ACCURACY]
) -> go.Figure:
    """Mean quality against FLOPs or `num_params`, with its 95 % interval, the front as a staircase.

    The staircase omits networks that are on the front only for another cost. `networks` is from
    `search.retraining.compare.summarise_networks`.
    """
    title = f"mean validation {quality}, with its 95 % interval"
    figure = empty_figure(COST_TITLES[cost], title, **COST_AXIS)
    rows = networks.sort_values(cost)
    best = rows[rows["on_front"]]
    best = best[best["mean"] >= best["mean"].cummax()]
    figure.add_scatter(
        x=best[cost].tolist(),
        y=best["mean"].tolist(),
        mode="lines",
        line=STAIRS,
        name="front of the means",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=rows[cost].tolist(),
        y=rows["mean"].tolist(),
        error_y={"array": (rows["high"] - rows["mean"]).fillna(0).tolist(), "thickness": 1.5},
        mode="markers+text",
        **names_beside(rows["name"].tolist()),
        hovertext="<b>" + rows["name"].map(escape) + "</b><br>" + rows["architecture"].map(escape),
        hovertemplate="%{hovertext}<br>%{y:.4f}, %{x:.4s}<extra></extra>",
        marker={"size": 8, "color": COLOURS["finished"]},
        name="networks",
    )
    return figure


def _button(label: str, colours: list[object], layout: dict[str, object]) -> dict[str, object]:
    return {"label": label, "method": "update", "args": [{"marker.color": colours}, layout]}


def _hover_text(row: dict[str, Any], quality: str) -> str:
    epochs = "1 epoch" if row["epochs"] == 1 else f"{row['epochs']} epochs"
    when = "" if row["state"] == "finished" else f" after {epochs}"
    texts = {name: "" if pd.isna(row[name]) else escape(row[name]) for name in _TEXTS}
    estimate, params = row["estimated_accuracy"], row["num_params"]
    lines = [
        f"<b>trial {row['number']}</b>, {row['state']}{when}",
        texts["architecture"],
        f"measured {quality} {row['last_accuracy']:.4f}, {row['flops'] / 1e6:.2f}M FLOPs",
        "" if pd.isna(estimate) else f"estimated {quality} {estimate:.4f}",
        "" if pd.isna(params) else f"{params / 1e6:.3f}M params",
        texts["origin"],
        texts["failure"],
    ]
    return "<br>".join(line for line in lines if line)
