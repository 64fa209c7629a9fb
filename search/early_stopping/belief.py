"""Stopping what a model of all trainings believes to be beaten: the early stopping kind "belief".

A training stops at a rung where even a good end, one and a half standard deviations above what the
model makes of its curve and its network, would not reach what is believed of a finished network that
costs no more. So a search that proposes at random stops half of its trainings, and one that knows what it
does hardly any.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import Architecture
from hgcnet.complexity import count_many
from hgcnet.structure import Ints
from search.pareto import Floats
from search.samplers.accuracy_model import create_model, features_of
from search.samplers.observations import Observer, learn
from search.samplers.parameters import OptunaSpace

LEAST_FINISHED = 8  # networks before anything is stopped: fewer do not tell how curves go on
# Random searches lose about 6 % of their fronts' networks by it; by 1 half as many again or twice as many.
_DEVIATIONS = 1.5


class BeliefRule:
    """Judges trainings of one study; learns from whatever has ended by then.

    Args:
        costs: the objectives that are known exactly, of "flops" and "num_params".
    """

    def __init__(self, space: OptunaSpace, costs: Sequence[str]) -> None:
        self._space = space
        self._costs = costs
        self._model = create_model(space.space, np.random.default_rng(0))
        self._observer = Observer(space)

    def goes_on(
        self, trials: Sequence[FrozenTrial], network: Architecture, curve: Sequence[float]
    ) -> bool:
        """Whether a network may still reach the front, after the epochs (one or more) of its curve."""
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        seen = self._observer.observe(trial for trial in trials if trial.state in ended)
        if len(seen.finished) < LEAST_FINISHED:
            return True
        space = self._space.space
        point = space.point_of(network)[None]
        cheaper = (self._costs_of(seen.finished) <= self._costs_of(point)).all(axis=1)
        if not cheaper.any():
            return True
        so_far = replace(
            seen,
            stopped=np.concatenate([seen.stopped, point]),
            cut_curves=[*seen.cut_curves, np.array(curve)],
        )
        learn(self._model, space, so_far)
        believed, _ = self._model.predict(features_of(space, seen.finished[cheaper]))
        (mean,), (deviation,) = self._model.predict(features_of(space, point))
        return bool(mean + _DEVIATIONS * deviation >= believed.max())

    def _costs_of(self, points: Ints) -> Floats:
        """(N, costs)."""
        space = self._space.space
        flops, num_params = count_many(space.arrays_of(points), space.task)
        counts = {"flops": flops, "num_params": num_params}
        return np.column_stack([counts[cost] for cost in self._costs]).astype(np.float64)
