"""The tables of the report: the front, all trials, retrained networks, the paper's errors."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from html import escape

import pandas as pd

from search.results.trials import front
from search.training.quality import ACCURACY, QUALITY_NAMES, Answers

_TEXTS = {
    "class",
    "state",
    "network",
    "architecture",
    "origin",
    "export",
    "failure",
}  # all else are numbers
_CODE = {"architecture", "export"}


def front_html(frame: pd.DataFrame, run: str) -> str:
    """The networks of the front, with their export commands."""
    rows = front(frame)
    if rows.empty:
        return "<p>No trial has finished yet, so there is no front to choose from.</p>"
    return _table(
        {
            "trial": rows["number"],
            **_accuracies(rows),
            **_network(rows),
            "origin": rows["origin"].fillna("sampler"),
            "export": _exports(rows, run),
        }
    )


def trials_html(frame: pd.DataFrame, run: str, quality: str = QUALITY_NAMES[ACCURACY]) -> str:
    """All trials, with a filter box; those of the front are marked."""
    if frame.empty:
        return "<p>The study has no trials yet.</p>"
    network = _network(frame)
    columns = {
        "trial": frame["number"],
        "state": frame["state"],
        **_accuracies(frame),
        f"last {quality}": _numbers(frame["last_accuracy"]),
        "FLOPs": network["FLOPs"],
        "params": network["params"],
        "epochs": frame["epochs"],
        "time": frame["seconds"].map(_duration, na_action="ignore"),
        "architecture": network["architecture"],
        "export": _exports(frame, run).where(frame["state"] == "finished"),
        "origin": frame["origin"],
        "failure": frame["failure"],
    }
    filter_box = (
        '<div class="filter"><input type="search" aria-label="filter the trials" '
        'placeholder="filter, as in: finished g4 +se"><output></output></div>'
    )
    is_marked = frame["on_front"] & ~frame["on_front"].all()
    return filter_box + _table(columns, is_marked)


def confirmation_html(networks: pd.DataFrame, quality: str = QUALITY_NAMES[ACCURACY]) -> str:
    """Networks trained longer, with fresh seeds, by mean quality."""
    rows = networks.sort_values("mean", ascending=False)
    return _table(
        {
            "network": rows["name"],
            quality: _numbers(rows["mean"]),
            "±": _numbers(rows["high"] - rows["mean"]),
            "seeds": rows["seeds"],
            "estimated": _numbers(rows["proxy_estimate"]),
            "by the proxy": _numbers(rows["proxy_accuracy"]),
            **_network(rows),
        }
    )


def paper_html(networks: pd.DataFrame) -> str:
    """The presets' errors in percent beside the paper's; rows: presets that the paper measured."""
    rows = networks.sort_values("paper_error")
    return _table(
        {
            "network": rows["name"],
            "error": _numbers(100 * (1 - rows["mean"]), "{:.2f}"),
            "±": _numbers(100 * (rows["high"] - rows["mean"]), "{:.2f}"),
            "test error": _numbers(100 * (1 - rows["test_accuracy"]), "{:.2f}"),
            "the paper's test error": _numbers(rows["paper_error"], "{:.2f}"),
            "seeds": rows["seeds"],
        }
    )


def answers_html(answers: Answers) -> str:
    """A row per class and, if it was stored, the confusion matrix."""
    rows = pd.DataFrame(map(asdict, answers.classes))
    scores = {name: _numbers(rows[key]) for key, name in _SCORES.items()}
    lines = _table({"class": rows["name"], "images": rows["images"], **scores})
    if not answers.confusion:
        return lines
    names = rows["name"].tolist()
    called = {
        f"predicted {name}": pd.Series(column)
        for name, column in zip(names, zip(*answers.confusion, strict=True), strict=True)
    }
    return lines + _table({"class": rows["name"], **called})


_SCORES = {"recall": "recall", "precision": "precision", "f1": "F1"}


def export_command(run: str, number: int) -> str:
    """The command that writes the architecture file of a trial."""
    return f"hgcnas export {shlex.quote(run)} --trial {number}"


def _table(columns: Mapping[str, pd.Series], is_marked: pd.Series | None = None) -> str:
    """An HTML table of columns by their headings; a missing value is an empty cell."""
    classes = {name: "" if name in _TEXTS else " class=number" for name in columns}
    classes |= {"failure": " class=reason"}
    head = (f"<th{classes[name]}><button>{escape(name)}</button></th>" for name in columns)
    cells = []
    for name, values in columns.items():
        form = "<code>{}</code>" if name in _CODE else "{}"
        texts = ("" if pd.isna(value) else form.format(escape(str(value))) for value in values)
        cells.append([f"<td{classes[name]}>{text}</td>" for text in texts])
    marks = is_marked if is_marked is not None else [False] * len(cells[0])
    lines = (
        f"<tr{' class=front' if is_front else ''}>{''.join(row)}</tr>"
        for is_front, *row in zip(marks, *cells, strict=True)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(head)}</tr></thead>\n'
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )


def _numbers(values: pd.Series, form: str = "{:.4f}") -> pd.Series:
    return values.map(form.format, na_action="ignore")


def _accuracies(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Estimates come first, if there are any: the front goes by them."""
    measured = {"measured": _numbers(frame["quality"])}
    if frame["estimated_accuracy"].isna().all():
        return measured
    return {"estimated": _numbers(frame["estimated_accuracy"]), **measured}


def _network(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {
        "FLOPs": _numbers(rows["flops"].astype(float) / 1e6, "{:.3f}M"),
        "params": _numbers(rows["num_params"].astype(float) / 1e6, "{:.3f}M"),
        "architecture": rows["architecture"],
    }


def _exports(rows: pd.DataFrame, run: str) -> pd.Series:
    return rows["number"].map(lambda number: export_command(run, number))


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds; days become hours."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
