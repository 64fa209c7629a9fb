"""Stops trainings with almost no chance of the final front: the early stopping kind "front_chance".

A training stops at a rung if its chance of being on the final front is not worth the epochs that it
has left. The chance is the probability, by the accuracy model and the training's curve, that no
network of at most its cost is more accurate: among the finished ones, and as many random ones as
the budget still allows. A random search stops half of its trainings in this way, a model-based one
hardly any.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import Architecture
from hgcnet.arrays import Floats
from search.estimation.estimate import TrialReader, learn
from search.estimation.features import features_of
from search.estimation.gaussian_process import create_accuracy_model
from search.optuna_space import OptunaSpace

LEAST_FINISHED = 16  # networks before anything is stopped: fewer do not show how curves continue
# The least chance that is worth a whole training; half of it is worth half of the epochs.
_LEAST_CHANCE = 0.01
_DRAWS = 2000  # of the accuracies: a chance of 0.01 has a standard error of 0.002
_RIVALS = 50  # finished networks, and future ones, to compare a training with: a bound on the cost
_TO_COME = 1000  # random networks that represent the future ones, however many


class FrontChance:
    """Judges trainings of one study; learns from those that have ended.

    Args:
        costs: the objectives that are known exactly, of "flops" and "num_params".
        epochs: of a whole training.
    """

    def __init__(self, space: OptunaSpace, costs: Sequence[str], epochs: int) -> None:
        self._space = space
        self._costs = costs
        self._epochs = epochs
        self._model = create_accuracy_model(space.space, np.random.default_rng(0))
        self._observer = TrialReader(space)
        others = space.space.draw_points(np.random.default_rng(0), _TO_COME)
        self._others = features_of(space.space, others)
        self._costs_of_others = space.space.costs_of(others, costs)

    def goes_on(
        self,
        trials: Sequence[FrozenTrial],
        network: Architecture,
        curve: Sequence[float],
        to_come: int,
    ) -> bool:
        """Whether a training continues, after the epochs (one or more) of its curve.

        Args:
            to_come: how many more networks will be trained.
        """
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        seen = self._observer.observe(trial for trial in trials if trial.state in ended)
        if len(seen.finished) < LEAST_FINISHED:
            return True
        space = self._space.space
        point = space.point_of(network)[None]
        costs = space.costs_of(point, self._costs)
        cheaper = (space.costs_of(seen.finished, self._costs) <= costs).all(axis=1)
        if not cheaper.any():
            return True
        so_far = replace(
            seen,
            stopped=np.concatenate([seen.stopped, point]),
            cut_curves=[*seen.cut_curves, np.array(curve)],
        )
        learn(self._model, space, so_far)
        own, finished = features_of(space, point), features_of(space, seen.finished[cheaper])
        others = self._others[:to_come]
        no_dearer = (self._costs_of_others[:to_come] <= costs).all(axis=1)
        others = others[no_dearer & (others != own).any(axis=1)]
        together = np.concatenate([own, self._most_accurate(finished), self._most_accurate(others)])
        # The same numbers each time: a decision depends on the trainings alone.
        drawn = self._model.draw(together, _DRAWS, np.random.default_rng(0))
        chance = float(np.mean(drawn[:, 0] >= drawn[:, 1:].max(axis=1)))
        return chance >= _LEAST_CHANCE * (self._epochs - len(curve)) / self._epochs

    def _most_accurate(self, features: Floats) -> Floats:
        """At most `_RIVALS` of these networks, the most accurate by estimate."""
        if len(features) <= _RIVALS:
            return features
        estimated, _ = self._model.predict(features)
        return features[np.argsort(-estimated, kind="stable")[:_RIVALS]]
