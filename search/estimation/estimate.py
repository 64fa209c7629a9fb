"""Estimated accuracies of a study's networks, by a model that learns from its trials.

The highest of many noisy accuracies is biased upwards. The model of `known_cost`, used whatever the
study's sampler is, draws every accuracy towards those of similar networks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hgcnet.arrays import Floats, Ints
from search.estimation.curve_reading import read_curves
from search.estimation.features import features_of
from search.estimation.gaussian_process import AccuracyModel, create_accuracy_model
from search.optuna_space import OptunaSpace
from space.search_space import SearchSpace

LEAST_FINISHED = 10  # networks; with fewer there is nothing to learn from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observations:
    """The trials of a study as points (n, axes) of its space."""

    finished: Ints
    stopped: Ints  # early
    pending: Ints  # being trained
    curves: list[Floats]  # of the finished ones
    cut_curves: list[Floats]  # of the stopped ones

    @property
    def points(self) -> Ints:
        """All of them."""
        return np.concatenate([self.finished, self.stopped, self.pending])


class TrialReader:
    """Reads the trials of one study repeatedly; decodes each only once."""

    def __init__(self, space: OptunaSpace) -> None:
        self._space = space
        self._points: dict[int, Ints] = {}  # of the trials, by number

    def observe(self, trials: Iterable[FrozenTrial]) -> Observations:
        """The observations of these trials, in the order given."""
        found: dict[TrialState, list[tuple[Ints, Floats]]] = {state: [] for state in TrialState}
        for trial in trials:
            if trial.number not in self._points:
                if (network := self._space.planned_architecture(trial)) is None:
                    continue
                self._points[trial.number] = self._space.space.point_of(network)
            curve = np.array(trial.user_attrs.get("curve", ()), dtype=np.float64)
            found[trial.state].append((self._points[trial.number], curve))
        finished, stopped = found[TrialState.COMPLETE], found[TrialState.PRUNED]
        return Observations(
            finished=self._stack(finished),
            stopped=self._stack(stopped),
            pending=self._stack(found[TrialState.RUNNING]),
            curves=[curve for _, curve in finished],
            cut_curves=[curve for _, curve in stopped],
        )

    def _stack(self, found: list[tuple[Ints, Floats]]) -> Ints:
        points = [point for point, _ in found]
        return np.reshape(points, (-1, len(self._space.space.axes))).astype(np.int64)


def learn(model: AccuracyModel, space: SearchSpace, seen: Observations) -> None:
    """Trains the model on the finished trials, at least LEAST_WHOLE, and the stopped ones, from all
    epochs of their curves."""
    finished, pending = features_of(space, seen.finished), features_of(space, seen.pending)
    ends = np.array([curve[-1] for curve in seen.curves])
    estimated = model.smooth(finished, ends)
    accuracy, uncertainty = read_curves(seen.curves, estimated, seen.cut_curves)
    known = np.concatenate([finished, features_of(space, seen.stopped)])
    model.learn(known, accuracy, pending, uncertainty)


def estimate_trials(trials: Sequence[FrozenTrial], space: OptunaSpace) -> Floats:
    """Posterior means of the accuracies of trials (n,); NaN for unfinished ones, and for all if
    fewer than LEAST_FINISHED have finished. The same trials give the same values."""
    found = np.full(len(trials), np.nan)
    is_finished = np.array([trial.state == TrialState.COMPLETE for trial in trials], dtype=np.bool_)
    if is_finished.sum() < LEAST_FINISHED:
        return found
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    found[is_finished] = estimate_accuracy(space.space, TrialReader(space).observe(ended))
    return found


def estimate_accuracy(space: SearchSpace, seen: Observations) -> Floats:
    """Posterior means of the accuracies of the finished trials (n,), given all observations."""
    model = create_accuracy_model(space, np.random.default_rng(0))
    learn(model, space, seen)
    mean, _ = model.predict(features_of(space, seen.finished))
    return mean
