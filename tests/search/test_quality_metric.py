"""A study judged by balanced accuracy or macro F1: stored, shown and exported as what it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import search
from hgcnet.errors import RunError
from search.dashboard.content import study_note, trial_note
from search.optuna_space import OptunaSpace
from search.prepare import prepare
from search.results.stored_study import read_study
from search.simulation.table import write_table
from search.simulation.virtual_clock import read_tabulated_space
from search.study.attributes import (
    MAX_CONFUSED,
    MAX_COUNTED,
    answer_attributes,
    answers_of,
)
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.study_file.reading import read_study_file
from search.training.quality import QualityMetric, class_counts, judge
from search.training.recipe import Recipe
from search.workers.in_process import train_here
from space.search_space import SearchSpace
from tests.parts.commands import hgcnas
from tests.parts.opened import closed

pytestmark = pytest.mark.filterwarnings("ignore::search.data.inspection.DataWarning")

STUDY = """
name = "rare"
objectives = ["{metric}", "flops"]
[budget]
trials = 3
[data]
dataset = "npz"
root = "{root}"
resolution = 8
[space]
stem_channels = 4
bottleneck = 1
depth = 1
groups = {{ choice = [1, 2] }}
growth = {{ choice = [4, 8] }}
[sampler]
kind = "random"
[proxy]
epochs = 2
batch_size = 32
class_weights = "balanced"
"""
EVEN: list[QualityMetric] = ["val_balanced_accuracy", "val_macro_f1"]


@pytest.fixture(scope="module")
def rare(digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ones among the digits, and a few eights."""
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == 1), np.flatnonzero(labels == 8)[:20]])
    path = tmp_path_factory.mktemp("rare") / "rare.npz"
    np.savez(path, images=images[rows], labels=(labels[rows] == 8).astype(np.int64))
    return path


LONG = [pytest.param(metric, marks=pytest.mark.long) for metric in ("val_accuracy", "val_macro_f1")]


