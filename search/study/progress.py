"""The state of a running study at one moment, and its text."""

import math
from dataclasses import dataclass

from search.training.quality import ACCURACY, QUALITY_NAMES
from search.units import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The study at one moment."""

    budget: int
    finished: int
    stopped: int
    failed: int
    running: int
    highest_accuracy: float  # measured; NaN while nothing is finished
    hypervolume: float  # of what was measured; NaN until the reference accuracy is known
    seconds: float  # since this driver began
    seconds_left: float  # NaN while nothing was trained since then
    message: str = ""  # what just happened, in a few words
    quality: str = QUALITY_NAMES[ACCURACY]  # the name of the quality in `highest_accuracy`

    @property
    def trained(self) -> int:
        """What the budget counts."""
        return self.finished + self.stopped


def progress_lines(progress: "Progress") -> tuple[str, str]:
    """Counts and the time left; the results so far. Each in less than 80 columns."""
    counts = f"{progress.trained}/{progress.budget} trained"
    if progress.stopped:
        counts += f" ({progress.stopped} stopped)"
    if progress.failed:
        counts += f", {progress.failed} failed"
    if progress.running:
        counts += f", {progress.running} running"
    if progress.seconds_left > 0:  # it may be NaN
        counts += f", {duration(progress.seconds_left)} left"
    found = []
    if not math.isnan(progress.highest_accuracy):
        found.append(f"highest {progress.quality} {progress.highest_accuracy:.4f}")
    if not math.isnan(progress.hypervolume):
        found.append(f"hypervolume {progress.hypervolume:.4f}")
    return counts, ", ".join(found)


def progress_line(progress: "Progress") -> str:
    """Both in one."""
    return ", ".join(line for line in progress_lines(progress) if line)
