"""A trial of a study -> the architecture file that rebuilds its network anywhere."""

from dataclasses import replace

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import ArchitectureFile
from hgcnet.errors import RunError
from search.optuna_space import OptunaSpace
from search.results.stored_study import StoredStudy
from search.results.trials import STATE_NAMES
from search.study_file.schema import StudyFile
from search.versions import versions


def export_trial(stored: StoredStudy, number: int) -> ArchitectureFile:
    """The architecture file of one finished trial.

    Raises:
        RunError: there is no such trial, or it did not finish.
    """
    trials = stored.frozen_trials
    if not 0 <= number < len(trials):
        raise RunError(f"trial {number}: does not exist; the study has 0 to {len(trials) - 1}")
    trial = trials[number]
    if trial.state != TrialState.COMPLETE:
        state = STATE_NAMES[trial.state]
        raise RunError(f"trial {number}: is {state}; only finished trials can be exported")
    file = architecture_file(trial, stored.file, stored.space)
    estimated = stored.trials()["estimated_accuracy"].iloc[number]
    if np.isnan(estimated):
        return file
    provenance = {**file.provenance, "estimated_accuracy": round(float(estimated), 4)}
    return replace(file, provenance=provenance)


def architecture_file(trial: FrozenTrial, file: StudyFile, space: OptunaSpace) -> ArchitectureFile:
    """The architecture file of a finished trial, with its provenance and what was measured."""
    attributes, metric = trial.user_attrs, file.quality_metric
    return ArchitectureFile(
        architecture=space.decode(trial.params),
        task=space.space.task,
        provenance={
            "study": file.name,
            "trial": trial.number,
            "fingerprint": attributes["fingerprint"],
            "flops": int(attributes["flops"]),
            "num_params": int(attributes["num_params"]),
            metric: float(trial.values[file.metrics.index(metric)]),
            "data_set": file.data.dataset,
            **file.data.image_settings,
            "epochs": len(attributes["curve"]),
            "versions": versions(),
        },
    )
