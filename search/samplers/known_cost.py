"""KnownCostSampler: learns the accuracy alone, as FLOPs and params are known before any training.

It proposes the network with the highest expected hypervolume improvement. A Gaussian process
predicts the accuracy. Its means also give the front, as the best of many noisy accuracies is biased
upwards. It learns from all epochs of a training, also of one that was stopped early. Candidates are
some thousand feasible networks and, in a few rounds of local search, the neighbours of the
estimated front and of the best candidates.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from hgcnet.arrays import Floats, Ints
from search.estimation.curve_reading import LEAST_WHOLE
from search.estimation.estimate import Observations, TrialReader, learn
from search.estimation.features import features_of
from search.estimation.gaussian_process import create_accuracy_model
from search.optuna_space import OptunaSpace
from search.pareto import HypervolumeBounds, non_dominated, normalised_costs
from search.samplers.ehvi import expected_improvement
from search.samplers.feasible import WholeSpaceSampler
from search.samplers.stored_bounds import bounds_of, read_bounds

START = LEAST_WHOLE  # finished trainings before there is a model
_CANDIDATES = 2000
_ROUNDS = 3  # of local search
_KEPT = 20  # the best candidates, from which the next round starts
_FRONT = 50  # networks of the front whose neighbours are candidates


class KnownCostSampler(WholeSpaceSampler):
    """Proposes by the expected hypervolume improvement in (log costs, accuracy).

    Until START trainings have finished, proposals spread over the log costs. The cost of a proposal is
    bounded, however many trials there are: see `AccuracyModel`, and the constants above.

    `costs` are the study's objectives beside the accuracy, in their order. `seen` holds the
    fingerprints of everything proposed so far; it is only read.
    """

    def __init__(self, space: OptunaSpace, costs: Sequence[str], seen: set[str], seed: int) -> None:
        self._space = space
        self._costs = costs
        self._seen = seen
        self._rng = np.random.default_rng(seed)
        self._model = create_accuracy_model(space.space, self._rng)
        self._observer = TrialReader(space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, object]:
        """Parameters of a feasible, unseen network; none where all are seen."""
        trials = study.get_trials(deepcopy=False)
        seen = self._observer.observe(t for t in trials if t.number != trial.number)
        space = self._space.space
        candidates = space.draw_points(self._rng, _CANDIDATES)
        if len(seen.finished) < START:
            order = self._spread(candidates, seen.points)
        else:
            candidates, order = self._improve(candidates, seen, self._bounds(study))
        for row in order:
            architecture = space.architecture_at(candidates[row])
            if architecture.fingerprint not in self._seen:
                return self._space.encode(architecture)
        return {}

    def _spread(self, candidates: Ints, taken: Ints) -> Ints:
        """The candidates by their distance from the taken networks, in the mean of the log costs,
        the farthest first."""
        space = self._space.space
        costs, others = (
            np.log(space.costs_of(points, self._costs)).mean(axis=1)
            for points in (candidates, taken)
        )
        if not len(others):
            return np.arange(len(candidates))
        distance = np.abs(costs[:, None] - others).min(axis=1)
        return np.argsort(-distance, kind="stable")

    def _improve(
        self, candidates: Ints, seen: Observations, bounds: HypervolumeBounds
    ) -> tuple[Ints, Ints]:
        """More candidates, and the order of all by expected improvement, the highest first."""
        space = self._space.space
        learn(self._model, space, seen)
        taken = np.concatenate([seen.finished, seen.pending])
        accuracy, _ = self._model.predict(features_of(space, taken))
        costs = normalised_costs(space.costs_of(taken, self._costs), bounds)
        front = np.flatnonzero(non_dominated(np.column_stack([-accuracy, costs])))
        front = front[np.argsort(accuracy[front], kind="stable")]  # the least accurate comes first
        taken, accuracy, costs = taken[front], accuracy[front], costs[front]
        floor = bounds.reference_accuracy or 0.0

        def gain(points: Ints) -> Floats:
            mean, std = self._model.predict(features_of(space, points))
            of_points = normalised_costs(space.costs_of(points, self._costs), bounds)
            return expected_improvement(mean, std, of_points, costs, accuracy, floor)

        candidates = np.concatenate([candidates, space.neighbour_points(taken[-_FRONT:])])
        gains = gain(candidates)
        for _ in range(_ROUNDS):
            best = candidates[np.argsort(-gains, kind="stable")[:_KEPT]]
            found = space.neighbour_points(best)
            candidates = np.concatenate([candidates, found])
            gains = np.concatenate([gains, gain(found)])
        return candidates, np.argsort(-gains, kind="stable")

    def _bounds(self, study: Study) -> HypervolumeBounds:
        """The bounds of the study's hypervolume, from chance while the reference accuracy is unknown."""
        space = self._space.space
        bounds = read_bounds(study, space, self._costs) or bounds_of(space, self._costs, None)
        if bounds.reference_accuracy is None:
            return replace(bounds, reference_accuracy=1 / space.task.num_classes)
        return bounds
