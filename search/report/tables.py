"""The tables of the report: the front, all trials, networks trained again, the paper's figures."""

import shlex
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import pandas as pd

from search.results.trials import front

Row = Mapping[str, Any]
Column = Callable[[Row], str]

_NUMBERS = {
    *(
        "trial",
        "accuracy",
        "measured",
        "last accuracy",
        "FLOPs",
        "params",
        "epochs",
        "time",
        "±",
        "seeds",
    ),
    *("by the proxy", "estimated", "error", "test error", "the paper's test error"),
}
_CODE = {"architecture", "export"}


def front_html(frame: pd.DataFrame, run: str) -> str:
    """The networks of the front, with what exports them."""
    rows = front(frame)
    if rows.empty:
        return "<p>No trial has finished yet, so there is no front to choose from.</p>"
    columns: dict[str, Column] = {
        "trial": _number,
        **_accuracies(frame),
        "FLOPs": _millions("flops"),
        "params": _millions("num_params"),
        "architecture": _text("architecture"),
        "origin": lambda row: _text("origin")(row) or "sampler",
        "export": lambda row: export_command(run, row["number"]),
    }
    return _table(columns, rows)


def trials_html(frame: pd.DataFrame, run: str) -> str:
    """All trials, with a text box that filters them; those of the front are marked."""
    if frame.empty:
        return "<p>The study has no trials yet.</p>"
    columns: dict[str, Column] = {
        "trial": _number,
        "state": _text("state"),
        **_accuracies(frame),
        "last accuracy": _accuracy("last_accuracy"),
        "FLOPs": _millions("flops"),
        "params": _millions("num_params"),
        "epochs": lambda row: str(row["epochs"]),
        "time": _duration,
        "architecture": _text("architecture"),
        "export": lambda row: (
            export_command(run, row["number"]) if row["state"] == "finished" else ""
        ),
        "origin": _text("origin"),
        "failure": _text("failure"),
    }
    filter_box = (
        '<div class="filter"><input type="search" aria-label="filter the trials" '
        'placeholder="filter, as in: finished g4 +se"><output></output></div>'
    )
    return filter_box + _table(columns, frame)


def confirmation_html(networks: pd.DataFrame) -> str:
    """Networks trained longer, with fresh seeds, by mean accuracy."""
    columns: dict[str, Column] = {
        "network": _text("name"),
        "accuracy": _accuracy("mean"),
        "±": _half_interval(1),
        "seeds": lambda row: str(row["seeds"]),
        "estimated": _accuracy("proxy_estimate"),
        "by the proxy": _accuracy("proxy_accuracy"),
        "FLOPs": _millions("flops"),
        "params": _millions("num_params"),
        "architecture": _text("architecture"),
    }
    return _table(columns, networks.sort_values("mean", ascending=False))


def paper_html(networks: pd.DataFrame) -> str:
    """The presets' errors in percent beside the paper's. Rows: those that the paper measured."""
    columns: dict[str, Column] = {
        "network": _text("name"),
        "error": lambda row: f"{100 * (1 - row['mean']):.2f}",
        "±": _half_interval(100),
        "test error": lambda row: (
            "" if pd.isna(row["test_accuracy"]) else f"{100 * (1 - row['test_accuracy']):.2f}"
        ),
        "the paper's test error": lambda row: f"{row['paper_error']:.2f}",
        "seeds": lambda row: str(row["seeds"]),
    }
    return _table(columns, networks.sort_values("paper_error"))


def export_command(run: str, number: int) -> str:
    """What writes the architecture file of a trial."""
    return f"hgcnas export {shlex.quote(run)} --trial {number}"


def _table(columns: Mapping[str, Column], rows: pd.DataFrame) -> str:
    """An HTML table. Rows of the front are marked, if the frame has them among others."""
    head = "".join(f"<th{_class(name)}><button>{escape(name)}</button></th>" for name in columns)
    marked = rows["on_front"] & ~rows["on_front"].all() if "number" in rows else [False] * len(rows)
    lines = []
    for row, is_marked in zip(rows.to_dict("records"), marked, strict=True):
        cells = "".join(
            f"<td{_class(name)}>{_cell(name, text(row))}</td>" for name, text in columns.items()
        )
        lines.append(f"<tr{' class=front' if is_marked else ''}>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )


def _class(name: str) -> str:
    if name in _NUMBERS:
        return ' class="number"'
    return ' class="reason"' if name == "failure" else ""


def _cell(name: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if text and name in _CODE else escape(text)


def _number(row: Row) -> str:
    return str(row["number"])


def _text(key: str) -> Column:
    return lambda row: "" if pd.isna(row[key]) else str(row[key])


def _accuracy(key: str) -> Column:
    return lambda row: "" if pd.isna(row[key]) else f"{row[key]:.4f}"


def _accuracies(frame: pd.DataFrame) -> dict[str, Column]:
    """Estimates come first, where there are any: they decide on the front."""
    measured = {"measured": _accuracy("val_accuracy")}
    if frame["estimated_accuracy"].isna().all():
        return measured
    return {"estimated": _accuracy("estimated_accuracy"), **measured}


def _millions(key: str) -> Column:
    return lambda row: "" if pd.isna(row[key]) else f"{row[key] / 1e6:.3f}M"


def _half_interval(scale: int) -> Column:
    digits = 4 if scale == 1 else 2
    return lambda row: (
        "" if pd.isna(row["high"]) else f"{scale * (row['high'] - row['mean']):.{digits}f}"
    )


def _duration(row: Row) -> str:
    """Hours, minutes and seconds; a day has 24 hours more."""
    if pd.isna(row["seconds"]):
        return ""
    minutes, seconds = divmod(round(row["seconds"]), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
