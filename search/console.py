"""How results look in a terminal: the progress line, the front, the layer table."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hgcnet.complexity import Complexity, Layer

if TYPE_CHECKING:
    from hgcnet.latency import Latency
    from search.loop import Progress


class ProgressPrinter:
    """Shows a study's progress: one live line in a terminal, else a line for each finished trial."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While the study runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as self._live:
            yield

    def __call__(self, progress: "Progress") -> None:
        """Takes the study's state after every event."""
        is_news = progress.message and " starts: " not in progress.message
        if self._live is None:
            if is_news:
                self._console.print(
                    f"{progress.message} | {progress_line(progress)}", soft_wrap=True
                )
            return
        if is_news:
            self._live.console.print(Text(progress.message, style="dim", overflow="ellipsis"))
        self._live.update(Text(progress_line(progress), overflow="ellipsis", no_wrap=True))


def progress_line(progress: "Progress") -> str:
    """Counts, best accuracy, hypervolume and time left, in less than 80 columns."""
    parts = [
        f"{progress.trained}/{progress.budget} trained",
        f"{progress.running} running, {progress.stopped} stopped, {progress.failed} failed",
    ]
    if not math.isnan(progress.best_accuracy):
        parts.append(f"best {progress.best_accuracy:.4f}")
    if not math.isnan(progress.hypervolume):
        parts.append(f"hv {progress.hypervolume:.3f}")
    if not math.isnan(progress.seconds_left):
        parts.append(f"{duration(progress.seconds_left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(min(seconds, 1e12))))


def front_table(frame: pd.DataFrame) -> Table:
    """The finished trials on the front, and beside them those that people asked for."""
    finished = frame[frame["state"] == "finished"]
    shown = finished[finished["on_front"] | (finished["origin"].fillna("") != "")]
    table = Table("trial", "accuracy", "FLOPs", "params", "front", "architecture", box=None)
    for column in table.columns[:4]:
        column.justify = "right"
    for row in shown.sort_values("flops").itertuples():
        origin = f"  ({row.origin})" if isinstance(row.origin, str) and row.origin else ""
        table.add_row(
            str(row.number),
            f"{row.val_accuracy:.4f}",
            count_text(row.flops),
            count_text(row.num_params),
            "*" if row.on_front else "",
            f"{row.architecture}{origin}",
        )
    return table


def runs_table(rows: list[dict[str, Any]]) -> Table:
    """The studies of a folder."""
    table = Table("study", "data", "trained", "finished", "front", "best", "used", box=None)
    for row in rows:
        best = "" if row["best_accuracy"] is None else f"{row['best_accuracy']:.4f}"
        table.add_row(
            row["study"],
            row["data_set"],
            f"{row['trained']}/{row['budget']}",
            str(row["finished"]),
            str(row["front_size"]),
            best,
            duration(row["seconds_used"]),
        )
    return table


def layers_table(layers: tuple[Layer, ...], total: Complexity) -> Table:
    """The layer table, batch normalisation left to the total."""
    table = Table("layer", "kind", "in", "out", "size", "FLOPs", "%", "params", "%", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for layer in layers:
        if layer.num_params == 0:
            continue
        table.add_row(
            layer.name,
            layer.kind,
            str(layer.in_channels),
            str(layer.out_channels),
            f"{layer.resolution}x{layer.resolution}",
            count_text(layer.flops),
            f"{100 * layer.flops / total.flops:.1f}",
            count_text(layer.num_params),
            f"{100 * layer.num_params / total.num_params:.1f}",
        )
    return table


def latency_lines(timed: "tuple[Latency, ...]") -> str:
    """Median, spread and speed-up over the first of each form, one a line."""
    return "\n".join(
        f"{row.form:9} {1e3 * row.median:8.2f} ms (80 % of {row.passes} passes within "
        f"{1e3 * row.low:.2f} to {1e3 * row.high:.2f}), {timed[0].median / row.median:.2f}x"
        for row in timed
    )


def count_text(value: float) -> str:
    """55521264 -> 55.5M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return (
                f"{value / size:.3g}{unit}" if value / size < 1000 else f"{value / size:.0f}{unit}"
            )
    return f"{value:.0f}"
