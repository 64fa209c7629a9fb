"""The Optuna study of a run: created, continued, asked and told here, and written to nowhere else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import Architecture
from hgcnet.complexity import count
from search.data.data_record import DataRecord
from search.optuna_space import OptunaSpace
from search.pareto import HypervolumeBounds
from search.process_settings import log_levels
from search.samplers.create import create_sampler
from search.samplers.stored_bounds import bounds_of, read_bounds, write_bounds
from search.study.attributes import (
    INTERRUPTED,
    KEPT_EPOCHS,
    RETRY,
    UNPLANNED,
    answer_attributes,
    failed_for_good,
    may_retry,
)
from search.study.same_study import OPTUNA_SILENT, create_or_load
from search.study_file.schema import StudyFile
from search.training.quality import Confusion
from search.training.seeds import sampler_seed, training_seed
from search.workers.protocol import Proposal, Retry


class StudyWriter:
    """The one writer of a study. Opening it creates the study, or checks that it is the same.

    Args:
        data: what the study trains on now; None if the data cannot change.
        files_before: those that it began with, to describe a change.
        identity: what distinguishes a new study from others of its name in a shared database.

    Raises:
        RunError: the stored study was started with another study file, or with other data.
    """

    def __init__(
        self,
        storage: BaseStorage,
        file: StudyFile,
        space: OptunaSpace,
        data: DataRecord | None = None,
        files_before: Mapping[str, int] = MappingProxyType({}),
        identity: str | None = None,
    ) -> None:
        self._file = file
        self._space = space
        self._storage = storage
        self._study = create_or_load(storage, file, space.space.task, data, files_before, identity)
        self._study_id = storage.get_study_id_from_name(file.name)
        trials = self.frozen_trials()
        self._seen = set(self._fingerprints(trials))
        seed = sampler_seed(file.seed, len(trials))
        self._sampler = create_sampler(file.sampler.kind, space, file.costs, self._seen, seed)
        self._study.sampler = self._sampler
        self._asked: dict[int, optuna.Trial] = {}

    def frozen_trials(self) -> list[FrozenTrial]:
        """All rows, oldest first."""
        return self._study.get_trials(deepcopy=False)

    def trial_id(self, number: int) -> int:
        """What Optuna's storage calls a trial."""
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def hypervolume_bounds(self) -> HypervolumeBounds:
        """The stored corner points of the hypervolume; set at the start and never changed."""
        space, costs = self._space.space, self._file.costs
        bounds = read_bounds(self._study, space, costs)
        if bounds is None:
            bounds = bounds_of(space, costs, self._file.reference_accuracy)
            write_bounds(self._study, bounds)
        return bounds

    def set_reference_accuracy(self, accuracy: float) -> HypervolumeBounds:
        """Stores the reference accuracy, once it is known."""
        bounds = replace(self.hypervolume_bounds(), reference_accuracy=accuracy)
        write_bounds(self._study, bounds)
        return bounds

    def system_attributes(self) -> dict[str, Any]:
        """Of the study. They include what Optuna Dashboard shows beside the rows."""
        return self._storage.get_study_system_attrs(self._study_id)

    def set_system_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Writes those that differ from the stored ones, one after another."""
        stored = self.system_attributes()
        for key, value in attributes.items():
            if key not in stored or stored[key] != value:
                self._storage.set_study_system_attr(self._study_id, key, value)

    def close_interrupted(self, kept_epochs: Callable[[str], int] = lambda fingerprint: 0) -> int:
        """Marks trials left running by a dead driver as failed; returns how many there were.

        Args:
            kept_epochs: how many the checkpoint of a network has, by its fingerprint.
        """
        trials = self.frozen_trials()
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        for trial in running:
            attributes: dict[str, Any] = {"failure": UNPLANNED}
            if (network := self._space.planned_architecture(trial)) is not None:
                kept = kept_epochs(network.fingerprint)
                attributes = {"failure": INTERRUPTED} | ({KEPT_EPOCHS: kept} if kept else {})
                if may_retry(trial, trials, kept):
                    attributes[RETRY] = Retry.SOON.value
            for key, value in attributes.items():
                self._storage.set_trial_user_attr(self.trial_id(trial.number), key, value)
            self._study.tell(trial.number, state=TrialState.FAIL)
        return len(running)

    def due_retries(self, retry: Retry) -> list[FrozenTrial]:
        """The failed trials that get this retry and were not enqueued yet."""
        trials = self.frozen_trials()
        repeated = {trial.user_attrs.get("retry_of") for trial in trials}
        return [
            trial
            for trial in trials
            if trial.user_attrs.get(RETRY) == retry.value
            and trial.state == TrialState.FAIL
            and trial.number not in repeated
        ]

    def unfinished(self) -> set[str]:
        """The fingerprints of the networks that are still to be trained."""
        due_retries = [*self.due_retries(Retry.SOON), *self.due_retries(Retry.ALONE)]
        waiting = [trial for trial in self.frozen_trials() if trial.state == TrialState.WAITING]
        return set(self._fingerprints(due_retries + waiting))

    def enqueue_retries(self, retry: Retry = Retry.SOON) -> int:
        """Enqueues the `due_retries`; returns how many."""
        due_retries = self.due_retries(retry)
        for trial in due_retries:
            self._enqueue_retry(trial, alone=retry is Retry.ALONE)
        return len(due_retries)

    def retry_cheapest(self) -> bool:
        """Retries the cheapest network if it failed for good, as the hypervolume needs its accuracy."""
        failed = failed_for_good(self.frozen_trials())
        failed = [trial for trial in failed if trial.user_attrs.get("origin") == "cheapest"]
        for trial in failed:
            self._enqueue_retry(trial)
        return bool(failed)

    def _enqueue_retry(self, trial: FrozenTrial, *, alone: bool = False) -> None:
        attrs = {"retry_of": trial.number}
        if (origin := trial.user_attrs.get("origin")) is not None:
            attrs["origin"] = origin
        if alone or trial.user_attrs.get("alone"):
            attrs["alone"] = True
        self._study.enqueue_trial(self._space.planned_params(trial), user_attrs=attrs)

    def enqueue(self, architecture: Architecture, origin: str) -> bool:
        """Asks for an architecture to be trained next; False if the study has it already."""
        if architecture.fingerprint in self._seen:
            return False
        params = self._space.encode(architecture)
        self._seen.add(architecture.fingerprint)
        self._study.enqueue_trial(params, user_attrs={"origin": origin})
        return True

    @log_levels(OPTUNA_SILENT)
    def ask(self) -> Proposal | None:
        """The next architecture to train; None when every feasible one was proposed."""
        has_waiting = any(t.state == TrialState.WAITING for t in self.frozen_trials())
        if not self._sampler.prepare() and not has_waiting:
            return None
        trial = self._study.ask(self._space.distributions)
        self._asked[trial.number] = trial
        architecture = self._space.decode(trial.params)
        fingerprint = architecture.fingerprint
        self._seen.add(fingerprint)
        return Proposal(
            number=trial.number,
            architecture=architecture,
            fingerprint=fingerprint,
            seed=training_seed(self._file.seed, fingerprint),
            origin=trial.user_attrs.get("origin"),
            alone=trial.user_attrs.get("alone", False),
        )

    def tell_finished(
        self,
        proposal: Proposal,
        curve: Sequence[float],
        seconds: float,
        confusion: Confusion | None = None,
    ) -> None:
        """The training reached its last epoch."""
        found = self._record(proposal, curve, seconds) | {self._file.quality_metric: curve[-1]}
        for key, value in answer_attributes(confusion).items():
            self._asked[proposal.number].set_user_attr(key, value)
        values = [found[metric] for metric in self._file.metrics]
        self._study.tell(self._asked.pop(proposal.number), values)

    def tell_stopped(self, proposal: Proposal, curve: Sequence[float], seconds: float) -> None:
        """The scheduler stopped the training: it has no values and never enters the front."""
        self._record(proposal, curve, seconds)
        self._study.tell(self._asked.pop(proposal.number), state=TrialState.PRUNED)

    def tell_failed(
        self,
        proposal: Proposal,
        reason: str,
        curve: Sequence[float],
        seconds: float,
        retry: Retry = Retry.NO,
        kept_epochs: int = 0,
    ) -> Retry:
        """The training failed. Returns the retry that it gets: NO if its retries are used up.

        Args:
            kept_epochs: how many its checkpoint has.
        """
        self._record(proposal, curve, seconds)
        trial = self._asked.pop(proposal.number)
        trial.set_user_attr("failure", reason)
        if kept_epochs:
            trial.set_user_attr(KEPT_EPOCHS, kept_epochs)
        trials = self.frozen_trials()
        if retry is not Retry.NO and not may_retry(trials[trial.number], trials, kept_epochs):
            retry = Retry.NO
        if retry is not Retry.NO:
            trial.set_user_attr(RETRY, retry.value)
        self._study.tell(trial, state=TrialState.FAIL)
        return retry

    def _record(
        self, proposal: Proposal, curve: Sequence[float], seconds: float
    ) -> dict[str, float]:
        """Writes what was measured, before the tell; returns the counts that are objectives."""
        cost = count(proposal.architecture, self._space.space.task)
        attributes = {
            "architecture": str(proposal.architecture),
            "fingerprint": proposal.fingerprint,
            "flops": cost.flops,
            "num_params": cost.num_params,
            "num_params_total": cost.num_params_total,
            "curve": list(curve),
            "seconds": round(seconds, 3),
        }
        for key, value in attributes.items():
            self._asked[proposal.number].set_user_attr(key, value)
        return {"flops": cost.flops, "num_params": cost.num_params}

    def _fingerprints(self, trials: Sequence[FrozenTrial]) -> Iterator[str]:
        planned = map(self._space.planned_architecture, trials)
        return (network.fingerprint for network in planned if network is not None)
