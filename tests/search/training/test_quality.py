"""What networks are judged by, against scikit-learn's definitions."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from search.training.quality import (
    QUALITY_METRICS,
    QUALITY_NAMES,
    class_counts,
    class_scores,
    judge,
    name_on_test,
)

CLASSES = 6


def drawn() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Labels and answers: balanced, 95 to 5, and with classes that have no image or no answer."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=300)
    yield (
        "balanced",
        labels,
        np.where(rng.random(300) < 0.7, labels, rng.integers(CLASSES, size=300)),
    )
    rare = (rng.random(400) < 0.05).astype(int)
    yield "all of one class", rare, np.zeros(400, dtype=int)
    yield "some of a rare one", rare, np.where(rng.random(400) < 0.9, rare, 1 - rare)
    yield "a class without images", np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    yield "a class that is never named", np.array([0, 1, 2, 2]), np.array([0, 0, 2, 2])
    yield "all wrong", np.array([0, 1, 2]), np.array([1, 2, 0])
    yield "one image", np.array([3]), np.array([3])


@pytest.mark.parametrize(
    ("labels", "answers"), [case[1:] for case in drawn()], ids=[case[0] for case in drawn()]
)
def test_each_quality_is_what_scikit_learn_says(labels: np.ndarray, answers: np.ndarray) -> None:
    counts = class_counts(confusion_matrix(labels, answers, labels=range(CLASSES)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes without images
        expected = {
            "val_accuracy": accuracy_score(labels, answers),
            "val_balanced_accuracy": balanced_accuracy_score(labels, answers),
            "val_macro_f1": f1_score(labels, answers, average="macro", zero_division=0),
        }
    for metric in QUALITY_METRICS:
        assert judge(metric, counts) == pytest.approx(expected[metric], abs=1e-12), metric
    lines = precision_recall_fscore_support(labels, answers, labels=range(CLASSES), zero_division=0)
    names = [f"class {number}" for number in range(CLASSES)]
    found = class_scores(counts, names)
    assert [scores.name for scores in found] == names
    for scores, precision, recall, f1, images in zip(found, *lines, strict=True):
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx(
            (precision, recall, f1)
        )
        assert scores.images == images


def test_the_share_of_the_largest_class_is_no_balanced_accuracy() -> None:
    counts = class_counts([[95, 0], [5, 0]])
    assert judge("val_accuracy", counts) == 0.95
    assert judge("val_balanced_accuracy", counts) == 0.5
    assert judge("val_macro_f1", counts) == pytest.approx(0.4872, abs=1e-4)


def test_of_no_images_there_is_no_quality() -> None:
    counts = class_counts(np.zeros((0, 0), dtype=np.int64))
    assert all(np.isnan(judge(metric, counts)) for metric in QUALITY_METRICS)


def test_every_quality_has_a_name_for_people_and_one_on_the_test_images() -> None:
    assert set(QUALITY_NAMES) == set(QUALITY_METRICS)
    assert [*map(name_on_test, QUALITY_METRICS)] == [
        *("test_accuracy", "test_balanced_accuracy", "test_macro_f1")
    ]
