"""Where a study's time went: trainings at each moment, and what the slots' seconds came to."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hgcnet.arrays import Floats
from search.report.style import (
    FAILED_COLOUR,
    FINISHED_COLOUR,
    FRONT_COLOUR,
    GRID_COLOUR,
    STOPPED_COLOUR,
    empty_figure,
    in_style,
    with_notice,
)
from search.study.attributes import INTERRUPTED, UNPLANNED

# What `time_use` tells apart, as the figure names and colours it.
_USES = {
    "finished": ("training that finished", FINISHED_COLOUR),
    "stopped": ("training that was stopped early", STOPPED_COLOUR),
    "failed": ("training that failed", FAILED_COLOUR),
    "other": ("starting and waiting", FRONT_COLOUR),
    "idle": ("idle slots", GRID_COLOUR),
}
_MOMENTS = 400  # intervals of the worked time, over each of which the trainings are averaged


def worked_seconds(frame: pd.DataFrame, moments: pd.Series) -> Floats:
    """The wall time in which at least one training ran, up to each of the moments (n,), in seconds.

    Pauses of the study are left out. What was interrupted is, too: nobody knows when it ended.
    """
    return _worked_before(_to_seconds(moments), *_merged_spans(_spans(frame)))


def time_use(frame: pd.DataFrame) -> pd.Series:
    """Seconds of all slots by what they were used for; a slot is a place for one training at a time.

    As many slots are counted as trainings ever ran at once. `other` is the time that a trial took and
    did not train: starting, waiting, storing; `idle` had no trial.
    """
    rows = _spans(frame)
    spans = rows["end"] - rows["begin"]
    # A training that went on from a checkpoint counts the seconds of the earlier trial, too.
    trained = rows["seconds"].fillna(0).clip(upper=spans)
    use = {
        state: float(trained[rows["state"] == state].sum())
        for state in ("finished", "stopped", "failed")
    }
    begins, ends = _merged_spans(rows)
    worked = float((ends - begins).sum())
    use["other"] = float((spans - trained).sum())
    use["idle"] = max(0.0, _most_at_once(rows) * worked - float(spans.sum()))
    return pd.Series(use)


def time_figure(frame: pd.DataFrame) -> go.Figure:
    """What the slots' time was used for, and under it how many trainings ran at each moment."""
    use = time_use(frame)
    if not use.sum():
        return with_notice(empty_figure("", ""), "No training has ended yet")
    figure = make_subplots(rows=2, cols=1, row_heights=[0.2, 0.8], vertical_spacing=0.22)
    in_style(figure)
    unit, seconds_per_unit = time_scale(use.sum())
    for part, (name, colour) in _USES.items():
        share = use[part] / use.sum()
        figure.add_bar(
            x=[use[part] / seconds_per_unit],
            y=[""],
            orientation="h",
            marker={"color": colour},
            name=name,
            text=f"{share:.0%}" if share > 0.03 else "",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"{name}: %{{x:.3g}} {unit}, {share:.1%}<extra></extra>",
            row=1,
            col=1,
        )
    figure.update_xaxes(title_text=f"{unit} of all slots", row=1, col=1)
    figure.update_yaxes(ticks="", showgrid=False, row=1, col=1)
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})

    edges, running = _running(_spans(frame))
    unit, seconds_per_unit = time_scale(edges[-1])
    figure.add_scatter(
        x=(edges / seconds_per_unit).round(5).tolist(),
        y=[*running.round(2).tolist(), 0],
        mode="lines",
        line={"shape": "hv", "color": FINISHED_COLOUR, "width": 1},
        fill="tozeroy",
        fillcolor="rgba(0, 114, 178, 0.2)",
        hovertemplate="%{y:.1f} at once<extra></extra>",
        name="trainings at once",
        showlegend=False,
        row=2,
        col=1,
    )
    figure.update_xaxes(title_text=f"{unit} of work (pauses left out)", row=2, col=1)
    figure.update_yaxes(title_text="trainings at once", rangemode="tozero", row=2, col=1)
    return figure


def time_scale(seconds: float) -> tuple[str, float]:
    """The unit that suits a duration, and its seconds."""
    units = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))
    return next((unit for unit in units if seconds >= 2 * unit[1]), ("seconds", 1.0))


def slots(frame: pd.DataFrame) -> int:
    """The most trainings that ran at once."""
    return _most_at_once(_spans(frame))


def _spans(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials of which begin and end are known, as seconds (columns begin, end)."""
    is_known = frame["started_at"].notna() & frame["finished_at"].notna()
    rows = frame[is_known & ~frame["failure"].isin([INTERRUPTED, UNPLANNED])]
    return rows.assign(begin=_to_seconds(rows["started_at"]), end=_to_seconds(rows["finished_at"]))


def _to_seconds(moments: pd.Series) -> Floats:
    microseconds: npt.NDArray[np.int64] = moments.to_numpy("datetime64[us]").astype(np.int64)
    return microseconds / 1e6


def _merged_spans(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Begins and ends of the times in which at least one trial ran, in order."""
    order = rows.sort_values("begin")
    begins, ends = order["begin"].to_numpy(), np.maximum.accumulate(order["end"].to_numpy())
    is_new = np.append(True, begins[1:] > ends[:-1])[: len(begins)]
    is_last = np.append(is_new[1:], True)[: len(begins)]
    return begins[is_new], ends[is_last]


def _worked_before(at: Floats, begins: Floats, ends: Floats) -> Floats:
    """The seconds of the spans, merged and in order, that lie before each moment (n,)."""
    if not len(begins):
        return np.zeros_like(at)
    before = np.append(0.0, np.cumsum(ends - begins))
    index = np.maximum(np.searchsorted(begins, at, side="right") - 1, 0)
    return before[index] + np.clip(at - begins[index], 0, (ends - begins)[index])


def _running(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Edges (n + 1,) of intervals of the worked time, and the mean of trainings at once in each (n,)."""
    begins, ends = _merged_spans(rows)
    starts, stops = (
        _worked_before(rows[name].to_numpy(), begins, ends) for name in ("begin", "end")
    )
    edges = np.linspace(0, (ends - begins).sum(), _MOMENTS + 1)
    done = np.clip(edges[:, None] - starts, 0, stops - starts).sum(axis=1)  # seconds of all trials
    return edges, np.diff(done) / np.diff(edges)


def _most_at_once(rows: pd.DataFrame) -> int:
    """At a moment in which one ends and another begins, the first is gone."""
    changes = np.concatenate([rows["end"].to_numpy(), rows["begin"].to_numpy()])
    signs = np.repeat([-1, 1], len(rows))
    order = np.lexsort([signs, changes])
    return int(np.cumsum(signs[order]).max(initial=0))