@pytest.fixture(scope="module", params=["val_balanced_accuracy", *LONG])
def study(
    request: pytest.FixtureRequest, rare: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """The metric, and the folder with rare.toml and, under runs, its study at its end."""
    tmp_path = tmp_path_factory.mktemp("study")
    path = tmp_path / "rare.toml"
    path.write_text(STUDY.format(metric=request.param, root=rare), encoding="utf-8")
    prepared = prepare(read_study_file(path))
    folder = RunFolder(tmp_path / "runs" / "rare")
    folder.create(prepared.file.document, {})
    file = prepared.file
    with closed(open_writer(folder.storage_url(None), "rare")) as storage:
        task = replace(prepared.space.space.task, class_names=("one", "<eight>"))
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
        writer = StudyWriter(storage, file, space)
        loop = SearchLoop(file, space, writer, {})
        splits = Recipe(data=file.data, proxy=file.proxy).load()
        train_here(loop, splits, file.proxy, file.workers, quality_metric=file.quality_metric)
        assert loop.progress().highest_accuracy == max(
            trial.values[0] for trial in writer.frozen_trials()
        )
    return request.param, tmp_path


def test_a_study_is_judged_by_its_own_metric_wherever_it_is_read(study: tuple[str, Path]) -> None:
    metric, folder = study
    stored = read_study(RunFolder(folder / "runs" / "rare"))
    assert stored.study.metric_names == [metric, "flops"]
    assert stored.study.directions[0] == optuna.study.StudyDirection.MAXIMIZE
    frame = search.load_trials("rare", runs=folder / "runs")
    assert (frame["quality"] == frame[metric]).all()
    for trial, row in zip(stored.frozen_trials, frame.to_dict("records"), strict=True):
        assert trial.state == TrialState.COMPLETE
        counts = class_counts(trial.user_attrs["confusion"])
        found = {name: judge(name, counts) for name in ("val_accuracy", *EVEN)}
        assert trial.values[0] == pytest.approx(found[metric], abs=1e-6)
        assert trial.user_attrs["curve"][-1] == trial.values[0]
        assert {name: row[name] for name in found} == pytest.approx(found, abs=1e-6)

    def run(*arguments: str) -> Any:
        return hgcnas(*arguments, "--json", "--runs", str(folder / "runs"), cwd=folder).json

    status = run("status", "rare")
    assert status["quality_metric"] == metric
    assert status["best_accuracy"] == frame["quality"].max()
    assert {metric} == {name for name in status["front"][0] if name.startswith("val_")}
    exported = run("export", "rare", "-o", "best.toml")
    assert exported[metric] == status["best_accuracy"]
    said = hgcnas("status", "rare", "--runs", str(folder / "runs"), cwd=folder).output
    assert f"{status['best_accuracy']:.4f}" in said
    best = stored.frozen_trials[status["best_trial"]]
    assert f"{status['best_accuracy']:.4f}" in trial_note(best, stored.file)
    assert metric in study_note(stored.file, 4)


def test_the_report_has_a_line_for_each_class_and_says_which_were_taken_for_which(
    study: tuple[str, Path],
) -> None:
    metric, folder = study
    search.write_report("rare", runs=folder / "runs")
    page = (folder / "runs" / "rare" / "report.html").read_text(encoding="utf-8")
    chosen = page.partition("Chosen networks</h2>")[2].partition("<h2>")[0]
    stored = read_study(RunFolder(folder / "runs" / "rare"))
    best = stored.frozen_trials[stored.select("best")]
    (ones, as_eight), (_, eights) = best.user_attrs["confusion"]
    assert f"<td>one</td><td class=number>{ones + as_eight}</td>" in chosen
    assert "<td>&lt;eight&gt;</td>" in chosen
    assert "<eight>" not in chosen
    assert f"<td>one</td><td class=number>{ones}</td><td class=number>{as_eight}</td>" in chosen
    assert f"<td class=number>{eights}</td></tr>" in chosen
    word = {"val_accuracy": "accuracy", "val_macro_f1": "macro F1"}.get(metric, "balanced accuracy")
    assert f"What the {word} depends on" in page
    assert f"validation {word} (last epoch)" in page


def test_a_table_of_one_metric_is_none_for_a_study_by_another(
    study: tuple[str, Path], tmp_path: Path
) -> None:
    metric, folder = study
    file = read_study_file(folder / "rare.toml")
    frame = search.load_trials("rare", runs=folder / "runs")
    write_table(frame, prepare(file), tmp_path / "table.parquet")
    other = EVEN[metric == EVEN[0]]
    (folder / "other.toml").write_text(
        (folder / "rare.toml").read_text().replace(metric, other), encoding="utf-8"
    )
    with pytest.raises(RunError, match=f"holds curves of {metric}, but .*other.toml has {other}"):
        read_tabulated_space(read_study_file(folder / "other.toml"), tmp_path / "table.parquet")


@pytest.mark.parametrize("classes", [2, MAX_CONFUSED, MAX_CONFUSED + 1, 300])
def test_answers_are_read_back_as_they_were_stored(classes: int) -> None:
    matrix = np.random.default_rng(classes).integers(9, size=(classes, classes))
    confusion = tuple(map(tuple, matrix.tolist()))
    attributes = answer_attributes(confusion)
    assert sum(len(str(value)) for value in attributes.values()) < 20 * classes + 1500
    kept = answers_of(attributes)
    assert kept is not None
    expected = class_counts(confusion)
    for name in ("images", "called", "right"):
        assert np.array_equal(getattr(kept[0], name), getattr(expected, name))
    assert kept[1] == (confusion if classes <= MAX_CONFUSED else ())


def test_what_has_no_answers_or_too_many_classes_stores_none() -> None:
    assert answer_attributes(None) == {}
    many = ((0,) * (MAX_COUNTED + 1),) * (MAX_COUNTED + 1)
    assert answer_attributes(many) == {}
    assert answers_of({"curve": [0.5]}) is None
