"""What the driver keeps in Optuna Dashboard: graphs, notes, and the files of the front's networks.

The study has two graphs and a note; each trial of the front has a note, its architecture file and its
learning curve.

All of it is stored in system attributes of the study. Only what differs from what is stored is written,
which also repairs what a killed driver left half written.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import pandas as pd
import tomli_w
from optuna.trial import FrozenTrial

from hgcnet.architecture import architecture_document
from hgcnet.atomic_write import replace_file
from search.dashboard.dashboard_inside import (
    Attributes,
    artifact,
    graph,
    has_note,
    note,
    num_notes,
)
from search.estimation.estimate import estimate_trials
from search.export import architecture_file
from search.optuna_space import OptunaSpace
from search.report.figures import pareto_figure
from search.report.hypervolume import hypervolume_history
from search.results.trials import shown_cost, to_frame
from search.study.writer import StudyWriter
from search.study_file.schema import StudyFile
from search.training.quality import ACCURACY, QUALITY_NAMES
from search.units import count_text

PERIOD = 30.0  # seconds between two updates
MAX_POINTS = 120  # of each kind in a graph
# Trials with a note, while the study runs and at its end; they keep it when they leave the front.
MAX_NOTED, MAX_NOTED_AT_END = 60, 150


class DashboardContent:
    """Keeps the dashboard's content up to date, through the study's writer.

    A failure of the storage raises, as for every write of the study. An artifact that cannot be written is
    left out, reported once, and retried at the next update.
    """

    def __init__(
        self,
        writer: StudyWriter,
        file: StudyFile,
        space: OptunaSpace,
        artifacts: Path,
        say: Callable[[str], None],
    ) -> None:
        self._writer = writer
        self._file = file
        self._space = space
        self._artifacts = artifacts
        self._say = say
        self._num_ended = -1  # trials, at the last update
        self._complete: set[int] = set()  # trials that have their note and all their files
        self._has_failed = False
        self._written_at = 0.0

    def update(self) -> None:
        """Writes, unless it wrote a moment ago."""
        if time.monotonic() - self._written_at >= PERIOD:
            self.write()

    def write(self, *, is_last: bool = False) -> None:
        """Writes what has changed since the last time.

        NSGA-II reads all attributes at each ask, the dashboard scans them for each trial, and none can be
        deleted. So a front that keeps changing gets more notes only at the end.

        Args:
            is_last: whether no more trials will be asked for.

        Raises:
            RunError: the storage failed.
        """
        ended = [trial for trial in self._writer.frozen_trials() if trial.state.is_finished()]
        if is_last or len(ended) != self._num_ended:
            estimated = estimate_trials(ended, self._space)
            frame = to_frame(ended, self._space, self._file.metrics, estimated)
            front = [ended[row] for row in np.flatnonzero(frame["on_front"])]
            stored = self._writer.system_attributes()
            content = self._of_study(frame, stored)
            for trial in self._without_note(front, stored, is_last):
                content |= self._of_trial(trial, stored)
            self._writer.set_system_attributes(content)
            self._num_ended = len(ended)
        self._written_at = time.monotonic()

    def _of_study(self, frame: pd.DataFrame, stored: Mapping[str, Any]) -> Attributes:
        """The study's note and the two graphs: figures of the report, made small."""
        quality = QUALITY_NAMES[self._file.quality_metric]
        pareto = pareto_figure(frame, shown_cost(self._file.costs), MAX_POINTS, quality)
        history = hypervolume_history(frame, self._writer.hypervolume_bounds(), MAX_POINTS)
        (steps,) = history.data or (None,)
        volume = "" if steps is None else f": {steps.y[-1]:.4f} after {steps.x[-1]} trainings"
        titled = {
            "pareto": (pareto, f"Pareto front: {frame['on_front'].sum()} networks"),
            "hypervolume": (history, f"Hypervolume{volume}"),
        }
        content = note(None, study_note(self._file, self._space.space.size), stored)
        for name, (figure, title) in titled.items():
            # The dashboard gives it a card of its own size.
            figure.update_layout(height=None, margin={"l": 70, "r": 20, "t": 95, "b": 50})
            figure.update_layout(title={"text": title, "font": {"size": 16}, "x": 0.02, "y": 0.97})
            content |= graph(name, figure.to_json(), stored)
        return content

    def _without_note(
        self, front: Sequence[FrozenTrial], stored: Mapping[str, Any], is_last: bool
    ) -> list[FrozenTrial]:
        """The trials of the front whose note or files are missing, as many as may have a note."""
        begun = [t for t in front if has_note(self._writer.trial_id(t.number), stored)]
        new = [t for t in front if not has_note(self._writer.trial_id(t.number), stored)]
        most = MAX_NOTED_AT_END if is_last else MAX_NOTED
        room = max(0, most - num_notes(stored))
        return [trial for trial in begun + new[:room] if trial.number not in self._complete]

    def _of_trial(self, trial: FrozenTrial, stored: Mapping[str, Any]) -> Attributes:
        """The note of a trial of the front, and its files once they are written."""
        content: Attributes = {}
        trial_id = self._writer.trial_id(trial.number)
        try:
            self._artifacts.mkdir(exist_ok=True)
            for name, (kind, text) in trial_files(trial, self._file, self._space).items():
                # The same at every attempt, so that a killed driver leaves nothing over.
                source = f"hgcnas {self._file.name} {trial.number} {name}"
                identity = str(uuid5(NAMESPACE_URL, source))
                if not (self._artifacts / identity).exists():
                    replace_file(self._artifacts / identity, text.encode())
                content |= artifact(trial_id, identity, name, kind)
            self._complete.add(trial.number)
        except OSError as error:
            if not self._has_failed:
                self._say(
                    f"{self._artifacts}: cannot be written: {error.strerror}; this is retried"
                )
            self._has_failed = True
        return content | note(trial_id, trial_note(trial, self._file), stored)


