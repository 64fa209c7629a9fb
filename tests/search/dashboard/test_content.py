"""What the driver writes for the dashboard: whole, small, once, and right again after a death."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import optuna_dashboard
import pandas as pd
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs

from hgcnet.architecture import Task, read_architecture
from search.dashboard import content
from search.dashboard.content import DashboardContent
from search.dashboard.dashboard_inside import PIECE, check_is_shown
from search.estimation.estimate import estimate_trials
from search.optuna_space import OptunaSpace
from search.pareto import CostRange, HypervolumeBounds, non_dominated
from search.report.figures import pareto_figure
from search.report.hypervolume import hypervolume_history
from search.results.trials import COLUMNS, are_on_front, to_frame
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile
from search.versions import VersionWarning
from search.workers.protocol import Wait
from space.search_space import SearchSpace

DOCUMENT: dict[str, Any] = {
    "name": "shown",
    "budget": {"trials": 8},
    "data": {"dataset": "digits", "resolution": 8},
    "limits": {"flops": 60000},
    "space": {
        "stem_channels": 8,
        "depth": {"low": 1, "high": 3, "per_stage": True},
        "groups": {"choice": [1, 2, 4], "per_stage": True},
        "growth": 4,
        "bottleneck": 2,
    },
    "objectives": ["val_accuracy", "flops"],
    "sampler": {"kind": "random"},
    "early_stopping": {"kind": "none"},
    "proxy": {"epochs": 2},
}
MANY = 10**6


class Died(Exception):
    """The driver's process is gone."""


