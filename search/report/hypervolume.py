"""The hypervolume of a study's front: over the trials, and over the time that was worked."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from search.pareto import HypervolumeBounds, running_hypervolume
from search.report.style import FRONT_COLOUR, in_style, with_notice
from search.report.time_use import time_scale, worked_seconds
from search.results.trials import costs_of


def hypervolume_steps(frame: pd.DataFrame, bounds: HypervolumeBounds) -> pd.DataFrame:
    """After which trials the hypervolume changed, in the order in which they ended; and the last one.

    Returns:
        columns: trained (1, 2, ...: finished or stopped early), number (of the trial), hypervolume,
        seconds (of worked time).
    """
    trained = frame[frame["state"].isin(["finished", "stopped"])]
    trained = trained.sort_values(["finished_at", "number"])
    # A stopped trial has no val_accuracy, and so leaves the hypervolume where it was.
    costs = costs_of(trained, bounds.metrics)
    volumes = running_hypervolume(trained["val_accuracy"], costs, bounds)
    steps = pd.DataFrame(
        {
            "trained": np.arange(1, len(trained) + 1),
            "number": trained["number"].to_numpy(),
            "hypervolume": volumes,
            "seconds": worked_seconds(frame, trained["finished_at"]),
        }
    )
    is_step = steps["hypervolume"].diff() != 0  # also the first, whose difference is NaN
    return steps[is_step | (steps["trained"] == len(steps))]


def hypervolume_history(frame: pd.DataFrame, bounds: HypervolumeBounds) -> go.Figure:
    """The hypervolume of the front after every trial that finished or was stopped early.

    Left over the number of trials, right over the time in which at least one training ran.
    """
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    in_style(figure, height=380)
    if bounds.reference_accuracy is None:
        return with_notice(figure, "Known once the cheapest architecture has been trained")
    steps = hypervolume_steps(frame, bounds)
    unit, seconds_per_unit = time_scale(steps["seconds"].max() if len(steps) else 0.0)
    sides = (
        ("trials finished or stopped early", steps["trained"], ":d"),
        (f"{unit} of work (pauses left out)", steps["seconds"] / seconds_per_unit, ":.3g"),
    )
    for col, (title, x, form) in enumerate(sides, start=1):
        figure.add_scatter(
            x=x.round(4).tolist(),
            y=steps["hypervolume"].tolist(),
            mode="lines",
            line={"shape": "hv", "color": FRONT_COLOUR, "width": 2},
            customdata=steps["number"].tolist(),
            hovertemplate=(
                f"after trial %{{customdata}} (%{{x{form}}}): %{{y:.4f}}<extra></extra>"
            ),
            showlegend=False,
            row=1,
            col=col,
        )
        figure.update_xaxes(title_text=title, rangemode="tozero", row=1, col=col)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="hypervolume (share of the ideal)", row=1, col=1)
    return figure
