"""Which parameters the accuracy depends on, over a study's finished trials."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from sklearn.ensemble import RandomForestRegressor

from hgcnet.arrays import Floats
from search.report.style import COLOURS, empty_figure, notice
from search.report.traits import TRAIT_TITLES, stage_values

LEAST_TRIALS = 20  # finished ones; a forest of fewer says nothing

_NETWORK_COLUMNS = ("stem_channels", "stem_stride", "bottleneck", "compression", "se_reduction")


def parameter_importance(frame: pd.DataFrame) -> pd.DataFrame:
    """The share of the accuracy's variance that each parameter explains; a row a parameter that varies.

    A random forest predicts the accuracy from the parameters. Its mean decrease in impurity (Breiman
    2001; what Optuna's MeanDecreaseImpurityImportanceEvaluator gives) shares out among the parameters
    what the forest explains of trials that it has not seen (out-of-bag R2, at least 0). So the bars
    add up to that, and noise is given to nobody. Optuna's evaluator keeps its forest to itself, and
    with it this check.

    Returns:
        columns: accuracy; at_equal_flops, the same of the accuracy less its linear trend in log
        FLOPs. Index: the parameter. No rows where fewer than LEAST_TRIALS finished.
    """
    finished = frame[frame["state"] == "finished"]
    parameters = _parameters(finished)
    columns = ["accuracy", "at_equal_flops"]
    if len(finished) < LEAST_TRIALS or parameters.empty:
        return pd.DataFrame(columns=columns, dtype=np.float64)
    accuracy = finished["quality"].to_numpy("float64")
    log_flops = np.log(finished["flops"].to_numpy("float64"))
    return pd.DataFrame(
        {
            "accuracy": _shares(parameters, accuracy),
            "at_equal_flops": _shares(parameters, _less_trend(accuracy, log_flops)),
        },
        index=parameters.columns,
    )


def importance_figure(frame: pd.DataFrame) -> go.Figure:
    """Two bars a parameter: for the accuracy, and for the accuracy at equal FLOPs."""
    shares = parameter_importance(frame).sort_values("accuracy")
    if shares.empty:
        count = (frame["state"] == "finished").sum()
        return notice(f"Shown once {LEAST_TRIALS} trials have finished; so far there are {count}")
    figure = empty_figure("share of the variance explained", "")
    for column, name, colour in (
        ("at_equal_flops", "accuracy at equal FLOPs", COLOURS["front"]),
        ("accuracy", "accuracy", COLOURS["finished"]),
    ):
        figure.add_bar(
            x=shares[column].round(4).tolist(),
            y=shares.index.tolist(),
            orientation="h",
            marker={"color": colour},
            name=f"{name}: {shares[column].sum():.0%} explained",
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(automargin=True, showgrid=False, ticks="")
    height = 140 + 30 * len(shares)
    figure.update_layout(height=height, bargap=0.25, legend={"traceorder": "reversed"})
    return figure


def _parameters(rows: pd.DataFrame) -> pd.DataFrame:
    """Every parameter that varies, stage by stage, as numbers."""
    known = [name for name in _NETWORK_COLUMNS if name in rows]  # old tables have no stem_stride
    columns = {name.replace("_", " "): rows[name].to_numpy("float64") for name in known}
    columns["operator"] = (rows["operator"] == "hgc").to_numpy("float64")
    columns["stages"] = np.isfinite(stage_values(rows["depth"])).sum(axis=1).astype("float64")
    for name in ("depth", "growth", "groups", "se"):
        for stage, values in enumerate(stage_values(rows[name]).T, start=1):
            columns[f"{TRAIT_TITLES[name]}, stage {stage}"] = values
    table = pd.DataFrame(columns)
    # Whether there is a stage is said by their number alone, not by what the stage would have.
    table = table.fillna(table.mean())
    return table.loc[:, table.nunique() > 1]


def _shares(parameters: pd.DataFrame, target: Floats) -> Floats:
    forest = RandomForestRegressor(
        n_estimators=128, min_samples_leaf=2, max_features=0.5, oob_score=True, random_state=0
    )
    forest.fit(parameters.to_numpy(), target)
    shares: Floats = forest.feature_importances_ * max(0.0, forest.oob_score_)
    return shares


def _less_trend(accuracy: Floats, log_flops: Floats) -> Floats:
    """The residuals of the least-squares line."""
    if not np.ptp(log_flops):
        return accuracy
    residuals: Floats = accuracy - np.polyval(np.polyfit(log_flops, accuracy, 1), log_flops)
    return residuals
