"""SearchLoop: what is trained next, what continues, and when a study is done. Independent of Ray.

Whatever runs the trainings (Ray Tune, or a simulator) calls `next`, `on_epoch`, `on_end` and
`on_failure`; every result goes straight to the StudyWriter.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from optuna.trial import TrialState

from hgcnet.architecture import Architecture
from hgcnet.complexity import count
from hgcnet.errors import RunError, SpaceError
from search.early_stopping.rungs import Rungs
from search.optuna_space import OptunaSpace
from search.pareto import normalised_hypervolume
from search.study.attributes import OUT_OF_HOURS, STOPPED, failed_for_good
from search.study.budget import BudgetUse
from search.study.progress import Progress
from search.study.writer import StudyWriter
from search.study_file.schema import StudyFile
from search.training.checkpoints import Checkpoints
from search.training.quality import QUALITY_NAMES, Confusion
from search.workers.protocol import Proposal, Retry, Wait


@dataclass(slots=True, kw_only=True)
class _Running:
    """A training that runs, and what is known of it so far."""

    proposal: Proposal
    curve: list[float]
    seconds: float
    confusion: Confusion | None = None  # of its last epoch


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
        self.after_each_event: Callable[[], None] = lambda: None
        self._next_enqueued = next_enqueued
        self._checkpoints = checkpoints
        self._running: dict[int, _Running] = {}  # by the number of the trial
        self._first_trials: dict[str, int] = {}  # fingerprint -> the number it has in the rungs
        self._results: list[tuple[float, ...]] = []  # accuracy and costs of what is finished
        self._hypervolume = math.nan  # of those
        self._stop_reason: str | None = None
        self.end_reason = "nothing is left to train"  # unless another one is set

        writer.close_interrupted(self._kept_epochs)
        self._bounds = writer.hypervolume_bounds()
        early = file.early_stopping
        self._rungs: Rungs | None = None
        if early.kind == "moasha":
            self._rungs = Rungs(file.rung_epochs, early.reduction_factor)
        self._front_chance = None
        if early.kind == "front_chance":
            # scikit-learn takes a second to load.
            from search.early_stopping.front_chance import FrontChance

            self._front_chance = FrontChance(space, file.costs, file.proxy.epochs)
        self._budget = BudgetUse(file.budget, writer.frozen_trials())
        needs_cheapest = file.reference_accuracy is None and self.has_work
        if needs_cheapest and writer.retry_cheapest():
            self._budget = BudgetUse(file.budget, writer.frozen_trials())  # one less failed
        self._replay()
        self._measure()
        writer.enqueue_retries()
        if checkpoints is not None:
            checkpoints.keep_only(writer.unfinished())
        writer.enqueue(space.space.cheapest(), "cheapest")
        for name, architecture in start_with.items():
            writer.enqueue(architecture, f"start_with: {name}")

    @property
    def has_work(self) -> bool:
        """Whether the budget leaves something to train; `end_reason` says why it does not."""
        reason = self._reason_to_start_nothing()
        self.end_reason = reason or self.end_reason
        return reason is None

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
            self.end_reason = "every feasible architecture of the space has been proposed"
            return wait
        proposal = self._take(proposal)
        self._changed(f"trial {proposal.number} starts: {proposal.architecture}")
        return proposal

    def on_confusion(self, number: int, confusion: Confusion) -> None:
        """Takes the confusion matrix after the last epoch."""
        self._running[number].confusion = confusion

    def on_epoch(self, number: int, epoch: int, quality: float, seconds: float) -> bool:
        """Takes the result of one epoch; returns whether the training continues."""
        self._budget.count_epoch()
        training = self._running[number]
        network, curve = training.proposal.architecture, training.curve
        accuracy = round(quality, 6)  # as it is stored: a resumed study decides from the same
        curve[epoch - 1 :] = [accuracy]  # in place of a checkpoint that the worker could not use
        training.seconds += seconds
        if epoch >= self._file.proxy.epochs:
            return False
        goes_on = self._decide(number, network, epoch, accuracy)
        if self._front_chance is not None and epoch in self._file.rung_epochs:
            trials, to_come = self._writer.frozen_trials(), self._budget.to_come() - 1
            goes_on = self._front_chance.goes_on(trials, network, curve, to_come)
        self._changed()
        # Networks that people asked for are trained to the end: the others are compared with them.
        return goes_on or training.proposal.origin is not None

    def on_checkpoint(self, number: int, state: bytes) -> None:
        """Keeps the state of a training, for its retry if this trial is interrupted."""
        if self._checkpoints is not None:
            self._checkpoints.save(self._running[number].proposal.fingerprint, state)

    def on_end(self, number: int) -> None:
        """The training of a trial is over, after its last epoch or where `on_epoch` stopped it."""
        confusion = self._running[number].confusion
        proposal, curve, seconds = self._pop(number)
        network, accuracy = proposal.architecture, curve[-1]
        is_finished = len(curve) >= self._file.proxy.epochs
        if is_finished:
            self._writer.tell_finished(proposal, curve, seconds, confusion)
        else:
            self._writer.tell_stopped(proposal, curve, seconds)
        self._drop_checkpoint(proposal)
        if is_finished:
            self._budget.finished += 1
            self._add_result(network, accuracy, proposal.origin)
            self._measure()
            self._changed(f"trial {number} finished at {accuracy:.4f}: {network}")
        else:
            self._budget.stopped += 1
            self._changed(f"trial {number} stopped after {len(curve)} epochs at {accuracy:.4f}")

    def on_failure(self, number: int, reason: str, retry: Retry = Retry.NO) -> None:
        """The training failed.

        Raises:
            RunError: too many of this driver's trainings failed.
        """
        proposal, curve, seconds = self._pop(number)
        if retry is Retry.ALONE and proposal.alone:
            retry = Retry.NO
        kept = self._kept_epochs(proposal.fingerprint)
        retry = self._writer.tell_failed(proposal, reason, curve, seconds, retry, kept)
        if retry is Retry.SOON:
            self._writer.enqueue_retries()
            self._changed(f"trial {number} is retried: {reason}")
            return
        if retry is Retry.NO:
            self._budget.failed += 1
            self._take_reference(proposal.origin, None)
            self._measure()
            self._drop_checkpoint(proposal)
        self._changed(f"trial {number} {'waits' if retry is Retry.ALONE else 'failed'}: {reason}")
        try:
            self._budget.count_failure(reason)
        except RunError as error:
            self.request_stop(str(error))
            raise

    def request_stop(self, reason: str) -> None:
        """Nothing more is started."""
        self._stop_reason = self.end_reason = reason

    @property
    def stop_requested(self) -> bool:
        """Whether the running trainings are to be stopped: on request, or as the study's hours are used."""
        return self._stop_reason is not None or self._budget.is_out_of_hours

    @property
    def is_stopped(self) -> bool:
        """Whether it ended on request."""
        return self._stop_reason is not None

    def close(self) -> None:
        """Tells running trainings as stopped, for the next driver to resume."""
        reason = STOPPED if self.is_stopped else OUT_OF_HOURS
        self.end_reason = self._reason_to_start_nothing() or self.end_reason
        for number in list(self._running):
            proposal, curve, seconds = self._pop(number)
            kept = self._kept_epochs(proposal.fingerprint)
            self._writer.tell_failed(proposal, reason, curve, seconds, Retry.SOON, kept)
        self._writer.close_interrupted(self._kept_epochs)
        self._writer.enqueue_retries()

    def progress(self, message: str = "") -> Progress:
        """The study now."""
        budget = self._budget
        return Progress(
            budget=self._file.budget.trials,
            finished=budget.finished,
            stopped=budget.stopped,
            failed=budget.failed,
            running=len(self._running),
            highest_accuracy=max((result[0] for result in self._results), default=math.nan),
            hypervolume=self._hypervolume,
            seconds=budget.seconds,
            seconds_left=budget.seconds_left,
            message=message,
            quality=QUALITY_NAMES[self._file.quality_metric],
        )

    def _ask(self) -> Proposal | None:
        """The next proposal. Trainings that have to be alone come last, so that nothing waits for them."""
        crowded = len(self._writer.due_retries(Retry.ALONE))
        proposal = None
        if self._budget.trained + len(self._running) + crowded < self._file.budget.trials:
            proposal = self._writer.ask()
        if proposal is None and crowded:
            self._writer.enqueue_retries(Retry.ALONE)
            proposal = self._writer.ask()
        return proposal

    def _take(self, proposal: Proposal) -> Proposal:
        """Adds a proposal to the running trainings, with the epochs of its checkpoint if it has one."""
        curve, seconds = [], 0.0
        if checkpoint := self._checkpoints and self._checkpoints.load(proposal.fingerprint):
            proposal, seconds = replace(proposal, checkpoint=checkpoint.state), checkpoint.seconds
            curve = [round(accuracy, 6) for accuracy in checkpoint.curve]
            for epoch, accuracy in enumerate(curve, start=1):
                self._decide(proposal.number, proposal.architecture, epoch, accuracy)
        self._running[proposal.number] = _Running(proposal=proposal, curve=curve, seconds=seconds)
        return proposal

    def _kept_epochs(self, fingerprint: str) -> int:
        """How many epochs the checkpoint of a network has."""
        checkpoint = self._checkpoints and self._checkpoints.load(fingerprint)
        return len(checkpoint.curve) if checkpoint else 0

    def _drop_checkpoint(self, proposal: Proposal) -> None:
        if self._checkpoints is not None:
            self._checkpoints.drop(proposal.fingerprint)

    def _take_reference(self, origin: str | None, accuracy: float | None) -> None:
        """Sets the hypervolume's reference: the accuracy of the cheapest network or, while it has
        failed, chance."""
        if origin != "cheapest" or self._file.reference_accuracy is not None:
            return
        known = self._bounds.reference_accuracy
        if accuracy is None:
            accuracy = 1 / self._space.space.task.num_classes if known is None else known
        if accuracy != known:
            self._bounds = self._writer.set_reference_accuracy(accuracy)

    def _add_result(self, architecture: Architecture, accuracy: float, origin: str | None) -> None:
        """A training reached its last epoch."""
        self._results.append((accuracy, *self._costs(architecture)))
        self._take_reference(origin, accuracy)

    def _measure(self) -> None:
        """Computes the hypervolume of the finished trials."""
        rows = np.array(self._results, dtype=np.float64).reshape(-1, 1 + len(self._file.costs))
        self._hypervolume = normalised_hypervolume(rows[:, 0], rows[:, 1:], self._bounds)

    def _reason_to_start_nothing(self) -> str | None:
        if self._stop_reason is not None:
            return self._stop_reason
        return self._budget.reason_to_stop(len(self._running))

    def _decide(self, number: int, architecture: Architecture, epoch: int, accuracy: float) -> bool:
        if self._rungs is None:
            return True
        losses = (1 - accuracy, *map(math.log, self._costs(architecture)))
        # A retried training keeps its place in the rungs.
        first = self._first_trials.setdefault(architecture.fingerprint, number)
        return self._rungs.on_result(first, epoch, losses)

    def _replay(self) -> None:
        """Rebuilds rungs and results from the stored rows."""
        trials = self._writer.frozen_trials()
        failed = {trial.number for trial in failed_for_good(trials)}
        for trial in trials:
            origin = trial.user_attrs.get("origin")
            if trial.number in failed:
                self._take_reference(origin, None)
            elif trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
                continue  # an interrupted training is retried, and then reaches the rungs
            # What failed before anything was measured has no curve.
            curve = trial.user_attrs.get("curve", ())
            for epoch, accuracy in enumerate(curve[: self._file.proxy.epochs - 1], start=1):
                self._decide(trial.number, self._space.decode(trial.params), epoch, accuracy)
            if trial.state == TrialState.COMPLETE:
                self._add_result(self._space.decode(trial.params), curve[-1], origin)

    def _costs(self, architecture: Architecture) -> tuple[int, ...]:
        """Its costs by the study's objectives, in their order."""
        counts = count(architecture, self._space.space.task)
        return tuple(getattr(counts, metric) for metric in self._file.costs)

    def _pop(self, number: int) -> tuple[Proposal, list[float], float]:
        training = self._running.pop(number)
        return training.proposal, training.curve, training.seconds

    def _changed(self, message: str = "") -> None:
        self._observe(self.progress(message))
        self.after_each_event()
