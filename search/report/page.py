"""The report of a study: one HTML page that holds everything and opens offline."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from hgcnet.files import replace_file
from search.pareto import HypervolumeBounds
from search.report import figures
from search.report.retrained import accuracies
from search.results import front

_CSS = """
:root { --ink: #1f2933; --muted: #616e7c; --line: #e1e5ea; --paper: #f5f7f9; --mark: #d55e00; }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { margin: 0 0 16px; font-size: 26px; }
h2 { margin: 0 0 12px; font-size: 18px; }
section { margin-top: 20px; padding: 20px 24px; background: #fff; border: 1px solid var(--line);
          border-radius: 8px; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 12px 24px;
     margin: 0; }
dt { color: var(--muted); font-size: 13px; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.scroll { margin-top: 16px; overflow: auto; max-height: 640px; }
table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); text-align: left;
         white-space: nowrap; }
th { position: sticky; top: 0; background: #fff; color: var(--muted); font-weight: 600; }
th.number, td.number { text-align: right; }
td.reason { min-width: 160px; white-space: normal; overflow-wrap: anywhere; }
tr.front td:first-child { color: var(--mark); font-weight: 700; }
code { font: 12px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; user-select: all; }
p { margin: 0 0 12px; color: var(--muted); }
"""

_NUMBER_COLUMNS = {
    *("trial", "accuracy", "last accuracy", "FLOPs", "params", "epochs", "time"),
    *("±", "seeds", "by the proxy"),
}


def write_page(
    path: str | Path,
    *,
    title: str,
    facts: Mapping[str, str],
    frame: pd.DataFrame,
    bounds: HypervolumeBounds,
    run: str,
    confirmed: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> None:
    """Writes the report of a study, replacing an earlier one in one step.

    Args:
        title: the heading.
        facts: what is shown under the heading, by label: the name, the data set, counts, bounds.
        frame: the trials, as `search.results.to_frame` gives them.
        bounds: what the hypervolume is measured against.
        run: the study's name or folder, as the export commands name it.
        confirmed: what `search.confirmation.read_confirmations` gives.
    """
    body = [
        section("Study", _facts(facts)),
        section("Pareto front", figure_html(figures.pareto(frame), "pareto") + _front(frame, run)),
        *(
            section(f"Trained again: {recipe}", _confirmation(networks, number))
            for number, (recipe, networks) in enumerate(confirmed.items())
        ),
        section(
            "Hypervolume", figure_html(figures.hypervolume_history(frame, bounds), "hypervolume")
        ),
        section("Learning curves", figure_html(figures.learning_curves(frame), "curves")),
        section(f"All trials ({len(frame)})", _trials(frame)),
    ]
    replace_file(path, document(title, body).encode())


def write_figures(path: Path, title: str, parts: Mapping[str, go.Figure]) -> None:
    """Writes a page of figures alone, each under its heading.

    Raises:
        OSError: it cannot be written.
    """
    body = [
        section(heading, figure_html(figure, f"figure-{number}"))
        for number, (heading, figure) in enumerate(parts.items())
    ]
    replace_file(path, document(title, body).encode())


def document(title: str, body: Iterable[str]) -> str:
    """A whole page, with the script that draws its figures."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_CSS}</style>",
            f"<script>{get_plotlyjs()}</script>",
            "</head><body><main>",
            f"<h1>{escape(title)}</h1>",
            *body,
            "</main></body></html>",
        ]
    )


def section(heading: str, body: str) -> str:
    """A heading with what is under it, in HTML."""
    return f"<section><h2>{escape(heading)}</h2>{body}</section>"


def _facts(facts: Mapping[str, str]) -> str:
    cells = (
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
        for label, value in facts.items()
    )
    return f"<dl>{''.join(cells)}</dl>"


def figure_html(figure: go.Figure, identifier: str) -> str:
    """A figure as an element of a page, under an id of its own."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=identifier,
        default_height="auto",
        config={"displaylogo": False},
    )
    return html


def _front(frame: pd.DataFrame, run: str) -> str:
    rows = front(frame)
    if rows.empty:
        return "<p>No trial has finished yet, so there is no front to choose from.</p>"
    header = ("trial", "accuracy", "FLOPs", "params", "architecture", "origin", "export")
    body = (
        (
            str(row["number"]),
            _accuracy(row["val_accuracy"]),
            _millions(row["flops"]),
            _millions(row["num_params"]),
            _text(row["architecture"]),
            _text(row["origin"]) or "sampler",
            f"hgcnas export {shlex.quote(run)} --trial {row['number']}",
        )
        for _, row in rows.iterrows()
    )
    return _table(header, body)


def _confirmation(networks: pd.DataFrame, number: int) -> str:
    """Networks trained longer, with fresh seeds, by mean accuracy."""
    rows = networks.sort_values("mean", ascending=False)
    body = (
        (
            row["name"],
            f"{row['mean']:.4f}",
            "" if pd.isna(row["high"]) else f"{row['high'] - row['mean']:.4f}",
            str(row["seeds"]),
            _accuracy(row["proxy_accuracy"]),
            _millions(row["flops"]),
            _millions(row["num_params"]),
            row["architecture"],
        )
        for _, row in rows.iterrows()
    )
    header = (
        "network",
        "accuracy",
        "±",
        "seeds",
        "by the proxy",
        "FLOPs",
        "params",
        "architecture",
    )
    return figure_html(accuracies(networks), f"confirmed-{number}") + _table(header, body)


def _trials(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "<p>The study has no trials yet.</p>"
    header = (
        *("trial", "state", "accuracy", "last accuracy", "FLOPs", "params", "epochs", "time"),
        *("architecture", "origin", "failure"),
    )
    body = (
        (
            str(row["number"]),
            row["state"],
            _accuracy(row["val_accuracy"]),
            _accuracy(row["last_accuracy"]),
            _millions(row["flops"]),
            _millions(row["num_params"]),
            str(row["epochs"]),
            _duration(row["seconds"]),
            _text(row["architecture"]),
            _text(row["origin"]),
            _text(row["failure"]),
        )
        for _, row in frame.iterrows()
    )
    return _table(header, body, marked=frame["on_front"].tolist())


def _table(
    header: Sequence[str], body: Iterable[Sequence[str]], marked: Sequence[bool] = ()
) -> str:
    """An HTML table; `marked` says which rows are on the front."""
    head = "".join(f"<th{_cell_class(name)}>{escape(name)}</th>" for name in header)
    lines = []
    for index, row in enumerate(body):
        cells = "".join(
            f"<td{_cell_class(name)}>{_cell(name, text)}</td>"
            for name, text in zip(header, row, strict=True)
        )
        is_marked = index < len(marked) and marked[index]
        lines.append(f"<tr{' class=front' if is_marked else ''}>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )


def _cell_class(name: str) -> str:
    if name in _NUMBER_COLUMNS:
        return ' class="number"'
    return ' class="reason"' if name == "failure" else ""


def _cell(name: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if name in ("architecture", "export") else escape(text)


def _text(value: object) -> str:
    return "" if pd.isna(value) else str(value)


def _accuracy(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.4f}"


def _millions(value: float) -> str:
    return "" if pd.isna(value) else f"{value / 1e6:.3f}M"


def _duration(seconds: float) -> str:
    return "" if pd.isna(seconds) else str(timedelta(seconds=round(seconds)))
