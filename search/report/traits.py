"""What the networks of a front have in common: groups, growth, depth and SE along the FLOPs."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hgcnet.arrays import Floats
from search.report.style import (
    FINISHED_COLOUR,
    FRONT_COLOUR,
    empty_figure,
    in_style,
    with_flops_axis,
    with_notice,
)
from search.results.trials import front

_SE_CODES = {"none": 0.0, "last": 1.0, "all": 2.0}

_TRAITS = {"groups": "groups", "growth": "growth", "depth": "depth", "se": "SE"}


def stage_values(column: pd.Series) -> Floats:
    """A column of stages like "7-7-6" or "none-none-all" as numbers (n, stages).

    SE is 0, 1, 2 for none, last, all. NaN stands where a row has no architecture, or fewer stages.
    """
    rows = [text.split("-") if isinstance(text, str) else [] for text in column]
    values = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for index, row in enumerate(rows):
        values[index, : len(row)] = [
            _SE_CODES[part] if part in _SE_CODES else float(part) for part in row
        ]
    return values


def network_traits(frame: pd.DataFrame) -> pd.DataFrame:
    """Each trial's network in four numbers, for colouring: groups, depth, growth, SE.

    Groups and growth are means over the modules, depth is the number of modules, and SE the share of
    the modules that have it.
    """
    depth = stage_values(frame["depth"])
    modules = np.nansum(depth, axis=1)
    modules[modules == 0] = np.nan

    def mean(values: Floats) -> Floats:
        result: Floats = np.nansum(values * depth, axis=1) / modules
        return result

    se = stage_values(frame["se"])
    share = np.where(
        se == 1, 1 / np.where(depth > 0, depth, np.nan), se / 2
    )  # "last" is one module
    columns = {
        "groups": mean(stage_values(frame["groups"])),
        "depth": modules,
        "growth": mean(stage_values(frame["growth"])),
        "SE": mean(share),
    }
    return pd.DataFrame(columns, index=frame.index).round(3)


def front_traits(frame: pd.DataFrame) -> go.Figure:
    """Small multiples: a row a trait, a column a stage, each along the front's FLOPs.

    A dashed line is the mean of all trained networks, whether on the front or not.
    """
    rows = front(frame)
    if rows.empty:
        return with_notice(empty_figure("", ""), "No trial has finished yet")
    trained = frame[frame["state"].isin(["finished", "stopped"])]
    stages = stage_values(rows["depth"]).shape[1]
    figure = make_subplots(
        rows=len(_TRAITS),
        cols=stages,
        shared_xaxes="all",
        shared_yaxes=True,
        column_titles=[f"stage {stage + 1}" for stage in range(stages)],
        horizontal_spacing=0.03,
        vertical_spacing=0.04,
    )
    with_flops_axis(in_style(figure, height=680))
    for row, (column, title) in enumerate(_TRAITS.items(), start=1):
        _add_stages(figure, rows, trained, column, row)
        figure.update_yaxes(rangemode="tozero", row=row)
        figure.update_yaxes(title_text=title, row=row, col=1)
    se_axis = {"tickvals": list(_SE_CODES.values()), "range": [-0.3, 2.3]}
    figure.update_yaxes(ticktext=list(_SE_CODES), row=len(_TRAITS), **se_axis)
    figure.update_xaxes(title_text="FLOPs", row=len(_TRAITS))
    figure.update_layout(margin={"t": 40})
    return figure


def _add_stages(
    figure: go.Figure, rows: pd.DataFrame, trained: pd.DataFrame, column: str, row: int
) -> None:
    means = np.nanmean(stage_values(trained[column]), axis=0)
    for stage, values in enumerate(stage_values(rows[column]).T):
        figure.add_scatter(
            x=rows["flops"].tolist(),
            y=values.tolist(),
            mode="lines+markers",
            line={"color": FRONT_COLOUR, "width": 1, "shape": "hv"},
            marker={"color": FRONT_COLOUR, "size": 6},
            customdata=rows[["number", column]].to_numpy().tolist(),
            hovertemplate="trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
            showlegend=False,
            row=row,
            col=stage + 1,
        )
        figure.add_hline(
            y=round(means[stage], 3),
            line={"color": FINISHED_COLOUR, "width": 1, "dash": "dash"},
            row=row,
            col=stage + 1,
        )
