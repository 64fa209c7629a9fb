"""Where a study's time went: trainings at each moment, and the use of the slots' seconds."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hgcnet.arrays import Floats
from search.report.style import COLOURS, empty_panels, notice
from search.study.attributes import INTERRUPTED, UNPLANNED

# The uses that `time_use` counts, with their names and colours in the figure.
_USES = {
    "finished": ("training that finished", COLOURS["finished"]),
    "stopped": ("training that was stopped early", COLOURS["stopped"]),
    "failed": ("training that failed", COLOURS["failed"]),
    "other": ("starting and waiting", COLOURS["front"]),
    "idle": ("idle slots", COLOURS["grid"]),
}
_MOMENTS = 400  # intervals of the working time, in each of which trainings are averaged


def worked_seconds(frame: pd.DataFrame, moments: pd.Series) -> Floats:
    """The wall time in which at least one training ran, up to each of the moments (n,), in seconds.

    Pauses of the study are left out, and interrupted trials, whose end is unknown.
    """
    timeline = _timeline(frame)
    worked: Floats = np.interp(_to_seconds(moments), timeline["moment"], timeline["worked"])
    return worked


def time_use(frame: pd.DataFrame) -> pd.Series:
    """Seconds of all slots by their use; a slot is a place for one training at a time.

    There are as many slots as trainings that ever ran at once. `other` is the time of trials outside their
    training: starting, waiting, storing. `idle` is the time without a trial.
    """
    rows = _spans(frame)
    spans = rows["end"] - rows["begin"]
    # A training that resumed from a checkpoint also counts the seconds of the earlier trial.
    trained = rows["seconds"].fillna(0).clip(upper=spans)
    use = trained.groupby(rows["state"]).sum().reindex(list(_USES), fill_value=0.0)
    use["other"] = (spans - trained).sum()
    worked = _timeline(frame)["worked"].iloc[-1]
    use["idle"] = max(0.0, slots(frame) * worked - spans.sum())
    return use


def time_figure(frame: pd.DataFrame) -> go.Figure:
    """The use of the slots' time, and below it the trainings at each moment."""
    use = time_use(frame)
    if not use.sum():
        return notice("No training has ended yet")
    figure = empty_panels(rows=2, cols=1, row_heights=[0.2, 0.8], vertical_spacing=0.22)
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

    timeline = _timeline(frame)
    edges = np.linspace(0, timeline["worked"].iloc[-1], _MOMENTS + 1)
    trained = np.interp(edges, timeline["worked"], timeline["trained"])
    unit, seconds_per_unit = time_scale(edges[-1])
    figure.add_scatter(
        x=(edges / seconds_per_unit).round(5).tolist(),
        y=[*(np.diff(trained) / np.diff(edges)).round(2).tolist(), 0],
        mode="lines",
        line={"shape": "hv", "color": COLOURS["finished"], "width": 1},
        fill="tozeroy",
        fillcolor="rgba(0, 114, 178, 0.2)",
        hovertemplate="%{y:.1f} at once<extra></extra>",
        name="trainings at once",
        showlegend=False,
        row=2,
        col=1,
    )
    figure.update_xaxes(title_text=f"{unit} of working time (without pauses)", row=2, col=1)
    figure.update_yaxes(title_text="trainings at once", rangemode="tozero", row=2, col=1)
    return figure


def time_scale(seconds: float) -> tuple[str, float]:
    """The unit that suits a duration, and its length in seconds."""
    units = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))
    return next((unit for unit in units if seconds >= 2 * unit[1]), ("seconds", 1.0))


def slots(frame: pd.DataFrame) -> int:
    """The most trainings that ran at once."""
    return int(_timeline(frame)["running"].max())


def _spans(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials with a known beginning and end, in seconds (columns begin, end)."""
    is_known = frame["started_at"].notna() & frame["finished_at"].notna()
    rows = frame[is_known & ~frame["failure"].isin([INTERRUPTED, UNPLANNED])]
    return rows.assign(begin=_to_seconds(rows["started_at"]), end=_to_seconds(rows["finished_at"]))


def _to_seconds(moments: pd.Series) -> Floats:
    seconds: Floats = moments.to_numpy("datetime64[us]").astype(np.int64) / 1e6
    return seconds


def _timeline(frame: pd.DataFrame) -> pd.DataFrame:
    """Totals at every moment in which a trial begins or ends, in order; the first row, at 0, is zero.

    Columns: moment (seconds), running (trials, from then on), worked (seconds until then in which at least
    one ran), trained (seconds of all trials until then). All but `running` are linear in between.
    """
    rows = _spans(frame)
    changes = pd.concat([pd.Series(1, rows["begin"]), pd.Series(-1, rows["end"])])
    running = pd.concat([pd.Series([0], [0.0]), changes.groupby(level=0).sum()]).cumsum()
    lengths = np.diff(running.index, append=running.index[-1])
    before = pd.DataFrame({"worked": lengths * (running > 0), "trained": lengths * running})
    return before.cumsum().shift(fill_value=0.0).assign(moment=running.index, running=running)
