"""What a study's model believes of its finished networks: their accuracies without one training's luck.

The most accurate of many noisy trainings are the luckiest ones too. The model that `known_cost` proposes
by (whatever sampler the study has) draws every accuracy towards those of networks like it.
"""

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.pareto import Floats
from search.samplers.accuracy_model import create_model, features_of
from search.samplers.observations import Observations, Observer, learn
from search.samplers.parameters import OptunaSpace
from space.search_space import SearchSpace

LEAST_FINISHED = 10  # networks; with fewer there is nothing to learn from


def believed_accuracy(trials: Sequence[FrozenTrial], space: OptunaSpace) -> Floats:
    """Posterior means of the accuracies of trials (n,); NaN for what has not finished, and for all of
    them where fewer than LEAST_FINISHED have. The same trials give the same values."""
    found = np.full(len(trials), np.nan)
    is_finished = np.array([trial.state == TrialState.COMPLETE for trial in trials], dtype=np.bool_)
    if is_finished.sum() < LEAST_FINISHED:
        return found
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    found[is_finished] = believe(space.space, Observer(space).observe(ended))
    return found


def believe(space: SearchSpace, seen: Observations) -> Floats:
    """Posterior means of the accuracies of what finished (n,), by all that was seen."""
    model = create_model(space, np.random.default_rng(0))
    learn(model, space, seen)
    mean, _ = model.predict(features_of(space, seen.finished))
    return mean
