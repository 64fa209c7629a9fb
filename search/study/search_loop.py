"""SearchLoop: what is trained next, what goes on, and when a study is done. Knows no Ray.

Whatever runs the trainings (Ray Tune, or a simulator) calls `next`, `on_epoch`, `on_end` and
`on_failure`; every result goes straight to the StudyWriter.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState

from hgcnet.architecture import Architecture
from hgcnet.complexity import count
from hgcnet.errors import RunError, SpaceError
from search.early_stopping.rungs import Rungs
from search.optuna_space import OptunaSpace
from search.pareto import normalised_hypervolume
from search.study.attributes import STOPPED, failed_for_good
from search.study.budget import BudgetUse
from search.study.progress import Progress
from search.study.writer import StudyWriter
from search.study_file.schema import StudyFile
from search.training.checkpoints import Checkpoints
from search.workers.protocol import Proposal, Retry, Wait

if TYPE_CHECKING:
    from search.early_stopping.front_chance import FrontChance


class SearchLoop:
    """One driver's share of a study, from where it was left to its end."""

    def __init__(
        self,
        file: StudyFile,
        space: OptunaSpace,
        writer: StudyWriter,
        start_with: dict[str, Architecture],
        observe: Callable[[Progress], None] = lambda progress: None,
        next_enqueued: Callable[[], dict[str, Architecture]] = dict,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._file = file
        self._space = space
        self._writer = writer
        self._observe = observe
        self._after_each_event: Callable[[], None] = lambda: None
        self._next_enqueued = next_enqueued
        self._checkpoints = checkpoints
        self._running: dict[int, Proposal] = {}
        self._curves: dict[int, list[float]] = {}
        self._seconds: dict[int, float] = {}
        self._first_trials: dict[str, int] = {}  # fingerprint -> the number it has in the rungs
        self._results: list[tuple[float, ...]] = []  # accuracy and costs of what is finished
        self._hypervolume = math.nan  # of those
        self._stop_requested = False
        self.end_reason = ""

        writer.close_interrupted()
        self._bounds = writer.hypervolume_bounds()
        self._rungs = self._create_rungs()
        self._front_chance = self._create_front_chance()
        self._budget = BudgetUse(file.budget, writer.frozen_trials())
        self._replay()
        self._measure()
        self._budget.start()
        writer.enqueue_retries()
        if checkpoints is not None:
            checkpoints.keep_only(writer.unfinished())
        writer.enqueue(space.space.cheapest(), "cheapest")
        for name, architecture in start_with.items():
            writer.enqueue(architecture, f"start_with: {name}")

    @property
    def has_work(self) -> bool:
        """Whether the budget leaves something to train; `end_reason` says why it does not."""
        self.end_reason = self._reason_to_start_nothing() or ""
        return not self.end_reason

    def next(self) -> Proposal | Wait:
        """What to train next."""
        for name, architecture in self._next_enqueued().items():
            try:
                self._writer.enqueue(architecture, f"enqueued: {name}")
            except SpaceError as error:
                self._changed(f"{name} is not enqueued: {error}")
        wait = Wait.FOR_RUNNING if self._running else Wait.DONE
        if (reason := self._reason_to_start_nothing()) is not None:
            self.end_reason = reason
            return wait
        proposal = self._ask()
        if proposal is None:
            self.end_reason = "every feasible architecture of the space was proposed"
            return wait
        proposal = self._take(proposal)
        self._changed(f"trial {proposal.number} starts: {proposal.architecture}")
        return proposal

    def on_epoch(self, number: int, epoch: int, accuracy: float, seconds: float) -> bool:
        """Takes the result of one epoch; whether the training goes on."""
        proposal = self._running[number]
        accuracy = round(accuracy, 6)  # as it is stored: a resumed study decides from the same
        del self._curves[number][epoch - 1 :]  # of a checkpoint that the worker could not use
        self._curves[number].append(accuracy)
        self._seconds[number] += seconds
        if epoch >= self._file.proxy.epochs:
            return False
        goes_on = self._decide(number, proposal.architecture, epoch, accuracy)
        if self._front_chance is not None and epoch in self._file.rung_epochs:
            goes_on = self._front_chance.goes_on(
                self._writer.frozen_trials(),
                proposal.architecture,
                self._curves[number],
                self._budget.to_come() - 1,
            )
        self._changed()
        # What people asked for is trained to the end: it is what the others are compared with.
        return goes_on or proposal.origin is not None

    def on_checkpoint(self, number: int, state: bytes) -> None:
        """Keeps the state of a training, for the trial that repeats it if this one is cut short."""
        if self._checkpoints is not None:
            self._checkpoints.save(self._running[number].fingerprint, state)

    def on_end(self, number: int) -> None:
        """The training of a trial is over, after its last epoch or where `on_epoch` stopped it."""
        proposal, curve, seconds = self._pop(number)
        if len(curve) < self._file.proxy.epochs:
            self._writer.tell_stopped(proposal, curve, seconds)
            self._drop_checkpoint(proposal)
            self._budget.stopped += 1
            self._changed(f"trial {number} stopped after {len(curve)} epochs at {curve[-1]:.4f}")
            return
        self._writer.tell_finished(proposal, curve, seconds)
        self._drop_checkpoint(proposal)
        self._add_result(proposal.architecture, curve[-1], proposal.origin)
        self._measure()
        self._changed(f"trial {number} finished at {curve[-1]:.4f}: {proposal.architecture}")

    def on_failure(self, number: int, reason: str, retry: Retry = Retry.NO) -> None:
        """The training failed.

        Raises:
            RunError: too many of this driver's trainings failed.
        """
        proposal, curve, seconds = self._pop(number)
        if retry is Retry.ALONE and proposal.alone:
            retry = Retry.NO
        retry = self._writer.tell_failed(proposal, reason, curve, seconds, retry)
        if retry is Retry.SOON:
            self._writer.enqueue_retries()
            self._changed(f"trial {number} is retried: {reason}")
            return
        if retry is Retry.NO:
            self._budget.failed += 1
            self._take_reference(proposal.origin, None)
            self._measure()
            self._drop_checkpoint(proposal)
        self._budget.count_failure()
        self._changed(f"trial {number} {'waits' if retry is Retry.ALONE else 'failed'}: {reason}")
        try:
            self._budget.check_failures(reason)
        except RunError:
            self._stop_requested = True
            raise

    def after_each_event(self, call: Callable[[], None]) -> None:
        """Has this called whenever the study has changed."""
        self._after_each_event = call

    def request_stop(self) -> None:
        """Nothing more is started."""
        self._stop_requested = True
        self.end_reason = "stopped on request"

    @property
    def stop_requested(self) -> bool:
        """Whether the running trainings are to be given up."""
        return self._stop_requested

    def close(self) -> None:
        """Tells what is still running as stopped, to be repeated by the next driver."""
        for number in list(self._running):
            proposal, curve, seconds = self._pop(number)
            self._writer.tell_failed(proposal, STOPPED, curve, seconds, Retry.SOON)
        self._writer.close_interrupted()
        self._writer.enqueue_retries()

    def progress(self, message: str = "") -> Progress:
        """The study now."""
        budget = self._budget
        return Progress(
            budget=budget.trials,
            finished=budget.finished,
            stopped=budget.stopped,
            failed=budget.failed,
            running=len(self._running),
            highest_accuracy=max((result[0] for result in self._results), default=math.nan),
            hypervolume=self._hypervolume,
            seconds=budget.seconds,
            seconds_left=budget.seconds_left,
            message=message,
        )

    def _ask(self) -> Proposal | None:
        """The next proposal. What has to be alone comes last: then nothing waits for its sake."""
        crowded = len(self._writer.due_retries(Retry.ALONE))
        proposal = None
        if self._budget.trained + len(self._running) + crowded < self._budget.trials:
            proposal = self._writer.ask()
        if proposal is None and crowded:
            self._writer.enqueue_retries(Retry.ALONE)
            proposal = self._writer.ask()
        return proposal

    def _take(self, proposal: Proposal) -> Proposal:
        """Takes a proposal among what runs, with the epochs of its checkpoint if it has one."""
        number = proposal.number
        self._running[number], self._curves[number], self._seconds[number] = proposal, [], 0.0
        checkpoint = self._checkpoints and self._checkpoints.load(proposal.fingerprint)
        if checkpoint:
            proposal = replace(proposal, checkpoint=checkpoint.state)
            self._running[number], self._seconds[number] = proposal, checkpoint.seconds
            for epoch, accuracy in enumerate(checkpoint.curve, start=1):
                self._curves[number].append(round(accuracy, 6))
                self._decide(number, proposal.architecture, epoch, self._curves[number][-1])
        return proposal

    def _drop_checkpoint(self, proposal: Proposal) -> None:
        if self._checkpoints is not None:
            self._checkpoints.drop(proposal.fingerprint)

    def _take_reference(self, origin: str | None, accuracy: float | None) -> None:
        """The hypervolume's reference is what the cheapest network reaches, or chance if it failed."""
        if origin != "cheapest" or self._bounds.reference_accuracy is not None:
            return
        chance = 1 / self._space.space.task.num_classes
        self._bounds = self._writer.set_reference_accuracy(chance if accuracy is None else accuracy)

    def _add_result(self, architecture: Architecture, accuracy: float, origin: str | None) -> None:
        """A training reached its last epoch."""
        self._budget.finished += 1
        self._results.append((accuracy, *self._costs(architecture)))
        self._take_reference(origin, accuracy)

    def _measure(self) -> None:
        """The hypervolume of what is finished."""
        rows = np.array(self._results, dtype=np.float64).reshape(-1, 1 + len(self._file.costs))
        self._hypervolume = normalised_hypervolume(rows[:, 0], rows[:, 1:], self._bounds)

    def _reason_to_start_nothing(self) -> str | None:
        if self._stop_requested:
            return "stopped on request"
        return self._budget.reason_to_stop(len(self._running))

    def _create_rungs(self) -> Rungs | None:
        early = self._file.early_stopping
        if early.kind != "moasha":
            return None
        return Rungs(self._file.rung_epochs, early.reduction_factor)

    def _create_front_chance(self) -> "FrontChance | None":
        if self._file.early_stopping.kind != "front_chance":
            return None
        # scikit-learn takes a second to load.
        from search.early_stopping.front_chance import FrontChance

        return FrontChance(self._space, self._file.costs, self._file.proxy.epochs)

    def _decide(self, number: int, architecture: Architecture, epoch: int, accuracy: float) -> bool:
        if self._rungs is None:
            return True
        losses = (1 - accuracy, *map(math.log, self._costs(architecture)))
        # A training that is repeated keeps its place in the rungs.
        first = self._first_trials.setdefault(architecture.fingerprint, number)
        return self._rungs.on_result(first, epoch, losses)

    def _replay(self) -> None:
        """Rebuilds rungs and counts from the stored rows."""
        trials = self._writer.frozen_trials()
        for trial in trials:
            origin = trial.user_attrs.get("origin")
            if failed_for_good(trial):
                self._budget.failed += 1
                self._take_reference(origin, None)
            elif trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
                continue  # an interrupted training comes again, and then reaches the rungs
            # What failed before anything was measured has no curve.
            curve = trial.user_attrs.get("curve", ())
            for epoch, accuracy in enumerate(curve[: self._file.proxy.epochs - 1], start=1):
                self._decide(trial.number, self._space.decode(trial.params), epoch, accuracy)
            if trial.state == TrialState.COMPLETE:
                self._add_result(self._space.decode(trial.params), curve[-1], origin)
            elif trial.state == TrialState.PRUNED:
                self._budget.stopped += 1

    def _costs(self, architecture: Architecture) -> tuple[int, ...]:
        """What it costs by the study's objectives, in their order."""
        counts = count(architecture, self._space.space.task)
        return tuple(getattr(counts, metric) for metric in self._file.costs)

    def _pop(self, number: int) -> tuple[Proposal, list[float], float]:
        return self._running.pop(number), self._curves.pop(number), self._seconds.pop(number)

    def _changed(self, message: str = "") -> None:
        self._observe(self.progress(message))
        self._after_each_event()
