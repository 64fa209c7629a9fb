"""A trial of a study -> the architecture file that rebuilds its network anywhere."""

import platform
from importlib.metadata import version

import pandas as pd

from hgcnet.architecture import ArchitectureFile
from hgcnet.errors import RunError
from search.pareto import choose
from search.stored_study import StoredStudy


def versions() -> dict[str, str]:
    """What a result was made with."""
    packages = ("hgcnas", "torch", "optuna", "ray")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def select_trial(frame: pd.DataFrame, rule: str) -> int:
    """The number of the finished trial that a rule ("knee", "best", "max-flops=60e6") chooses.

    Raises:
        RunError: the rule is unknown, or nothing meets it.
    """
    finished = frame[frame["state"] == "finished"]
    row = choose(finished["val_accuracy"].to_numpy(), finished["flops"].to_numpy("float64"), rule)
    return int(finished["number"].iloc[row])


def export_trial(stored: StoredStudy, number: int) -> ArchitectureFile:
    """The architecture file of one finished trial.

    Raises:
        RunError: there is no such trial, or it did not finish.
    """
    frame = stored.trials()
    rows = frame[frame["number"] == number]
    if rows.empty:
        raise RunError(f"trial {number}: the study has trials 0 to {len(frame) - 1}")
    row = rows.iloc[0]
    if row["state"] != "finished":
        raise RunError(f"trial {number}: it is {row['state']}; only finished trials are exported")
    data = stored.file.data
    return ArchitectureFile(
        architecture=stored.architecture(number),
        task=stored.space.space.task,
        provenance={
            "study": stored.file.name,
            "trial": number,
            "fingerprint": row["fingerprint"],
            "flops": int(row["flops"]),
            "num_params": int(row["num_params"]),
            "val_accuracy": float(row["val_accuracy"]),
            "data_set": data.dataset,
            "epochs": int(row["epochs"]),
            "versions": versions(),
        },
    )
