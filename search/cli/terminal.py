"""How results look in a terminal: the progress line, the front, the layer table."""

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from hgcnet.complexity import Complexity, Layer
from hgcnet.errors import one_line
from search.data.reading_progress import observing_files
from search.study.progress import progress_line, progress_lines
from search.training.quality import QUALITY_NAMES, Answers, ClassScores
from search.units import count_text, duration

if TYPE_CHECKING:
    import pandas as pd

    from search.retraining.compare import Comparison
    from search.retraining.fidelity import Fidelity
    from search.retraining.retraining_loop import RetrainingProgress
    from search.study.progress import Progress
    from search.training.proxy_training import EpochResult


LOG_PERIOD = 10.0  # seconds between two lines about trainings in a log
FILES_PATIENCE = 1.0  # seconds before the first line about reading
FILES_PERIOD = 0.25  # seconds between two
MANY_FILES = 50  # from which a bar is shown
MISSING = "Some trainings are missing; rerun the command to resume."

Row = Mapping[str, Any]
# What makes the cell of a row: a format (empty if a value is missing) or a function.
Column = str | Callable[[Row], str]


class ProgressPrinter:
    """Shows the progress of a study, or of many trainings.

    In a terminal, live lines at the bottom show the state, and news is printed above them. Elsewhere (a log
    file, CI) it prints plain lines without control characters: one for every trial of a study that ends; of
    many trainings one about every ten seconds, and the last.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._printed_at = -math.inf
        self._held_back = ""  # the last line, if it was not printed

    @contextmanager
    def showing(self) -> Iterator["ProgressPrinter"]:
        """Shows progress within, also that of reading images: two cannot share the bottom lines."""
        live = Live(console=self._console, refresh_per_second=4, transient=True)
        files = FilesPrinter(lambda line: self._take("", (line,), line))
        try:
            with (
                live if is_live(self._console) else nullcontext() as self._live,
                observing_files(files.take),
            ):
                yield self
        finally:
            if self._held_back:
                self._print(self._held_back)

    def take_study(self, progress: "Progress") -> None:
        """Takes a study's state, after every event."""
        news = "" if " starts: " in progress.message else progress.message
        line = f"{news} | {progress_line(progress)}" if news else ""
        self._take(news, progress_lines(progress), line)

    def take_training(self, progress: "RetrainingProgress") -> None:
        """Takes the state of many trainings, after one ended."""
        left = progress.seconds_left
        text = f", {duration(left)} left" if left > 0 else ""  # it may be NaN
        counts = f"{progress.done}/{progress.wanted} trained{text}"
        news = progress.message if " failed: " in progress.message else ""
        self._take(news, (counts, progress.message), f"{progress.message} | {counts}")

    def _take(self, news: str, lines: Iterable[str], line: str) -> None:
        """Shows `lines` in a terminal, below the news; prints `line` elsewhere, if it has news or it is time."""
        if self._live is not None:
            if news:
                self._console.print(Text(news, style="dim", overflow="ellipsis"))
            text = "\n".join(filter(None, lines))
            self._live.update(Text(text, overflow="ellipsis", no_wrap=True))
        elif line and (news or time.monotonic() - self._printed_at >= LOG_PERIOD):
            self._print(line)
        else:
            self._held_back = line

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
        self._printed_at, self._held_back = time.monotonic(), ""


