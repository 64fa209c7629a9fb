"""What a notebook can do: run a study, read it while and after, take a network out of it."""

import shutil
from pathlib import Path

import pytest

import search
from hgcnet.complexity import count
from hgcnet.errors import RunError, StudyFileError
from search.prepare import prepare
from search.study_file.reading import read_study_file
from tests.parts.commands import hgcnas
from tests.parts.old_run import OLD_RUN
from tests.parts.small_study import write_study


@pytest.mark.parametrize("name", search.__all__)
def test_every_public_name_loads_and_says_what_it_does(name: str) -> None:
    assert getattr(search, name).__doc__
    assert name in dir(search)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'search' has no attribute 'nothing'"):
        search.nothing  # noqa: B018


def test_errors_are_raised_before_anything_is_written(tmp_path: Path) -> None:
    study, runs = write_study(tmp_path, budget__hours=-1), tmp_path / "runs"
    with pytest.raises(StudyFileError, match=r"small\.toml: budget\.hours: -1 is not above 0"):
        search.run_study(study, runs=runs)
    study = write_study(tmp_path)
    with pytest.raises(StudyFileError, match=r"trials: 0 is not between 1 and 1000000"):
        search.run_study(study, trials=0, runs=runs)
    with pytest.raises(RunError, match=r"small: there is no such study in .*runs"):
        search.load_trials("small", runs=runs)
    assert not runs.exists()


def test_a_forecast_is_what_the_dry_run_says_and_writes_nothing(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    facts = search.forecast_study(study, trials=10)
    said = hgcnas("run", "small.toml", "--trials", "10", "--dry-run", "--json", cwd=tmp_path).json
    assert said | {key: facts[key] for key in ("seconds_per_trial", "hours", "memory")} == facts
    hours = 10 / facts["trials_at_once"] / 3600  # for each second of a trial
    rounded = pytest.approx(hours * facts["seconds_per_trial"], abs=hours * 0.005 + 1e-6)
    assert facts["hours"] == rounded
    space = prepare(read_study_file(study)).space.space
    assert facts["flops_low"] == count(space.cheapest(), space.task).flops
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    shutil.copytree(OLD_RUN, tmp_path / "old")
    return tmp_path / "old" / "runs"


def test_a_study_at_its_end_is_only_read_again(runs: Path) -> None:
    trials = search.run_study(runs.parent / "old.toml", report=False, runs=runs)
    assert len(trials) == 12
    assert not (runs / "old" / "report.html").exists()
    status = hgcnas("status", "old", "--json", cwd=runs.parent).json
    assert search.study_status("old", runs=runs) == status
    assert status["best_trial"] in trials["number"].tolist()


def test_what_lies_outside_the_space_is_not_enqueued(runs: Path) -> None:
    with pytest.raises(RunError, match=r"^hgcnet_42_g4: .* is not in the space$"):
        search.enqueue("old", "hgcnet_42_g4", runs=runs)
    assert not (runs / "old" / "queue").exists()


def test_a_report_is_opened_in_the_browser_if_asked_for(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    said = hgcnas("report", "old", "--open", cwd=runs.parent).output.splitlines()
    assert opened == [(runs / "old" / "report.html").as_uri()]
    assert said[0] == "runs/old/report.html"


def test_a_resolution_that_leaves_no_pixel_is_refused_wherever_it_is_given(tmp_path: Path) -> None:
    """Of the study file's space, by its three stages behind a stem of stride 2."""
    study, runs = write_study(tmp_path, space__stem_stride=2), tmp_path / "runs"
    for proxy in ({"resolution": 6}, {"epochs": 1, "resolution": 6}):
        with pytest.raises(StudyFileError, match="resolution: 6 px are too few for 3 stages"):
            search.measure_fidelity(study, networks=4, proxies=[proxy], runs=runs)
    assert not runs.exists()
