"""FeasibleSampler: lets any Optuna sampler propose only feasible networks that were not seen before."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import Architecture
from search.optuna_space import OptunaSpace


class WholeSpaceSampler(BaseSampler):
    """A sampler that proposes all parameters of a network together."""

    _space: OptunaSpace

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The full declared space, from the first trial on."""
        return self._space.distributions

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Never reached: every parameter is in the relative search space."""
        raise AssertionError(f"{param_name} is not a parameter of the space")


class FeasibleSampler(WholeSpaceSampler):
    """Asks `inner` up to `max_tries` times, then draws uniformly from the feasible unseen networks.

    Rejecting inside the sampler, before a trial exists, keeps one row in the study for each
    training, and an inner sampler that repeats its rejected proposals cannot stop the search. With
    `max_tries` 0 every proposal is a uniform draw.

    `seen` holds the fingerprints of everything proposed so far; accepted proposals are added.
    """

    def __init__(
        self,
        space: OptunaSpace,
        seen: set[str],
        rng: np.random.Generator,
        inner: BaseSampler,
        max_tries: int,
    ) -> None:
        self._space = space
        self._seen = seen
        self._rng = rng
        self._inner = inner
        self._max_tries = max_tries
        self._draw: Architecture | None = None

    def prepare(self) -> bool:
        """Draws the next trial's network, for when `inner` has none; False when all networks are seen.

        Call it before each ask: once a trial exists, it needs a network.
        """
        if self._draw is None or self._draw.fingerprint in self._seen:
            self._draw = self._space.space.sample(self._rng, self._seen)
        return self._draw is not None

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Parameters of a feasible network that was not seen before."""
        for _ in range(self._max_tries):
            params = self._propose(study, trial, search_space)
            if not params:  # its start-up phase
                break
            architecture = self._space.decode(params)
            fingerprint = architecture.fingerprint
            if fingerprint not in self._seen and self._space.space.is_feasible(architecture):
                self._seen.add(fingerprint)
                return params
        assert self._draw is not None, "prepare() comes before ask()"
        self._seen.add(self._draw.fingerprint)
        return self._space.encode(self._draw)

    def _propose(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One proposal of `inner`; empty where it has none."""
        params = self._inner.sample_relative(study, trial, search_space)
        if not params:
            return {}
        # NSGA-II leaves out the parameters that it mutates, to be drawn each on its own.
        return {
            name: params[name]
            if name in params
            else self._inner.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Passed on."""
        self._inner.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Passed on."""
        self._inner.after_trial(study, trial, state, values)
