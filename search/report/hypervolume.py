"""The hypervolume of a study's front, over the trials and over the working time."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.pareto import HypervolumeBounds, running_hypervolume
from search.report.style import STAIRS, empty_panels, notice, thinned
from search.report.time_use import time_scale, worked_seconds
from search.results.trials import costs_of


def hypervolume_steps(frame: pd.DataFrame, bounds: HypervolumeBounds) -> pd.DataFrame:
    """The trials after which the hypervolume changed, in the order in which they ended, and the last one.

    Returns:
        columns: trained (1, 2, ...: finished or stopped early), number (of the trial), hypervolume,
        seconds (of working time).
    """
    trained = frame[frame["state"].isin(["finished", "stopped"])]
    trained = trained.sort_values(["finished_at", "number"])
    # A stopped trial has no quality, and so does not change the hypervolume.
    costs = costs_of(trained, bounds.metrics)
    steps = pd.DataFrame(
        {
            "trained": np.arange(1, len(trained) + 1),
            "number": trained["number"].to_numpy(),
            "hypervolume": running_hypervolume(trained["quality"], costs, bounds),
            "seconds": worked_seconds(frame, trained["finished_at"]),
        }
    )
    is_step = steps["hypervolume"].diff() != 0  # also the first, whose difference is NaN
    return steps[is_step | (steps["trained"] == len(steps))]


def hypervolume_history(
    frame: pd.DataFrame, bounds: HypervolumeBounds, most: int | None = None
) -> go.Figure:
    """The hypervolume of the front after every trial that finished or was stopped early.

    Left over the number of trials, right over the time in which at least one training ran. With `most` it is
    a small figure: at most so many steps, over the trials only.
    """
    steps = thinned(hypervolume_steps(frame, bounds), most)
    if bounds.reference_accuracy is None or steps.empty:
        return notice("Shown once the cheapest network has been trained")
    unit, seconds_per_unit = time_scale(steps["seconds"].max())
    sides = [
        ("trials finished<br>or stopped early", steps["trained"], ":d"),
        (
            f"{unit} of work<br>(without pauses)",
            steps["seconds"] / seconds_per_unit,
            ":.3g",
        ),
    ][: 2 if most is None else 1]
    figure = empty_panels(380, cols=len(sides), shared_yaxes=True, horizontal_spacing=0.08)
    for col, (title, x, form) in enumerate(sides, start=1):
        figure.add_scatter(
            x=x.round(4).tolist(),
            y=steps["hypervolume"].round(5).tolist(),
            mode="lines",
            line=STAIRS,
            customdata=steps["number"].tolist(),
            hovertemplate=f"after trial %{{customdata}} (%{{x{form}}}): %{{y:.4f}}<extra></extra>",
            showlegend=False,
            row=1,
            col=col,
        )
        figure.update_xaxes(title_text=title, rangemode="tozero", row=1, col=col)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="hypervolume (fraction of the ideal)", row=1, col=1)
    return figure
