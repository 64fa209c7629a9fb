"""KnownCostSampler: learns the accuracy alone, as FLOPs are known before any training.

It proposes the network that is expected to enlarge the hypervolume most. The accuracy comes from a
Gaussian process; the front from its means, as single accuracies are noisy and the best of many are the
luckiest. It learns from all epochs of a training, also of one that was stopped early. Candidates are some
thousand feasible networks and, in a few rounds of local search, the neighbours of the estimated front and
of the best candidates.
"""

from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from hgcnet.arrays import Floats, Ints
from search.estimation.features import features_of
from search.estimation.gaussian_process import create_accuracy_model
from search.estimation.observations import Observations, TrialReader, flops_of, learn
from search.optuna_space import OptunaSpace
from search.pareto import HypervolumeBounds
from search.samplers.ehvi import expected_improvement, normalised_cost
from space.search_space import SearchSpace

START = 3  # finished trainings before there is a model
_CANDIDATES = 2000
_ROUNDS = 3  # of local search
_KEPT = 20  # the best candidates, from which it goes on
_FRONT = 50  # networks of the front whose neighbours are looked at


class KnownCostSampler(BaseSampler):
    """Proposes by the expected hypervolume improvement in (log FLOPs, accuracy).

    Until START trainings have finished, proposals spread over log FLOPs. The cost of a proposal is
    bounded, however many trials there are: see `AccuracyModel`, and the constants above.

    `seen` holds the fingerprints of everything proposed so far; it is only read.
    """

    def __init__(self, space: OptunaSpace, seen: set[str], seed: int) -> None:
        self._space = space
        self._seen = seen
        self._rng = np.random.default_rng(seed)
        self._model = create_accuracy_model(space.space, self._rng)
        self._observer = TrialReader(space)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The full declared space."""
        return self._space.distributions

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: object
    ) -> object:
        """Never reached: every parameter is in the relative search space."""
        raise AssertionError(f"{param_name} is not a parameter of the space")

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
            candidates, order = self._improve(candidates, seen, _bounds(study, space))
        for row in order:
            architecture = space.architecture_at(candidates[row])
            if architecture.fingerprint not in self._seen:
                return self._space.encode(architecture)
        return {}

    def _spread(self, candidates: Ints, taken: Ints) -> Ints:
        """The candidates by their distance in log FLOPs from what was taken, the farthest first."""
        space = self._space.space
        costs, others = np.log(flops_of(space, candidates)), np.log(flops_of(space, taken))
        if not len(others):
            return np.arange(len(candidates))
        distance = np.abs(costs[:, None] - others).min(axis=1)
        return np.argsort(-distance, kind="stable")

    def _improve(
        self, candidates: Ints, seen: Observations, bounds: HypervolumeBounds
    ) -> tuple[Ints, Ints]:
        """More candidates, and all of them by what they are expected to gain, the most first."""
        space = self._space.space
        learn(self._model, space, seen)
        taken = np.concatenate([seen.finished, seen.pending])
        estimated, _ = self._model.predict(features_of(space, taken))
        cost = normalised_cost(flops_of(space, taken), bounds)
        floor = bounds.reference_accuracy or 0.0

        def gain(points: Ints) -> Floats:
            mean, std = self._model.predict(features_of(space, points))
            flops = normalised_cost(flops_of(space, points), bounds)
            return expected_improvement(mean, std, flops, cost, estimated, floor)

        front = taken[_staircase(cost, estimated)][-_FRONT:]
        candidates = np.concatenate([candidates, space.neighbour_points(front)])
        gains = gain(candidates)
        for _ in range(_ROUNDS):
            best = candidates[np.argsort(-gains, kind="stable")[:_KEPT]]
            found = space.neighbour_points(best)
            candidates = np.concatenate([candidates, found])
            gains = np.concatenate([gains, gain(found)])
        return candidates, np.argsort(-gains, kind="stable")


def _staircase(cost: Floats, accuracy: Floats) -> Ints:
    """The rows (M,) that no cheaper row equals in accuracy, from the cheapest on."""
    order = np.lexsort((-accuracy, cost))
    reached = np.maximum.accumulate(accuracy[order])
    rows: Ints = order[np.concatenate([[True], reached[1:] > reached[:-1]])]
    return rows


def _bounds(study: Study, space: SearchSpace) -> HypervolumeBounds:
    """What the study's hypervolume is measured against; from chance, while that is not known."""
    low, high = space.flops_bounds()
    stored: dict[str, Any] = {"flops_low": low, "flops_high": high, "reference_accuracy": None}
    stored |= study.user_attrs.get("hypervolume", {})
    if stored["reference_accuracy"] is None:
        stored["reference_accuracy"] = 1 / space.task.num_classes
    return HypervolumeBounds(**stored)
