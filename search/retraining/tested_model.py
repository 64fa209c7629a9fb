"""Results of a trained network on the test split, in its model folder and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from search.training.quality import (
    QUALITY_METRICS,
    Answers,
    ClassScores,
    Confusion,
    class_counts,
    class_scores,
    name_on_test,
)

if TYPE_CHECKING:  # it loads torch, which a report does not need
    from search.training.proxy_training import Evaluation

MAX_CONFUSED = 200  # classes; the matrix of more would take megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedModel:
    """The results of a trained network on the test split."""

    folder: Path  # the model folder
    repetition: int
    test_accuracy: float
    # Model folders of earlier versions lack the rest.
    test_balanced_accuracy: float | None = None
    test_macro_f1: float | None = None
    classes: tuple[ClassScores, ...] = ()
    confusion: Confusion = ()


def metrics_on_test(tested: "Evaluation", class_names: Sequence[str]) -> dict[str, Any]:
    """The part of metrics.json about the test split; `facts_on_test` reads it."""
    counts = class_counts(tested.confusion)
    found: dict[str, Any] = {name_on_test(m): tested.quality(m) for m in QUALITY_METRICS}
    found["test_loss"] = tested.loss
    found["test_classes"] = [asdict(scores) for scores in class_scores(counts, class_names)]
    if len(class_names) <= MAX_CONFUSED:
        found["test_confusion"] = tested.confusion.tolist()
    return found


def facts_on_test(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `TestedModel` that a model folder's metrics have."""
    return {
        **{name: metrics.get(name) for name in map(name_on_test, QUALITY_METRICS)},
        "classes": tuple(ClassScores(**row) for row in metrics.get("test_classes", ())),
        "confusion": tuple(map(tuple, metrics.get("test_confusion", ()))),
    }


def mean_answers(models: Sequence[TestedModel]) -> Answers | None:
    """Over models on the same images: the mean of each score, the sum of the confusions; None if missing."""
    if not models or not all(model.classes for model in models):
        return None
    classes = tuple(
        ClassScores(
            name=of_class[0].name,
            images=of_class[0].images,
            recall=fmean(scores.recall for scores in of_class),
            precision=fmean(scores.precision for scores in of_class),
            f1=fmean(scores.f1 for scores in of_class),
        )
        for of_class in zip(*(model.classes for model in models), strict=True)
    )
    total = np.sum([model.confusion for model in models], axis=0)
    return Answers(
        classes=classes, confusion=tuple(map(tuple, total.tolist())) if total.size else ()
    )
