"""What the networks of a front have in common: groups, growth, depth and SE against FLOPs."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hgcnet.arrays import Floats
from search.report.style import COLOURS, COST_AXIS, STAIRS, empty_panels, notice
from search.results.trials import front

TRAIT_TITLES = {"groups": "groups", "growth": "growth", "depth": "depth", "se": "SE"}
_SE_CODES = {"none": 0.0, "last": 1.0, "all": 2.0}


def stage_values(column: pd.Series) -> Floats:
    """A column of stages like "7-7-6" or "none-none-all" as numbers (n, stages).

    SE is 0, 1, 2 for none, last, all. NaN where a row has no architecture, or fewer stages.
    """
    rows = [text.split("-") if isinstance(text, str) else [] for text in column]
    values = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for index, row in enumerate(rows):
        values[index, : len(row)] = [_SE_CODES.get(part, part) for part in row]
    return values


def network_traits(frame: pd.DataFrame) -> pd.DataFrame:
    """Each trial's network in four numbers, for colouring: groups, depth, growth, SE.

    Groups and growth are means over the modules, depth is the number of modules, and SE the share of
    modules with it. NaN where a row has no architecture.
    """
    depth, se = stage_values(frame["depth"]), stage_values(frame["se"])
    modules = np.nansum(depth, axis=1)
    modules[modules == 0] = np.nan
    sums = {
        "groups": stage_values(frame["groups"]) * depth,
        "depth": depth,
        "growth": stage_values(frame["growth"]) * depth,
        "SE": np.where(se == 1, 1, depth * se / 2),  # "last" is one module
    }
    traits = pd.DataFrame(
        {name: np.nansum(values, axis=1) / modules for name, values in sums.items()},
        index=frame.index,
    )
    return traits.assign(depth=modules).round(3)


def front_traits(frame: pd.DataFrame) -> go.Figure:
    """Small multiples: a row per trait, a column per stage, against the FLOPs of the front.

    A dashed line is the mean of all trained networks, on the front or not.
    """
    rows = front(frame)
    if rows.empty:
        return notice("No trial has finished yet")
    trained = frame[frame["state"].isin(["finished", "stopped"])]
    stages = stage_values(rows["depth"]).shape[1]
    figure = empty_panels(
        680,
        rows=len(TRAIT_TITLES),
        cols=stages,
        shared_xaxes="all",
        shared_yaxes=True,
        column_titles=[f"stage {stage + 1}" for stage in range(stages)],
        horizontal_spacing=0.03,
        vertical_spacing=0.04,
    )
    for row, (trait, title) in enumerate(TRAIT_TITLES.items(), start=1):
        means = np.nanmean(stage_values(trained[trait]), axis=0)
        for stage, values in enumerate(stage_values(rows[trait]).T):
            panel = {"row": row, "col": stage + 1}
            figure.add_scatter(
                x=rows["flops"].tolist(),
                y=values.tolist(),
                mode="lines+markers",
                line=STAIRS | {"width": 1},
                marker={"color": COLOURS["front"], "size": 6},
                customdata=rows[["number", trait]].to_numpy().tolist(),
                hovertemplate="trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
                showlegend=False,
                **panel,
            )
            line = {"color": COLOURS["finished"], "width": 1, "dash": "dash"}
            figure.add_hline(y=round(means[stage], 3), line=line, **panel)
        figure.update_yaxes(title_text=title, row=row, col=1)
    figure.update_yaxes(rangemode="tozero")
    se_axis = {"tickvals": list(_SE_CODES.values()), "range": [-0.3, 2.3]}
    figure.update_yaxes(ticktext=list(_SE_CODES), row=len(TRAIT_TITLES), **se_axis)
    figure.update_xaxes(**COST_AXIS)
    figure.update_xaxes(title_text="FLOPs", row=len(TRAIT_TITLES))
    figure.update_layout(margin={"t": 40})
    return figure
