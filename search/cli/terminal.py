"""How results look in a terminal: the progress line, the front, the layer table."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.progress import Progress as Bar
from rich.progress import TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hgcnet.complexity import Complexity, Layer
from search.study.progress import progress_line, progress_lines
from search.units import count_text, duration

if TYPE_CHECKING:
    from hgcnet.latency import Latency
    from search.retraining.compare import Comparison
    from search.retraining.fidelity import Fidelity
    from search.retraining.retraining_loop import RetrainingProgress
    from search.retraining.statistics import Interval
    from search.study.progress import Progress
    from search.training.proxy_training import EpochResult


LOG_PERIOD = 10.0  # seconds between two lines about trainings in a log


class ProgressPrinter:
    """Shows how far a study, or many trainings, are.

    In a terminal what happens lately stands in live lines at the bottom, and what should stay is
    printed above them. Elsewhere (a log file, CI) all are plain lines without control characters: of
    trainings one every ten seconds or so and the last one, of studies one for every trial that ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._printed_at = -math.inf
        self._held_back = ""  # the last line, if it was not printed

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While there is progress."""
        if is_live(self._console):
            with Live(console=self._console, refresh_per_second=4, transient=True) as self._live:
                yield
            return
        try:
            yield
        finally:
            if self._held_back:
                self._print(self._held_back)

    def take_study(self, progress: "Progress") -> None:
        """Takes a study's state, after every event."""
        news = "" if " starts: " in progress.message else progress.message
        if self._live is None:
            if news:
                self._print(f"{news} | {progress_line(progress)}")
            return
        if news:
            self._print_above(news)
        self._show(*progress_lines(progress))

    def take_training(self, progress: "RetrainingProgress") -> None:
        """Takes the state of many trainings, after one ended."""
        counts, is_failure = retraining_line(progress), " failed: " in progress.message
        line = f"{progress.message} | {counts}"
        if self._live is not None:
            if is_failure:
                self._print_above(progress.message)
            self._show(counts, progress.message)
        elif is_failure or time.monotonic() - self._printed_at >= LOG_PERIOD:
            self._print(line)
        else:
            self._held_back = line

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
        self._printed_at, self._held_back = time.monotonic(), ""

    def _print_above(self, line: str) -> None:
        self._console.print(Text(line, style="dim", overflow="ellipsis"))

    def _show(self, *lines: str) -> None:
        assert self._live is not None
        text = "\n".join(line for line in lines if line)
        self._live.update(Text(text, overflow="ellipsis", no_wrap=True))


def is_live(console: Console) -> bool:
    """Whether a line can be written over: not where colours alone are forced, as some CI does."""
    return console.is_interactive and console.file.isatty()


def status_lines(summary: dict[str, Any]) -> Iterator[str]:
    """A study's counts, time and driver, and how it goes on; from `search.results.summary.summarise_study`."""
    counts = f"{summary['trained']}/{summary['budget']} trained ({summary['stopped']} stopped)"
    yield (
        f"study {summary['study']} on {summary['data_set']}: {counts}, {summary['failed']} failed, "
        f"{summary['running']} running"
    )
    if summary["best_trial"] is not None:
        estimate = summary["best_estimate"]
        estimated = "" if estimate is None else f"estimated {estimate:.4f}, "
        hypervolume = summary["hypervolume"]
        yield (
            f"best trial {summary['best_trial']}: {estimated}measured {summary['best_accuracy']:.4f}; "
            f"front of {summary['front_size']}"
            + ("" if hypervolume is None else f", hypervolume {hypervolume:.4f}")
        )
    left = summary["seconds_left"]
    is_over = summary["trained"] >= summary["budget"]
    time_left = (
        "" if is_over else f", left {'unknown' if left is None else 'about ' + duration(left)}"
    )
    yield f"time used {duration(summary['seconds_used'])}{time_left}"
    if summary["driver"]:
        yield f"driven by {summary['driver']}"
    elif is_over:
        yield "its budget is used; `hgcnas run STUDY.toml --trials N` goes on"
    else:
        yield "no driver is running; `hgcnas run STUDY.toml` goes on"


