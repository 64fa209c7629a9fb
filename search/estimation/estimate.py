"""What a study's model estimates of its finished networks: their accuracies without one training's luck.

The most accurate of many noisy trainings are the luckiest ones too. The model that `known_cost` proposes
by (whatever sampler the study has) draws every accuracy towards those of networks like it.
"""

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hgcnet.arrays import Floats
from search.estimation.features import features_of
from search.estimation.gaussian_process import create_accuracy_model
from search.estimation.observations import Observations, TrialReader, learn
from search.optuna_space import OptunaSpace
from space.search_space import SearchSpace

LEAST_FINISHED = 10  # networks; with fewer there is nothing to learn from


def estimate_trials(trials: Sequence[FrozenTrial], space: OptunaSpace) -> Floats:
    """Posterior means of the accuracies of trials (n,); NaN for what has not finished, and for all of
    them where fewer than LEAST_FINISHED have. The same trials give the same values."""
    found = np.full(len(trials), np.nan)
    is_finished = np.array([trial.state == TrialState.COMPLETE for trial in trials], dtype=np.bool_)
    if is_finished.sum() < LEAST_FINISHED:
        return found
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    found[is_finished] = estimate_accuracy(space.space, TrialReader(space).observe(ended))
    return found


def estimate_accuracy(space: SearchSpace, seen: Observations) -> Floats:
    """Posterior means of the accuracies of what finished (n,), by all that was seen."""
    model = create_accuracy_model(space, np.random.default_rng(0))
    learn(model, space, seen)
    mean, _ = model.predict(features_of(space, seen.finished))
    return mean
