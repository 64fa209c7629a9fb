"""A trial of a study -> the architecture file that rebuilds its network anywhere."""

import platform
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from hgcnet.architecture import ArchitectureFile
from hgcnet.errors import RunError
from search.pareto import choose
from search.results import STATE_NAMES, shown_accuracy
from search.samplers.parameters import OptunaSpace
from search.stored_study import StoredStudy
from search.study_file import StudyFile


def versions() -> dict[str, str]:
    """What a result was made with."""
    packages = ("hgcnas", "torch", "optuna", "ray")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def select_trial(frame: pd.DataFrame, rule: str) -> int:
    """The number of the finished trial that a rule ("knee", "best", "max-flops=60e6") chooses.

    Where the frame knows what is believed of the accuracies, that decides.

    Raises:
        RunError: the rule is unknown, or nothing meets it.
    """
    finished = frame[frame["state"] == "finished"]
    accuracy, flops = shown_accuracy(finished).to_numpy(), finished["flops"].to_numpy("float64")
    row = choose(accuracy, flops, rule)
    return int(finished["number"].iloc[row])


def export_trial(stored: StoredStudy, number: int) -> ArchitectureFile:
    """The architecture file of one finished trial.

    Raises:
        RunError: there is no such trial, or it did not finish.
    """
    trials = stored.frozen_trials
    if not 0 <= number < len(trials):
        raise RunError(f"trial {number}: the study has trials 0 to {len(trials) - 1}")
    trial = trials[number]
    if trial.state != TrialState.COMPLETE:
        state = STATE_NAMES[trial.state]
        raise RunError(f"trial {number}: it is {state}; only finished trials are exported")
    file = architecture_file(trial, stored.file, stored.space)
    believed = stored.believed_trials()["believed_accuracy"].iloc[number]
    if np.isnan(believed):
        return file
    provenance = {**file.provenance, "believed_accuracy": round(float(believed), 4)}
    return replace(file, provenance=provenance)


def architecture_file(trial: FrozenTrial, file: StudyFile, space: OptunaSpace) -> ArchitectureFile:
    """The architecture file of a finished trial, with where it comes from and what was measured."""
    attributes = trial.user_attrs
    return ArchitectureFile(
        architecture=space.decode(trial.params),
        task=space.space.task,
        provenance={
            "study": file.name,
            "trial": trial.number,
            "fingerprint": attributes["fingerprint"],
            "flops": int(attributes["flops"]),
            "num_params": int(attributes["num_params"]),
            "val_accuracy": float(trial.values[file.metrics.index("val_accuracy")]),
            "data_set": file.data.dataset,
            "epochs": len(attributes["curve"]),
            "versions": versions(),
        },
    )
