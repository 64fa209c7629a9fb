"""Retrains the front of a study, longer and with fresh seeds, beside the paper's networks."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from hgcnet.architecture import Architecture
from hgcnet.atomic_write import replace_file, writing
from hgcnet.errors import RunError
from hgcnet.presets import PRESETS
from search.data.data_record import data_difference, read_files, record_data
from search.pareto import choose
from search.results.stored_study import StoredStudy
from search.results.trials import front, known_costs
from search.retraining.compare import evaluate_on_test, summarise_networks
from search.retraining.confirmations import CONFIRMATION
from search.retraining.retraining_loop import RetrainingProgress, retrain
from search.retraining.tested_model import TestedModel
from search.retraining.training_folder import TrainingFolder, locked_folder, repeated
from search.training.quality import QualityMetric
from search.training.recipe import Recipe
from search.versions import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The proxy's result and that of the longer trainings, for each network."""

    recipe: str
    quality_metric: QualityMetric  # of the means, and of the proxy's accuracies and estimates
    # As `summarise_networks` gives it, and: trial (NaN: a preset that the study did not train),
    # proxy_accuracy (measured), proxy_estimate, proxy_rank (by the estimates if there are any), rank (by the
    # means). Both ranks are among the study's networks, from 1.
    networks: pd.DataFrame
    chosen: str | None  # the study's network with the highest mean, by name
    tested: tuple[TestedModel, ...]  # its trainings on the test split; empty until all are done
    is_complete: bool


def networks_to_confirm(
    stored: StoredStudy, select: str | None
) -> tuple[dict[str, Architecture], dict[str, int]]:
    """By name: the front (or the one trial that `select` picks), then the presets within the limits.

    The second value is the trial of each network that the study trained to the end.

    Raises:
        RunError: no trial has finished, or the rule picks none.
    """
    frame = stored.trials()
    numbers = front(frame)["number"].tolist()
    if select is not None or not numbers:
        numbers = [stored.select(select or "best")]
    finished = frame[frame["state"] == "finished"].set_index("fingerprint")["number"]
    names = {network.fingerprint: name for name, network in PRESETS.items()}
    networks = {}
    for number in numbers:
        architecture = stored.architecture(number)
        networks[names.get(architecture.fingerprint, f"trial {number}")] = architecture
    space = stored.space.space
    networks |= {name: network for name, network in PRESETS.items() if space.is_feasible(network)}
    trials = {
        name: int(finished[network.fingerprint])
        for name, network in networks.items()
        if network.fingerprint in finished
    }
    return networks, trials


def confirm_front(
    stored: StoredStudy,
    recipe: Recipe,
    *,
    seeds: int,
    select: str | None,
    ray_address: str | None = None,
    observe: Callable[[RetrainingProgress], None] = lambda progress: None,
) -> Confirmation:
    """Trains the missing networks, and keeps the result in the run folder, under `confirm/`.

    Nothing is written to the study. Once all are trained, the study's network with the highest mean quality
    on the validation images is evaluated on the test split, and no other.

    Raises:
        UserError: there is nothing to confirm, or a training is impossible.
    """
    file = stored.file
    networks, trials = networks_to_confirm(stored, select)
    wanted = repeated(networks, seeds, file.seed)
    _check_same_data(stored, recipe)
    trainings = TrainingFolder(stored.folder.path / "confirm" / recipe.name, recipe)
    with locked_folder(trainings.folder):
        loop = retrain(
            wanted, trainings, file, ray_address=ray_address, observe=observe, keep_states=True
        )
        frame = trainings.frame(wanted, stored.space.space.task)
        table = _with_proxy(
            summarise_networks(frame, file.costs, recipe.quality_metric), trials, stored
        )
        chosen, tested = None, tuple[TestedModel, ...]()
        if loop.is_complete:
            # The most accurate network of the study; of several the cheapest.
            accuracy = np.where(table["trial"].notna(), table["mean"], np.nan)
            row = choose(accuracy, known_costs(table), file.costs, "best")
            chosen = str(table["name"].iloc[row])
            provenance = {
                "study": file.name,
                "trial": trials[chosen],
                **file.data.image_settings,
                "versions": versions(),
            }
            of_chosen = [training for training in wanted if training.name == chosen]
            tested = evaluate_on_test(trainings, of_chosen, provenance, file.workers.gpus)
        result = Confirmation(
            recipe=recipe.text,
            quality_metric=recipe.quality_metric,
            networks=table,
            chosen=chosen,
            tested=tested,
            is_complete=loop.is_complete,
        )
        text = json.dumps(confirmation_document(result))
        with writing(trainings.folder):
            replace_file(trainings.folder / CONFIRMATION, text.encode())
    return result


def _check_same_data(stored: StoredStudy, recipe: Recipe) -> None:
    """Refuses other images than those of the study.

    Raises:
        DataError: there are none.
        RunError: they differ; the message says how.
    """
    if (began_with := stored.data_began_with) is None:
        return
    files = read_files(stored.folder.data_file)
    if difference := data_difference(began_with, record_data(recipe.data), files):
        raise RunError(
            f"{stored.folder.path}: the study began with other data than {recipe.data.root} has now: "
            f"{difference}; bring them back"
        )


def confirmation_document(result: Confirmation) -> dict[str, Any]:
    """As JSON can hold it."""
    return {
        "recipe": result.recipe,
        "quality_metric": result.quality_metric,
        "networks": json.loads(result.networks.to_json(orient="records", double_precision=15)),
        "chosen": result.chosen,
        "tested": [asdict(tested) | {"folder": str(tested.folder)} for tested in result.tested],
        "complete": result.is_complete,
    }


def _with_proxy(
    summary: pd.DataFrame, trials: Mapping[str, int], stored: StoredStudy
) -> pd.DataFrame:
    rows = stored.trials().set_index("number")
    table = summary.assign(trial=summary["name"].map(trials).astype("float64"))
    table["proxy_accuracy"] = table["trial"].map(rows["quality"])
    table["proxy_estimate"] = table["trial"].map(rows["estimated_accuracy"])
    judged = table["proxy_estimate"].fillna(table["proxy_accuracy"])
    means = table["mean"].where(table["trial"].notna())
    table["proxy_rank"], table["rank"] = (
        values.rank(ascending=False, method="min") for values in (judged, means)
    )
    return table
