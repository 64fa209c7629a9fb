"""What a stored study comes to: the numbers that `status`, `list`, `run --json` and the report show."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from search.pareto import normalised_hypervolume
from search.results.stored_study import StoredStudy
from search.results.trials import front
from search.study.attributes import failed_for_good
from search.units import duration


def summarise_study(stored: StoredStudy) -> dict[str, Any]:
    """Counts, best accuracy, hypervolume, front and time of a study, as JSON can hold them."""
    frame = stored.trials()
    counts = frame["state"].value_counts()
    finished, stopped = int(counts.get("finished", 0)), int(counts.get("stopped", 0))
    failed = sum(map(failed_for_good, stored.frozen_trials))
    done = frame[frame["state"] == "finished"]
    accuracy, flops = done["val_accuracy"].to_numpy(), done["flops"].to_numpy("float64")
    hypervolume = normalised_hypervolume(accuracy, flops, stored.bounds)
    budget, used, trained = stored.file.budget.trials, stored.seconds_used, finished + stopped
    columns = ["number", "val_accuracy", "flops", "num_params", "architecture", "origin"]
    return {
        "study": stored.file.name,
        "data_set": stored.file.data.dataset,
        "budget": budget,
        "trained": trained,
        "finished": finished,
        "stopped": stopped,
        "failed": failed,
        "interrupted": int(counts.get("failed", 0)) - failed,  # they are repeated
        "running": int(counts.get("running", 0)),
        "best_accuracy": float(accuracy.max()) if len(accuracy) else None,
        "hypervolume": None if np.isnan(hypervolume) else hypervolume,
        "front_size": int(frame["on_front"].sum()),
        "front": json.loads(front(frame)[columns].to_json(orient="records")),
        "seconds_used": round(used, 1),
        "seconds_left": round(used / trained * max(0, budget - trained), 1) if trained else None,
        "driver": stored.folder.driver,
    }


def report_facts(stored: StoredStudy) -> dict[str, str]:
    """The head of the report, by label."""
    summary, file = summarise_study(stored), stored.file
    limits = [f"{k} {v:,.0f}" for k, v in asdict(file.limits).items() if v is not None]
    return {
        "Data set": f"{file.data.dataset}, {file.data.resolution} px",
        "Proxy": f"{file.proxy.epochs} epochs, {file.proxy.resolution or file.data.resolution} px",
        "Sampler": file.sampler.kind,
        "Limits": ", ".join(limits) or "none",
        "Trained": f"{summary['trained']} of {summary['budget']}",
        "Finished, stopped, failed": (
            f"{summary['finished']}, {summary['stopped']}, {summary['failed']}"
        ),
        "Hypervolume": (
            "unknown" if summary["hypervolume"] is None else f"{summary['hypervolume']:.4f}"
        ),
        "Time used": duration(summary["seconds_used"]),
    }
