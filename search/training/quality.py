"""The quality of a network: accuracy, balanced accuracy or macro F1 of its answers. Needs no torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from hgcnet.arrays import Floats, Ints

QualityMetric = Literal["val_accuracy", "val_balanced_accuracy", "val_macro_f1"]
QUALITY_METRICS: tuple[QualityMetric, ...] = get_args(QualityMetric)
ACCURACY: QualityMetric = "val_accuracy"  # the default
QUALITY_NAMES: Mapping[QualityMetric, str] = {
    "val_accuracy": "accuracy",
    "val_balanced_accuracy": "balanced accuracy",
    "val_macro_f1": "macro F1",
}

Confusion = tuple[tuple[int, ...], ...]  # how many images of class i (row) were called j (column)


def name_on_test(metric: QualityMetric) -> str:
    """The name of the metric on the test images."""
    return metric.replace("val_", "test_", 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassCounts:
    """For each of K classes: its images, the images that were taken for it, and those correctly."""

    images: Ints  # (K,)
    called: Ints  # (K,)
    right: Ints  # (K,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """Precision, recall and F1 of one class, as scikit-learn's precision_recall_fscore_support.

    A division by zero gives 0.
    """

    name: str
    images: int
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A network's answers, class by class."""

    classes: tuple[ClassScores, ...]
    confusion: Confusion  # empty if there are too many classes to keep it


def class_counts(confusion: npt.ArrayLike) -> ClassCounts:
    """The counts of a confusion matrix (K, K): a row a true class, a column an answer."""
    matrix = np.asarray(confusion, dtype=np.int64)
    return ClassCounts(images=matrix.sum(1), called=matrix.sum(0), right=matrix.diagonal().copy())


def judge(metric: QualityMetric, counts: ClassCounts) -> float:
    """A quality in [0, 1]; NaN without images."""
    return _MEASURES[metric](counts) if counts.images.sum() else float("nan")


def class_scores(counts: ClassCounts, names: Sequence[str]) -> tuple[ClassScores, ...]:
    """A line for each class, in their order."""
    columns = (counts.images, _recall(counts), _precision(counts), _f1(counts))
    return tuple(
        ClassScores(name=name, images=int(images), recall=recall, precision=precision, f1=f1)
        for name, images, recall, precision, f1 in zip(
            names, *(column.tolist() for column in columns), strict=True
        )
    )


def _accuracy(counts: ClassCounts) -> float:
    return int(counts.right.sum()) / int(counts.images.sum())


def _balanced_accuracy(counts: ClassCounts) -> float:
    """The mean recall of the classes that have images."""
    return float(_recall(counts)[counts.images > 0].mean())


def _macro_f1(counts: ClassCounts) -> float:
    """The mean F1 of the classes that have images, or that an image was taken for."""
    return float(_f1(counts)[(counts.images > 0) | (counts.called > 0)].mean())


_MEASURES: Mapping[QualityMetric, Callable[[ClassCounts], float]] = {
    "val_accuracy": _accuracy,
    "val_balanced_accuracy": _balanced_accuracy,
    "val_macro_f1": _macro_f1,
}


def _recall(counts: ClassCounts) -> Floats:
    return _share(counts.right, counts.images)


def _precision(counts: ClassCounts) -> Floats:
    return _share(counts.right, counts.called)


def _f1(counts: ClassCounts) -> Floats:
    return _share(2 * counts.right, counts.images + counts.called)


def _share(part: Ints, whole: Ints) -> Floats:
    found: Floats = part / np.maximum(whole, 1)
    return found