class FilesPrinter:
    """Prints the progress of reading files, once that takes more than a moment."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._began = math.nan
        self._due = math.nan

    def take(self, done: int, total: int) -> None:
        """Takes the number of files read, and of all."""
        now = time.monotonic()
        if done == 1:
            self._began, self._due = now, now + FILES_PATIENCE
        if now >= self._due:
            self._due = now + FILES_PERIOD
            left = (now - self._began) / done * (total - done)
            self._print_line(f"{done:,}/{total:,} images read, {duration(left)} left")


@contextmanager
def showing_files(console: Console) -> Iterator[None]:
    """Shows the progress of reading images: a bar in a terminal, else a line every ten seconds."""
    if not is_live(console):
        printed_at = time.monotonic()

        def print_line(line: str) -> None:
            nonlocal printed_at
            if time.monotonic() - printed_at >= LOG_PERIOD:
                printed_at = time.monotonic()
                console.print(line, highlight=False, soft_wrap=True)

        with observing_files(FilesPrinter(print_line).take):
            yield
        return
    columns = (BarColumn(), "{task.completed:,}/{task.total:,} images read,", TimeRemainingColumn())
    bar = Bar(*columns, console=console, transient=True)
    task = bar.add_task("", total=None)

    def show(done: int, total: int) -> None:
        if done == 1:
            bar.reset(task, total=total)
        bar.update(task, completed=done)
        if total >= MANY_FILES and done < total:
            bar.start()
        elif done == total:
            bar.stop()

    try:
        with observing_files(show):
            yield
    finally:
        bar.stop()


def is_live(console: Console) -> bool:
    """Whether lines can be overwritten; not where only colours are forced, as in some CI."""
    return console.is_interactive and console.file.isatty()


def status_lines(summary: dict[str, Any]) -> Iterator[str]:
    """A study's counts, time and driver, and how to continue; from `search.results.summary.summarise_study`."""
    yield (
        "study {study} on {data_set}: {trained}/{budget} trained ({stopped} stopped), {failed} failed, "
        "{running} running".format_map(summary)
    )
    if summary["best_trial"] is not None:
        estimated = _cell("estimated {best_estimate:.4f}, ", summary)
        measured = "measured {best_accuracy:.4f}; front of {front_size}".format_map(summary)
        hypervolume = _cell(", hypervolume {hypervolume:.4f}", summary)
        yield f"best trial {summary['best_trial']}: {estimated}{measured}{hypervolume}"
    left, is_over = summary["seconds_left"], summary["trained"] >= summary["budget"]
    text = "unknown" if left is None else f"about {duration(left)}"
    yield f"time used {duration(summary['seconds_used'])}" + ("" if is_over else f", left {text}")
    goes_on = "no driver is running; `hgcnas run STUDY.toml` resumes it"
    if is_over:
        goes_on = "its budget is used; `hgcnas run STUDY.toml --trials N` raises it"
    elif summary["driven_elsewhere"]:
        goes_on = f"last driven by {summary['driven_elsewhere']}: its run folder is not here"
    yield f"driven by {summary['driver']}" if summary["driver"] else goes_on


@contextmanager
def showing_trainings(console: Console) -> Iterator[Callable[["RetrainingProgress"], None]]:
    """Shows the progress of many trainings."""
    with ProgressPrinter(console).showing() as printer:
        yield printer.take_training


@contextmanager
def showing_epochs(
    console: Console, network: str, dataset: str, epochs: int, seeds: int
) -> Iterator[Callable[[int, "EpochResult", float], None]]:
    """Prints the epochs of trainings: all in a terminal, else one about every ten seconds."""
    printed_at = -math.inf

    def take_epoch(repetition: int, epoch: "EpochResult", seconds: float) -> None:
        nonlocal printed_at
        is_due = epoch.epoch in (1, epochs) or seconds - printed_at >= LOG_PERIOD
        if not (console.is_terminal or is_due):
            return
        printed_at = seconds
        left = seconds / epoch.epoch * (epochs - epoch.epoch)
        accuracy = "" if math.isnan(epoch.val_accuracy) else f", accuracy {epoch.val_accuracy:.4f}"
        console.print(
            f"seed {repetition}, epoch {epoch.epoch}/{epochs}: loss {epoch.train_loss:.4f}{accuracy}, "
            f"{duration(left)} left"
        )

    of_seeds = "1 seed" if seeds == 1 else f"{seeds} seeds"
    console.print(f"{network} on {dataset}: {epochs} epochs, {of_seeds}")
    yield take_epoch


