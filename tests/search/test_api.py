"""What a notebook can do: run a study, read it while and after, take a network out of it."""

from pathlib import Path

import pytest

import search
from hgcnet.errors import RunError, StudyFileError
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


def test_a_resolution_that_leaves_no_pixel_is_refused_wherever_it_is_given(tmp_path: Path) -> None:
    """Of the study file's space, by its three stages behind a stem of stride 2."""
    study, runs = write_study(tmp_path, space__stem_stride=2), tmp_path / "runs"
    for proxy in ({"resolution": 6}, {"epochs": 1, "resolution": 6}):
        with pytest.raises(StudyFileError, match="resolution: 6 px leave less than one to stage 3"):
            search.measure_fidelity(study, networks=4, proxies=[proxy], runs=runs)
    assert not runs.exists()
