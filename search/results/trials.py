"""The trials of a study as one DataFrame, and that frame as CSV and Parquet files."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import Architecture, Stage
from hgcnet.arrays import Floats
from hgcnet.atomic_write import replace_file
from search.optuna_space import OptunaSpace
from search.pareto import COST_NAMES, choose, non_dominated
from search.study.attributes import answers_of
from search.study_file.schema import quality_metric_of
from search.training.quality import QUALITY_METRICS, judge
from space.parameters import NETWORK_WIDE

STATE_NAMES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}

TEXT = str(pd.Series(["text"]).dtype)  # "str"; pandas 2 keeps texts as "object"

# The frame's columns in order. Whole numbers are nullable: a trial may not have the value yet.
COLUMNS = {
    "number": "int64",
    "state": TEXT,
    "on_front": "bool",  # finished and not dominated, by the estimates if there are any
    "quality": "float64",  # the study's metric of the three below, after the last epoch of finished trials
    "val_accuracy": "float64",
    "val_balanced_accuracy": "float64",  # in trials of earlier versions only if it is the quality
    "val_macro_f1": "float64",  # likewise
    "estimated_accuracy": "float64",  # quality without seed noise; from ten finished trials on
    "last_accuracy": "float64",  # quality after the last finished epoch, in any state
    "flops": "Int64",  # multiply-adds of one image
    "num_params": "Int64",
    "num_params_total": "Int64",  # with batch normalisation
    "epochs": "int64",  # finished ones
    "seconds": "float64",  # of training
    "origin": TEXT,  # empty: proposed by the sampler
    "architecture": TEXT,
    "fingerprint": TEXT,
    "operator": TEXT,
    "stem_channels": "Int64",
    "stem_stride": "Int64",
    "bottleneck": "Int64",
    "compression": "float64",
    "se_reduction": "Int64",
    "depth": TEXT,  # stage by stage, as "7-7-6"
    "growth": TEXT,
    "groups": TEXT,
    "se": TEXT,
    "failure": TEXT,
    "retry_of": "Int64",  # the interrupted trial that this one retries
    "started_at": "datetime64[us]",
    "finished_at": "datetime64[us]",
    "curve": "object",  # quality after every finished epoch
}


def to_frame(
    trials: Sequence[FrozenTrial],
    space: OptunaSpace,
    objectives: Sequence[str],
    estimated: Floats | None = None,
) -> pd.DataFrame:
    """One row per trial, in the order given, with the columns of `COLUMNS`.

    Args:
        objectives: the metrics in the order of the trials' values; the quality metric is one of them
            and is maximised, the others are minimised.
        estimated: the estimated qualities (n,), NaN where unknown; the front goes by them. Without them it
            goes by the measured ones.
    """
    rows = [_row(trial, space, objectives) for trial in trials]
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in COLUMNS}
    columns["on_front"] = are_on_front(trials, objectives, estimated)
    if estimated is not None:
        columns["estimated_accuracy"] = estimated.tolist()
    return pd.DataFrame(
        {name: pd.Series(columns[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    )


def front(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows on the Pareto front, from the fewest FLOPs to the most."""
    return frame[frame["on_front"]].sort_values(["flops", "quality", "number"])


def select_trial(frame: pd.DataFrame, costs: Sequence[str], rule: str) -> int:
    """The number of the trial of the front that a rule of `search.pareto.choose` picks.

    Args:
        costs: the study's objectives beside the quality.

    Raises:
        RunError: the rule is unknown, or nothing meets it.
    """
    rows = frame[frame["on_front"]]
    row = choose(judged_accuracy(rows).to_numpy(), known_costs(rows), costs, rule)
    return int(rows["number"].iloc[row])


def costs_of(frame: pd.DataFrame, metrics: Sequence[str]) -> Floats:
    """The rows' costs (n, metrics); NaN where a trial has none yet."""
    found: Floats = frame[list(metrics)].to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def known_costs(frame: pd.DataFrame) -> dict[str, Floats]:
    """All costs of the rows, (n,) by metric: what `search.pareto.choose` takes."""
    return dict(zip(COST_NAMES, costs_of(frame, tuple(COST_NAMES)).T, strict=True))


