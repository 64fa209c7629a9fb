"""The confirmations of a run folder, read back for its report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hgcnet.errors import RunError
from hgcnet.presets import PAPER_TEST_ERROR
from search.retraining.tested_model import TestedModel, facts_on_test, mean_answers
from search.training.quality import Answers
from search.training.recipe import FORMAT, Recipe
from search.versions import check_format

CONFIRMATION = "confirm.json"  # in the folder of a recipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confirmed:
    """One confirmation of a run folder, read back."""

    networks: pd.DataFrame  # as `read_confirmations` explains
    tested: Answers | None  # of the chosen network on the test images


def read_confirmations(run: Path) -> dict[str, Confirmed]:
    """Every confirmation of a run folder, by recipe; the longest training last.

    Returns:
        their networks have the columns of `Confirmation.networks`, and two more. test_accuracy is the mean
        over the seeds, for the chosen network alone. paper_error is in percent, for the presets that the
        paper measured, if the recipe is the paper's.
    """
    found = []
    for path in sorted((run / "confirm").glob(f"*/{CONFIRMATION}")):
        try:
            document: Mapping[str, Any] = json.loads(path.read_bytes())
            made_by = json.loads((path.parent / "recipe.json").read_bytes())
            check_format(made_by.get("format"), FORMAT, path.parent)
            recipe, _ = Recipe.from_document(made_by)
            # (The first confirmations have no estimates.)
            networks = pd.DataFrame(
                {"proxy_estimate": np.nan} | dict(pd.DataFrame(document["networks"]))
            )
            tested = [row["test_accuracy"] for row in document["tested"]]
            is_chosen = networks["name"] == document["chosen"]
            networks["test_accuracy"] = np.where(is_chosen, np.mean(tested or [np.nan]), np.nan)
            errors = PAPER_TEST_ERROR[recipe.data.dataset] if recipe.is_the_papers else {}
            networks["paper_error"] = networks["name"].map(errors).astype("float64")
            models = [
                TestedModel(
                    folder=path.parent, repetition=number, **facts_on_test(_as_metrics(row))
                )
                for number, row in enumerate(document["tested"])
            ]
            confirmed = Confirmed(networks=networks, tested=mean_answers(models))
            found.append((float(networks["seconds"].mean()), str(document["recipe"]), confirmed))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RunError(f"{path}: cannot be read: {error}") from error
    return {recipe: kept for _, recipe, kept in sorted(found, key=lambda item: item[:2])}


def _as_metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    """A tested model of a confirmation, in the form of a model folder's metrics."""
    answers = {f"test_{key}": row.get(key, ()) for key in ("classes", "confusion")}
    return {**row, **answers}