def front_table(frame: pd.DataFrame) -> Table:
    """The finished trials on the front, and beside them those that people asked for.

    Where it is too wide for a terminal, only the architectures are broken.
    """
    finished = frame[frame["state"] == "finished"]
    shown = finished[finished["on_front"] | (finished["origin"].fillna("") != "")]
    has_estimates = bool(finished["estimated_accuracy"].notna().any())
    table = Table(box=None)
    for heading in ("trial", *["estimated"] * has_estimates, "measured", "FLOPs", "params"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("front", no_wrap=True)
    table.add_column("architecture")
    for row in shown.sort_values("flops").itertuples():
        origin = f"  ({row.origin})" if isinstance(row.origin, str) and row.origin else ""
        table.add_row(
            str(row.number),
            *[f"{row.estimated_accuracy:.4f}".replace("nan", "")] * has_estimates,
            f"{row.val_accuracy:.4f}",
            count_text(row.flops),
            count_text(row.num_params),
            "*" if row.on_front else "",
            f"{row.architecture}{origin}",
        )
    return table


class EpochPrinter:
    """Prints the epochs of trainings one after another: each in a terminal, else a line every ten seconds or so."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        self._printed_at = -math.inf

    def __call__(self, repetition: int, epoch: "EpochResult", seconds: float) -> None:
        """Takes an epoch and the seconds of training so far."""
        if epoch.epoch == 1:
            self._printed_at = -math.inf
        is_last = epoch.epoch == self._epochs
        if not (self._console.is_terminal or is_last or seconds - self._printed_at >= 10):
            return
        self._printed_at = seconds
        left = seconds / epoch.epoch * (self._epochs - epoch.epoch)
        accuracy = "" if math.isnan(epoch.val_accuracy) else f", accuracy {epoch.val_accuracy:.4f}"
        self._console.print(
            f"seed {repetition}, epoch {epoch.epoch}/{self._epochs}: loss "
            f"{epoch.train_loss:.4f}{accuracy}, {duration(left)} left",
            highlight=False,
        )


def retraining_line(progress: "RetrainingProgress") -> str:
    """How far it is, and the time left."""
    left = progress.seconds_left
    text = f", {duration(left)} left" if left > 0 else ""  # it may be NaN
    return f"{progress.done}/{progress.wanted} trained{text}"


def confirmation_table(networks: pd.DataFrame) -> Table:
    """By mean accuracy: what the longer trainings gave, and what the proxy had said."""
    table = Table(
        *("network", "accuracy", "estimated", "by the proxy", "rank"),
        *("FLOPs", "params", "front"),
        box=None,
    )
    for column in table.columns[1:7]:
        column.justify = "right"
    for row in networks.sort_values("mean", ascending=False).itertuples():
        is_of_study = not math.isnan(row.proxy_accuracy)
        table.add_row(
            row.name,
            _plus_minus(row.mean, row.high),
            f"{row.proxy_estimate:.4f}".replace("nan", ""),
            f"{row.proxy_accuracy:.4f}" if is_of_study else "",
            f"{row.proxy_rank:.0f} -> {row.rank:.0f}" if is_of_study else "",
            count_text(row.flops),
            count_text(row.num_params),
            "*" if row.on_front else "",
        )
    return table


def comparison_table(comparison: "Comparison") -> Table:
    """Means, and the paired differences from one network with what could have been seen."""
    summary, differences = comparison.networks, comparison.differences
    reference = f"{comparison.against}, {comparison.compared_on.partition('_')[0]}"
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
    table = Table("score", "seconds", "tau", "tau at like cost", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in fidelity.correlations:
        seconds = f"{row.seconds:.1f}" if row.seconds >= 1 else f"{row.seconds:.2g}"
        table.add_row(row.score, seconds, _interval(row.tau), _interval(row.tau_within))
    return table


@contextmanager
def searches(console: Console, total: int) -> Iterator[Callable[[str, int], None]]:
    """Shows how many of the simulated searches are done, in a terminal."""
    if not is_live(console):
        yield lambda sampler, seed: None
        return
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
    counts = ("to_reach", "worst", "epochs")
    for row in summary.to_dict("records"):
        table.add_row(
            row["sampler"],
            *(f"{row[name]:.4f}" for name in marks),
            *("never" if math.isinf(row[name]) else f"{row[name]:.0f}" for name in counts),
            duration(row["seconds"]),
        )
    return table


def _interval(interval: "Interval") -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _plus_minus(mean: float, high: float) -> str:
    return f"{mean:.4f}" if math.isnan(high) else f"{mean:.4f} ± {high - mean:.4f}"


def runs_table(rows: list[dict[str, Any]]) -> Table:
    """The studies of a folder, each with its most accurate network."""
    headings = ("study", "data", "trained", "front", "best trial", "estimated", "measured", "used")
    table = Table(*headings, box=None)
    for row in rows:
        best = row["best_trial"]
        table.add_row(
            row["study"],
            row["data_set"],
            f"{row['trained']}/{row['budget']}",
            str(row["front_size"]),
            "" if best is None else str(best),
            "" if row["best_estimate"] is None else f"{row['best_estimate']:.4f}",
            "" if best is None else f"{row['best_accuracy']:.4f}",
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
