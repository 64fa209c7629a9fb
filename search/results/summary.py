"""Summary of a stored study: the numbers that `status`, `list`, `run --json` and the report show."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from search.pareto import normalised_hypervolume
from search.results.trials import costs_of, front
from search.study.attributes import DRIVER, failed_for_good
from search.training.quality import QUALITY_NAMES
from search.units import duration

if TYPE_CHECKING:
    from search.results.stored_study import StoredStudy


def summarise_study(stored: "StoredStudy") -> dict[str, Any]:
    """Counts, best network, hypervolume, front and time of a study, as JSON can hold them.

    `best_estimate` and `best_accuracy` are by the study's quality metric; the first is None while there are
    no estimates. The hypervolume is that of the measured qualities.
    """
    frame = stored.trials()
    counts = frame["state"].value_counts()
    finished, stopped = int(counts.get("finished", 0)), int(counts.get("stopped", 0))
    failed = len(failed_for_good(stored.frozen_trials))
    done = frame[frame["state"] == "finished"]
    quality = done["quality"].to_numpy(dtype=np.float64)  # (without rows it would be of objects)
    costs = costs_of(done, stored.file.costs)
    hypervolume = normalised_hypervolume(quality, costs, stored.bounds)
    budget, used, trained = stored.file.budget.trials, stored.seconds_used, finished + stopped
    metric = stored.file.quality_metric
    columns = ["number", "estimated_accuracy", metric, "flops", "num_params"]
    columns += ["architecture", "origin"]
    best = None if done.empty else frame.iloc[stored.select("best")]
    return {
        "study": stored.file.name,
        "data_set": stored.file.data.dataset,
        "quality_metric": metric,
        "budget": budget,
        "trained": trained,
        "finished": finished,
        "stopped": stopped,
        "failed": failed,
        "interrupted": int(counts.get("failed", 0)) - failed,  # they are retried
        "running": int(counts.get("running", 0)),
        "best_trial": None if best is None else int(best["number"]),
        "best_estimate": None if best is None else _or_none(best["estimated_accuracy"]),
        "best_accuracy": None if best is None else float(best["quality"]),
        "hypervolume": _or_none(hypervolume),
        "front_size": int(frame["on_front"].sum()),
        "front": json.loads(front(frame)[columns].to_json(orient="records")),
        "seconds_used": round(used, 1),
        "seconds_left": round(used / trained * max(0, budget - trained), 1) if trained else None,
        "driver": stored.folder.driver,
        # The machine where a driver may be running unseen; None if the run folder is here.
        "driven_elsewhere": None if stored.folder.exists else stored.study.user_attrs.get(DRIVER),
    }


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def _left_out(stored: "StoredStudy") -> str:
    """How many unreadable files the study leaves out, if any."""
    skipped = (stored.data_began_with or {}).get("skipped", 0)
    return f", without {skipped:,} unreadable files" if skipped else ""


def report_facts(stored: "StoredStudy") -> dict[str, str]:
    """The head of the report, by label."""
    summary, file = summarise_study(stored), stored.file
    return {
        "Data set": f"{file.data.dataset}, {file.data.resolution} px{_left_out(stored)}",
        "Proxy": f"{file.proxy.epochs} epochs, {file.proxy.resolution or file.data.resolution} px",
        "Judged by": QUALITY_NAMES[file.quality_metric],
        "Sampler": file.sampler.kind,
        "Limits": file.limits.as_text("{:,.0f}".format),
        "Trained": f"{summary['trained']} of {summary['budget']}",
        "Finished, stopped, failed": (
            f"{summary['finished']}, {summary['stopped']}, {summary['failed']}"
        ),
        "Hypervolume": (
            "unknown" if summary["hypervolume"] is None else f"{summary['hypervolume']:.4f}"
        ),
        "Time used": duration(summary["seconds_used"]),
    }