def architecture_of(row: pd.Series) -> Architecture:
    """The architecture of a row that has one, from its cells."""
    stages = zip(
        *(row[name].split("-") for name in ("depth", "growth", "groups", "se")), strict=True
    )
    return Architecture(
        operator=row["operator"],
        stem_channels=int(row["stem_channels"]),
        stem_stride=int(row["stem_stride"]),
        bottleneck=int(row["bottleneck"]),
        compression=float(row["compression"]),
        se_reduction=int(row["se_reduction"]),
        stages=tuple(
            Stage(depth=int(depth), growth=int(growth), groups=int(groups), se=se)
            for depth, growth, groups, se in stages
        ),
    )


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Writes the frame as CSV; `curve` is a JSON list, a missing value an empty cell."""
    text = frame.assign(curve=frame["curve"].map(json.dumps)).to_csv(index=False)
    replace_file(path, text.encode())


def write_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Writes the frame as Parquet; `curve` is a column of lists of floats."""
    # An explicit type: a frame without curves has the same types as any other.
    curve = pa.array(frame["curve"], type=pa.list_(pa.float64()))
    table = pa.Table.from_pandas(frame.drop(columns="curve"), preserve_index=False)
    buffer = BytesIO()
    pyarrow.parquet.write_table(table.append_column("curve", curve), buffer)
    replace_file(path, buffer.getvalue())


def _row(trial: FrozenTrial, space: OptunaSpace, objectives: Sequence[str]) -> dict[str, Any]:
    attributes = trial.user_attrs
    curve = list(attributes.get("curve", ()))
    row = {
        "number": trial.number,
        "state": STATE_NAMES[trial.state],
        "last_accuracy": curve[-1] if curve else None,
        "epochs": len(curve),
        "started_at": trial.datetime_start,
        "finished_at": trial.datetime_complete,
        "curve": curve,
    }
    row |= {name: attributes[name] for name in COLUMNS if name in attributes and name != "curve"}
    if trial.state == TrialState.COMPLETE:
        own = quality_metric_of(objectives)
        if (answers := answers_of(attributes)) is not None:
            row |= {metric: judge(metric, answers[0]) for metric in QUALITY_METRICS}
        row["quality"] = row[own] = trial.values[objectives.index(own)]
    # The fingerprint is written once all parameters are: without it they may be incomplete.
    if "fingerprint" in attributes:
        row |= _architecture_cells(space.decode(trial.params))
    return row


def _architecture_cells(architecture: Architecture) -> dict[str, Any]:
    cells: dict[str, Any] = {name: getattr(architecture, name) for name in NETWORK_WIDE}
    for name in ("depth", "growth", "groups", "se"):
        cells[name] = "-".join(str(getattr(stage, name)) for stage in architecture.stages)
    return {"architecture": str(architecture)} | cells


def are_on_front(
    trials: Sequence[FrozenTrial], objectives: Sequence[str], estimated: Floats | None = None
) -> list[bool]:
    """Which trials are finished and not dominated; the arguments are those of `to_frame`."""
    quality = objectives.index(quality_metric_of(objectives))
    signs = np.where(np.arange(len(objectives)) == quality, -1.0, 1.0)
    finished = np.array([trial.state == TrialState.COMPLETE for trial in trials], dtype=np.bool_)
    values = [trial.values for trial in trials if trial.state == TrialState.COMPLETE]
    losses = np.reshape(np.array(values, dtype=np.float64), (-1, len(signs))) * signs
    if estimated is not None and np.isfinite(estimated[finished]).all():
        losses[:, quality] = -estimated[finished]
    kept = np.zeros(len(trials), dtype=np.bool_)
    kept[finished] = non_dominated(losses)
    return [bool(is_kept) for is_kept in kept]


def shown_cost(objectives: Sequence[str]) -> str:
    """The cost to show if there is room for only one: FLOPs, if they are an objective."""
    return "flops" if "flops" in objectives else "num_params"


def judged_accuracy(finished: pd.DataFrame) -> pd.Series:
    """The quality that finished trials are judged by: the estimated one if there is one, else the measured."""
    return finished["estimated_accuracy"].fillna(finished["quality"])