def study_note(file: StudyFile, num_points: int) -> str:
    """The study, and the commands for it, in Markdown."""
    return f"""\
# {file.name}

{file.budget.trials} trials by {file.sampler.kind} on {file.data.dataset}, in a space of \
{num_points:,} points; limits: {file.limits.as_text(count_text)}.

- `hgcnas status {file.name}`: counts, the front so far, the time left
- `hgcnas export {file.name} --select knee`: the architecture file of a network (or `best`, \
`max-flops=60e6`, `max-params=1e6`, `--trial N`)
- `hgcnas report {file.name} --open`: everything on one self-contained page
- `hgcnas enqueue {file.name} ARCH.toml`: train this network next

Each trial of the front has a note, its architecture file and its learning curve.

## The study file

```toml
{tomli_w.dumps(dict(file.document)).strip()}
```
"""


def trial_note(trial: FrozenTrial, file: StudyFile) -> str:
    """A trial of the front, in Markdown. It stays true when the trial leaves the front."""
    attributes, metric = trial.user_attrs, file.quality_metric
    quality = "" if metric == ACCURACY else f" {QUALITY_NAMES[metric]}"
    origin = f", {attributes['origin']}" if attributes.get("origin") else ""
    return f"""\
**{attributes["architecture"]}**{origin}

{attributes["curve"][-1]:.4f}{quality} measured after {len(attributes["curve"])} epochs, \
{count_text(attributes["flops"])} FLOPs, {count_text(attributes["num_params"])} params. \
It was on the Pareto front when this was written.

`hgcnas export {file.name} --trial {trial.number} -o trial_{trial.number}.toml`
"""


def trial_files(
    trial: FrozenTrial, file: StudyFile, space: OptunaSpace
) -> dict[str, tuple[str, str]]:
    """The files of a trial by name: their MIME types and texts."""
    curve = enumerate(trial.user_attrs["curve"], start=1)
    rows = [f"epoch,{file.quality_metric}", *(f"{epoch},{accuracy}" for epoch, accuracy in curve)]
    architecture = tomli_w.dumps(architecture_document(architecture_file(trial, file, space)))
    return {
        f"trial_{trial.number}.toml": ("text/plain", architecture),
        f"trial_{trial.number}_curve.csv": ("text/csv", "\n".join([*rows, ""])),
    }
