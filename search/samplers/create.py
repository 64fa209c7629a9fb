"""The samplers by the name that a study file gives them, all behind the feasible wrapper."""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from search.optuna_space import OptunaSpace
from search.samplers.feasible import FeasibleSampler


def _tpe(space: OptunaSpace, costs: Sequence[str], seen: set[str], seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _gp(space: OptunaSpace, costs: Sequence[str], seen: set[str], seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # before Optuna 5
        return GPSampler(seed=seed)


def _known_cost(space: OptunaSpace, costs: Sequence[str], seen: set[str], seed: int) -> BaseSampler:
    from search.samplers.known_cost import KnownCostSampler  # scikit-learn takes a second to load

    return KnownCostSampler(space, costs, seen, seed)


_Create = Callable[[OptunaSpace, Sequence[str], set[str], int], BaseSampler]

# The number is how often the sampler is asked before a uniform draw replaces its rejected
# proposals. The GP is asked less often: its next proposal is nearly the same, and costs half a
# second.
_SAMPLERS: Mapping[str, tuple[_Create, int]] = {
    "random": (lambda space, costs, seen, seed: RandomSampler(seed=seed), 0),
    "tpe": (_tpe, 32),
    # A population of 20 reached random search's hypervolume earlier than Optuna's default of 50.
    "nsga2": (lambda space, costs, seen, seed: NSGAIISampler(seed=seed, population_size=20), 32),
    "gp": (_gp, 3),
    "known_cost": (_known_cost, 1),  # it knows what is feasible and seen
}


def create_sampler(
    kind: str, space: OptunaSpace, costs: Sequence[str], seen: set[str], seed: int
) -> FeasibleSampler:
    """A sampler of the named kind that proposes only feasible networks outside `seen`.

    `costs` are the study's objectives beside the accuracy.
    """
    create, max_tries = _SAMPLERS[kind]
    inner_seed, draw_seed = np.random.SeedSequence(seed).generate_state(2).tolist()
    inner = create(space, costs, seen, inner_seed)
    return FeasibleSampler(space, seen, np.random.default_rng(draw_seed), inner, max_tries)