class MortalStorage(InMemoryStorage):
    """Kills its writer at one of the writes to the study."""

    def __init__(self) -> None:
        super().__init__()
        self.writes_left = MANY

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Writes, or dies before it does."""
        if self.writes_left == 0:
            raise Died
        self.writes_left -= 1
        super().set_study_system_attr(study_id, key, value)


class Driver:
    """The driver of a study with made-up accuracies."""

    def __init__(self, storage: BaseStorage, artifacts: Path, trials: int = 8) -> None:
        self.file = study_file(trials)
        self.space = OptunaSpace(
            SearchSpace(self.file.parameters, self.file.limits, Task(in_channels=1, resolution=8))
        )
        self.writer = StudyWriter(storage, self.file, self.space)
        self.said: list[str] = []
        self.loop = SearchLoop(self.file, self.space, self.writer, {})
        self.content = DashboardContent(
            self.writer, self.file, self.space, artifacts, self.said.append
        )

    def train(self, accuracy: Callable[[int], float] = lambda number: 0.5 + number / 20) -> None:
        """All that the budget leaves."""
        while not isinstance(proposal := self.loop.next(), Wait):
            for epoch in (1, 2):
                self.loop.on_epoch(proposal.number, epoch, accuracy(proposal.number) * epoch / 2, 1)
            self.loop.on_end(proposal.number)

    @property
    def front(self) -> list[optuna.trial.FrozenTrial]:
        trials = self.writer.frozen_trials()
        estimated = estimate_trials(trials, self.space)
        kept = are_on_front(trials, self.file.metrics, estimated)
        return [trial for trial, is_on_front in zip(trials, kept, strict=True) if is_on_front]


def study_file(trials: int) -> StudyFile:
    return parse_study_file(DOCUMENT | {"budget": {"trials": trials}}, "shown.toml")


def note_of(driver: Driver, trial: optuna.trial.FrozenTrial) -> str:
    """As the dashboard reads it."""
    attributes = driver.writer.system_attributes()
    return get_note_from_system_attrs(attributes, trial._trial_id)["body"]


def graphs_of(driver: Driver) -> dict[str, Any]:
    """As the dashboard reads them."""
    stored = get_plotly_graph_objects(driver.writer.system_attributes())
    return {name: json.loads(text) for name, text in stored.items()}


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Driver]:
    storage = open_writer(sqlite_url(tmp_path), "shown")
    driver = Driver(storage, tmp_path / "artifacts")
    driver.train()
    driver.content.write()
    yield driver
    storage.remove_session()
    storage.close()


def test_the_dashboard_reads_what_was_written(written: Driver, tmp_path: Path) -> None:
    text = optuna_dashboard.get_note(written.writer._study)
    assert "in a space of 729 points; limits: flops 60k" in text
    assert 'name = "shown"' in text
    graphs = graphs_of(written)
    assert set(graphs) == {"pareto", "hypervolume"}
    (front,) = (trace for trace in graphs["pareto"]["data"] if trace["name"] == "Pareto front")
    assert sorted(front["customdata"]) == [trial.number for trial in written.front]
    attributes = written.writer.system_attributes()
    for trial in written.front:
        assert f"hgcnas export shown --trial {trial.number} " in note_of(written, trial)
        prefix = f"dashboard:artifacts:{trial._trial_id}:"
        files = [json.loads(v) for k, v in attributes.items() if k.startswith(prefix)]
        by_name = {file["filename"]: tmp_path / "artifacts" / file["artifact_id"] for file in files}
        architecture, curve = sorted(by_name, key=lambda name: not name.endswith(".toml"))
        read = read_architecture(by_name[architecture])
        assert read.architecture == written.space.decode(trial.params)
        assert read.provenance["trial"] == trial.number
        accuracy = trial.user_attrs["curve"]
        expected = f"epoch,val_accuracy\n1,{accuracy[0]}\n2,{accuracy[1]}\n"
        assert by_name[curve].read_text() == expected


def test_a_dashboard_that_reads_notes_in_another_form_is_named(
    written: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, stored = written.writer._study, written.writer.system_attributes()
    check_is_shown(study, stored)  # warnings are errors
    said = (
        r"^optuna-dashboard 0.* has no note in the form of .*\): notes, graphs and files may be m"
    )
    longer = "x" * PIECE + stored["dashboard:note_str:0"]
    with pytest.warns(VersionWarning, match=said):
        check_is_shown(study, stored | {"dashboard:note_str:0": longer})
    monkeypatch.delattr(optuna_dashboard, "get_note")
    with pytest.warns(VersionWarning, match=said):
        check_is_shown(study, stored)


def test_only_the_front_has_notes_and_what_left_it_keeps_them_unchanged(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    first = Driver(storage, tmp_path, trials=3)
    first.train()
    first.content.write()
    before = first.writer.system_attributes()
    was_on_front = {trial.number for trial in first.front}
    second = Driver(storage, tmp_path, trials=20)
    second.train(lambda number: 0.9 - number / 100)
    second.content.write()
    after = second.writer.system_attributes()
    front = {trial.number for trial in second.front}
    assert was_on_front - front
    noted = {t.number for t in second.writer.frozen_trials() if note_of(second, t)}
    assert noted == was_on_front | front
    prefixes = [f"dashboard:{t._trial_id}:" for t in first.front]
    old = {key: value for key, value in before.items() if key.startswith(tuple(prefixes))}
    assert old == {key: after[key] for key in old}


def test_the_next_driver_writes_nothing_that_is_there_already(
    written: Driver, tmp_path: Path
) -> None:
    again = Driver(written.writer._study._storage, tmp_path / "artifacts")
    before = again.writer.system_attributes()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "artifacts").iterdir()}
    again.content.write()
    assert again.writer.system_attributes() == before
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert len(files) == 2 * len(written.front)


def test_a_driver_writes_only_every_so_often_and_only_if_a_trial_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = MortalStorage()
    driver = Driver(storage, tmp_path)
    driver.content.write()
    driver.train()
    storage.writes_left = 0  # every write would be its death
    driver.content.update()
    monkeypatch.setattr(content, "PERIOD", 0.0)
    with pytest.raises(Died):
        driver.content.update()
    storage.writes_left = MANY
    driver.content.update()
    storage.writes_left = 0
    driver.content.update()


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.long)])
def test_a_driver_that_dies_at_any_write_leaves_nothing_that_the_next_one_does_not_mend(
    tmp_path: Path, step: int
) -> None:
    storage = MortalStorage()
    two_drivers(storage, tmp_path / "undisturbed").content.write()
    number = MANY - storage.writes_left
    expected = shown_in(Driver(storage, tmp_path / "undisturbed"))
    assert number > 5
    for writes in range(0, number, step):
        storage = MortalStorage()
        driver = two_drivers(storage, tmp_path / str(writes))
        storage.writes_left = writes
        with pytest.raises(Died):
            driver.content.write()
        storage.writes_left = MANY
        driver = Driver(storage, tmp_path / str(writes))
        driver.content.write()
        assert shown_in(driver) == expected, f"after {writes} writes"


def two_drivers(storage: MortalStorage, artifacts: Path) -> Driver:
    """The second one, with its trainings done, after a first one that wrote what it had to."""
    first = Driver(storage, artifacts, trials=3)
    first.train()
    first.content.write()
    storage.writes_left = MANY
    second = Driver(storage, artifacts)
    second.train()
    return second


def shown_in(driver: Driver) -> tuple[object, ...]:
    """All that the dashboard shows, files left out."""
    notes = {trial.number: note_of(driver, trial) for trial in driver.writer.frozen_trials()}
    files = [key for key in driver.writer.system_attributes() if ":artifacts:" in key]
    text = optuna_dashboard.get_note(driver.writer._study)
    return graphs_of(driver), text, notes, sorted(files)


def test_a_front_that_never_settles_gets_its_last_notes_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_NOTED", 2)
    driver = Driver(InMemoryStorage(), tmp_path)
    driver.train()
    front = driver.front
    assert len(front) > 3
    driver.content.write()
    driver.content.write()
    assert [bool(note_of(driver, trial)) for trial in front[:3]] == [True, True, False]
    driver.content.write(is_last=True)
    assert all(note_of(driver, trial) for trial in front)
    assert len(list(tmp_path.iterdir())) == 2 * len(front)


def test_a_graph_that_became_smaller_leaves_nothing_behind(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    driver = Driver(storage, tmp_path)
    driver.train()
    driver.content.write()
    expected = graphs_of(driver)
    for piece in range(9):
        key = f"dashboard:plot_data:pareto:{piece}"
        storage.set_study_system_attr(0, key, "x" * PIECE)
    Driver(storage, tmp_path).content.write()
    assert graphs_of(driver) == expected


def test_artifacts_that_cannot_be_written_are_left_out_and_tried_again(tmp_path: Path) -> None:
    place = tmp_path / "artifacts"
    place.write_text("in the way")
    storage = InMemoryStorage()
    driver = Driver(storage, place)
    driver.train()
    driver.content.write()
    assert driver.said == [f"{place}: cannot be written: File exists; this is retried"]
    assert all(note_of(driver, trial) for trial in driver.front)
    assert not any(":artifacts:" in key for key in driver.writer.system_attributes())
    place.unlink()
    more = Driver(storage, place, trials=9)
    more.train()
    more.content.write()
    assert len(list(place.iterdir())) == 2 * len(more.front)
    assert more.said == []


def made_up_frame(number: int) -> pd.DataFrame:
    """Finished trials as `to_frame` gives them."""
    rng = np.random.default_rng(1)
    flops = rng.integers(10**6, 10**8, number)
    accuracy = 0.5 + 0.02 * np.log(flops) + 0.03 * rng.standard_normal(number)
    begins = pd.Timestamp(2026, 1, 1) + pd.to_timedelta(np.arange(number), unit="s")
    frame = pd.DataFrame(columns=list(COLUMNS), index=range(number))
    return frame.assign(
        number=range(number),
        state="finished",
        on_front=non_dominated(np.column_stack([-accuracy, flops])),
        val_accuracy=accuracy,
        last_accuracy=accuracy,
        flops=flops,
        num_params=flops // 100,
        epochs=12,
        started_at=begins,
        finished_at=begins + pd.Timedelta(seconds=9),
        architecture="hgc 7x12g4 7x24g4 6x48g4 b4 c0.5 s24",
    ).astype(COLUMNS)


FLOPS = CostRange(metric="flops", low=1e6, high=1e8)
BOUNDS = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=0.6)


def test_the_graphs_of_a_long_study_are_small_and_say_what_they_leave_out() -> None:
    frame = made_up_frame(5000)
    pareto = pareto_figure(frame, most=content.MAX_POINTS)
    assert len(pareto.to_json()) < 12_000
    assert len(hypervolume_history(frame, BOUNDS, content.MAX_POINTS).to_json()) < 12_000
    front = next(trace for trace in pareto.data if trace.name == "Pareto front")
    assert (
        list(front.customdata) == frame[frame["on_front"]].sort_values("flops")["number"].tolist()
    )
    assert all("hgc 7x12g4" in text for text in front.hovertext)
    dominated = 5000 - len(front.x)
    (others,) = (trace for trace in pareto.data if trace.name.startswith("finished"))
    assert len(others.x) == content.MAX_POINTS
    assert others.name == f"finished ({content.MAX_POINTS} of {dominated:,})"


def test_the_graphs_are_by_the_objectives() -> None:
    frame = made_up_frame(300)
    flops, params = (pareto_figure(frame, x, content.MAX_POINTS) for x in ("flops", "num_params"))
    assert flops.layout.xaxis.title.text == "FLOPs (multiply-adds of one image)"
    assert params.layout.xaxis.title.text == "params (weights and biases)"
    front = next(trace for trace in params.data if trace.name == "Pareto front")
    expected = sorted(frame.loc[frame["on_front"], "num_params"])
    assert list(front.x) == pytest.approx(expected, rel=1e-3)
    (others,) = (trace for trace in params.data if trace.name.startswith("finished"))
    assert "params<" in others.hovertemplate
    cost = CostRange(metric="num_params", low=1e4, high=1e6)
    bounds = HypervolumeBounds(costs=(cost,), reference_accuracy=0.6)
    by_params = hypervolume_history(frame, bounds, content.MAX_POINTS).data[0]
    by_flops = hypervolume_history(frame, BOUNDS, content.MAX_POINTS).data[0]
    assert by_params.y == pytest.approx(by_flops.y, abs=1e-3)


def test_the_hypervolume_is_that_of_the_report(written: Driver) -> None:
    frame = to_frame(written.writer.frozen_trials(), written.space, written.file.metrics)
    bounds = written.writer.hypervolume_bounds()
    report = hypervolume_history(frame, bounds).data[0]
    shown = graphs_of(written)["hypervolume"]["data"][0]
    everywhere = dict(zip(report.x, report.y, strict=True))
    assert shown["y"] == pytest.approx([everywhere[x] for x in shown["x"]], abs=1e-5)
    assert shown["x"][-1] == report.x[-1]


def test_a_study_that_has_only_begun_has_graphs_too(tmp_path: Path) -> None:
    driver = Driver(InMemoryStorage(), tmp_path)
    driver.content.write()
    layout = graphs_of(driver)["hypervolume"]["layout"]
    assert layout["title"]["text"] == "Hypervolume"
    (said,) = layout["annotations"]
    assert said["text"] == "Shown once the cheapest network has been trained"