@contextmanager
def showing_predictions(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Shows in a terminal how many files are predicted."""
    if not is_live(console):
        yield lambda done, total: None
        return
    columns = ("{task.completed}/{task.total} files,", TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def showing_searches(
    console: Console, samplers: Sequence[str], seeds: int
) -> Iterator[Callable[[str, int], None]]:
    """Shows in a terminal how many of the simulated searches are done."""
    if not is_live(console):
        yield lambda sampler, seed: None
        return
    columns = ("{task.completed}/{task.total} searches,", TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(samplers) * seeds)
        yield lambda sampler, seed: progress.advance(task)


def front_table(frame: "pd.DataFrame") -> Table:
    """The finished trials of the front, and all finished trials that people asked for.

    In a narrow terminal, only the architectures wrap.
    """
    finished = frame[frame["state"] == "finished"]
    finished = finished.assign(origin=finished["origin"].fillna("").astype(str))
    shown = finished[finished["on_front"] | (finished["origin"] != "")]
    has_estimates = finished["estimated_accuracy"].notna().any()
    columns: dict[str, Column] = {
        "trial": "{number}",
        **({"estimated": "{estimated_accuracy:.4f}"} if has_estimates else {}),
        "measured": "{quality:.4f}",
        **_COSTS,
        "front": _star,
        "architecture": lambda row: (
            row["architecture"] + (row["origin"] and f"  ({row['origin']})")
        ),
    }
    table = _table(columns, shown.sort_values("flops"))
    for column in table.columns[:-1]:
        column.no_wrap = True
    return table


def confirmation_table(networks: "pd.DataFrame", quality: str) -> Table:
    """The networks by mean quality: the longer trainings beside the proxy."""
    columns: dict[str, Column] = {
        "network": "{name}",
        quality: _mean,
        "estimated": "{proxy_estimate:.4f}",
        "by the proxy": "{proxy_accuracy:.4f}",
        "rank": "{proxy_rank:.0f} -> {rank:.0f}",
        **_COSTS,
        "front": _star,
    }
    return _table(columns, networks.sort_values("mean", ascending=False))


def comparison_table(comparison: "Comparison") -> Table:
    """Means, and paired differences from one network with the smallest visible difference."""
    networks = comparison.networks
    networks = networks.assign(less=networks["name"].map(comparison.differences.get))
    columns: dict[str, Column] = {
        "network": "{name}",
        **_COSTS,
        QUALITY_NAMES[comparison.quality_metric]: _mean,
        f"less {comparison.against}, {comparison.compared_on.partition('_')[0]}": (
            "{less.difference.mean:+.4f} ± {less.difference.half_width:.4f}"
        ),
        "visible": "{less.smallest_visible:.4f}",
        "pairs": "{less.pairs}",
    }
    if (name := comparison.compared_on).startswith("test_"):
        columns["test"] = f"{{{name}:.4f}}"
    return _table(columns, networks)


def classes_table(answers: Answers | None) -> list[str | Table]:
    """A line per class; of many classes, only the worst."""
    if answers is None:
        return []
    classes: Sequence[ClassScores] = answers.classes
    said = []
    if len(classes) > _MOST_CLASSES:
        classes = sorted(classes, key=lambda scores: scores.f1)[:_MOST_CLASSES]
        said = [f"the {_MOST_CLASSES} of {len(answers.classes)} classes with the lowest F1:"]
    columns: dict[str, Column] = {
        "class": lambda row: one_line(row["name"]),
        "images": "{images}",
        "recall": "{recall:.4f}",
        "precision": "{precision:.4f}",
        "F1": "{f1:.4f}",
    }
    return [*said, _table(columns, map(asdict, classes))]


def fidelity_table(fidelity: "Fidelity") -> Table:
    """A row per score: its cost and its rank correlations."""
    columns: dict[str, Column] = {
        "score": "{score}",
        "seconds": lambda row: format(row["seconds"], ".1f" if row["seconds"] >= 1 else ".2g"),
        "tau": "{tau[mean]:.2f} [{tau[low]:.2f}, {tau[high]:.2f}]",
        "tau at like cost": "{tau_within[mean]:.2f} [{tau_within[low]:.2f}, {tau_within[high]:.2f}]",
    }
    return _table(columns, map(asdict, fidelity.correlations))


def simulation_table(summary: "pd.DataFrame") -> Table:
    """A row per sampler: hypervolumes, and trainings until the first sampler's last hypervolume."""
    marks = [name for name in summary if name.startswith("hypervolume_")]
    columns: dict[str, Column] = {
        "sampler": "{sampler}",
        **{f"after {name.partition('_')[2]}": f"{{{name}:.4f}}" for name in marks},
        f"as {summary['sampler'].iloc[0]}": _count_or_never("to_reach"),
        "worst": _count_or_never("worst"),
        "epochs": "{epochs:.0f}",
        "time": lambda row: duration(row["seconds"]),
    }
    return _table(columns, summary)


def runs_table(rows: list[dict[str, Any]]) -> Table:
    """The studies of a folder, each with its most accurate network."""
    columns: dict[str, Column] = {
        "study": "{study}",
        "data": "{data_set}",
        "trained": "{trained}/{budget}",
        "front": "{front_size}",
        "best trial": "{best_trial:.0f}",
        "estimated": "{best_estimate:.4f}",
        "measured": "{best_accuracy:.4f}",
        "used": lambda row: duration(row["seconds_used"]),
    }
    return _table(columns, rows)


def layers_table(layers: tuple[Layer, ...], total: Complexity) -> Table:
    """The layer table; batch normalisation counts only in the total."""
    columns: dict[str, Column] = {
        "layer": "{name}",
        "kind": "{kind}",
        "in": "{in_channels}",
        "out": "{out_channels}",
        "size": "{resolution}x{resolution}",
        "FLOPs": _COSTS["FLOPs"],
        "%": lambda row: f"{100 * row['flops'] / total.flops:.1f}",
        "params": _COSTS["params"],
        "% ": lambda row: f"{100 * row['num_params'] / total.num_params:.1f}",
    }
    return _table(columns, (asdict(layer) for layer in layers if layer.num_params))


def _table(columns: Mapping[str, Column], rows: "pd.DataFrame | Iterable[Row]") -> Table:
    """Left-aligns words, and right-aligns numbers."""
    import pandas as pd

    table = Table(box=None)
    for heading in columns:
        # (A trailing space tells a heading from another with the same text.)
        table.add_column(heading.strip(), justify="left" if heading in _WORDS else "right")
    for row in pd.DataFrame(rows).to_dict("records"):
        table.add_row(*(_cell(column, row) for column in columns.values()))
    return table


def _cell(column: Column, row: Row) -> str:
    if callable(column):
        return column(row)
    import pandas as pd

    is_missing = any(pd.isna(row[key]) for key in re.findall(r"{(\w+)", column))
    return "" if is_missing else column.format_map(row)


def _mean(row: Row) -> str:
    """The mean, and half of its interval if there is one."""
    half = row["high"] - row["mean"]
    return f"{row['mean']:.4f}" + ("" if math.isnan(half) else f" ± {half:.4f}")


def _star(row: Row) -> str:
    return "*" if row["on_front"] else ""


def _count_or_never(key: str) -> Column:
    return lambda row: f"{row[key]:.0f}".replace("inf", "never")


_COSTS: dict[str, Column] = {
    "FLOPs": lambda row: count_text(row["flops"]),
    "params": lambda row: count_text(row["num_params"]),
}
_MOST_CLASSES = 20  # lines
_WORDS = {
    "class",
    "study",
    "data",
    "network",
    "score",
    "sampler",
    "layer",
    "kind",
    "front",
    "architecture",
}
