"""How results look in a terminal: the progress line, the front, the layer table."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.progress import Progress as Bar
from rich.progress import TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hgcnet.complexity import Complexity, Layer

if TYPE_CHECKING:
    from hgcnet.latency import Latency
    from search.fidelity import Fidelity
    from search.loop import Progress
    from search.proxy.training import EpochResult
    from search.retraining import RetrainingProgress
    from search.statistics import Interval, PairedDifference


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


class EpochPrinter:
    """Prints the epochs of one training: each in a terminal, else a line every ten seconds or so."""

    def __init__(self, console: Console, repetition: int, epochs: int) -> None:
        self._console, self._repetition, self._epochs = console, repetition, epochs
        self._printed_at = -math.inf

    def __call__(self, epoch: "EpochResult", seconds: float) -> None:
        """Takes an epoch and the seconds of training so far."""
        is_last = epoch.epoch == self._epochs
        if not (self._console.is_terminal or is_last or seconds - self._printed_at >= 10):
            return
        self._printed_at = seconds
        left = seconds / epoch.epoch * (self._epochs - epoch.epoch)
        accuracy = "" if math.isnan(epoch.val_accuracy) else f", accuracy {epoch.val_accuracy:.4f}"
        self._console.print(
            f"seed {self._repetition}, epoch {epoch.epoch}/{self._epochs}: loss "
            f"{epoch.train_loss:.4f}{accuracy}, {duration(left)} left",
            highlight=False,
        )


def retraining_line(progress: "RetrainingProgress") -> str:
    """What just ended, how far it is, and the time left."""
    left = progress.seconds_left
    time = "" if math.isnan(left) else f", {duration(left)} left"
    return f"{progress.message} | {progress.done}/{progress.wanted} trained{time}"


def confirmation_table(networks: pd.DataFrame) -> Table:
    """By mean accuracy: what the longer trainings gave, and what the proxy had said."""
    table = Table(
        "network", "accuracy", "by the proxy", "rank", "FLOPs", "params", "front", box=None
    )
    for column in table.columns[1:6]:
        column.justify = "right"
    for row in networks.sort_values("mean", ascending=False).itertuples():
        is_of_study = not math.isnan(row.proxy_accuracy)
        table.add_row(
            row.name,
            _plus_minus(row.mean, row.high),
            f"{row.proxy_accuracy:.4f}" if is_of_study else "",
            f"{row.proxy_rank:.0f} -> {row.rank:.0f}" if is_of_study else "",
            count_text(row.flops),
            count_text(row.num_params),
            "*" if row.on_front else "",
        )
    return table


def comparison_table(
    summary: pd.DataFrame, differences: "dict[str, PairedDifference]", reference: str
) -> Table:
    """Means, and the paired differences from one network with what could have been seen."""
    header = ["network", "FLOPs", "params", "accuracy", f"less {reference}", "visible", "pairs"]
    if "test_accuracy" in summary:
        header.append("test")
    table = Table(*header, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in summary.itertuples():
        cells = [row.name, count_text(row.flops), count_text(row.num_params)]
        cells.append(_plus_minus(row.mean, row.high))
        found = differences.get(row.name)
        cells += (
            ["", "", ""]
            if found is None
            else [
                f"{found.difference.mean:+.4f} ± {found.difference.half_width:.4f}",
                f"{found.smallest_visible:.4f}",
                str(found.pairs),
            ]
        )
        if "test_accuracy" in summary:
            cells.append(f"{row.test_accuracy:.4f}")
        table.add_row(*cells)
    return table


def fidelity_table(fidelity: "Fidelity") -> Table:
    """Every score with its cost and its rank correlations."""
    table = Table("score", "seconds", "tau", "tau at like FLOPs", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in fidelity.correlations:
        seconds = f"{row.seconds:.1f}" if row.seconds >= 1 else f"{row.seconds:.2g}"
        table.add_row(row.score, seconds, _interval(row.tau), _interval(row.tau_within))
    return table


@contextmanager
def searches(console: Console, total: int) -> Iterator[Callable[[str, int], None]]:
    """Shows how many of the simulated searches are done, in a terminal."""
    columns = ("{task.completed}/{task.total} searches,", TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda sampler, seed: progress.advance(task)


def simulation_table(summary: pd.DataFrame) -> Table:
    """A row a sampler: hypervolumes, and how soon the first sampler's last one was reached."""
    marks = [name for name in summary if name.startswith("hypervolume_")]
    first = summary["sampler"].iloc[0]
    header = [f"after {name.partition('_')[2]}" for name in marks]
    table = Table("sampler", *header, f"as {first}", "worst", "epochs", "time", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in summary.to_dict("records"):
        table.add_row(
            row["sampler"],
            *(f"{row[name]:.4f}" for name in marks),
            *(f"{row[name]:.0f}" for name in ("to_reach", "worst", "epochs")),
            duration(row["seconds"]),
        )
    return table


def _interval(interval: "Interval") -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _plus_minus(mean: float, high: float) -> str:
    return f"{mean:.4f}" if math.isnan(high) else f"{mean:.4f} ± {high - mean:.4f}"


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
