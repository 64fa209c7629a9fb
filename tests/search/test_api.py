"""What a notebook can do: run a study, read it while and after, take a network out of it."""

import subprocess
import sys
import threading
import tomllib
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
import tomli_w

import hgcnet
import search
from hgcnet.errors import RunError, StudyFileError

QUICKSTART = Path(__file__).parents[2] / "studies" / "quickstart.toml"


def write_study(folder: Path, **budget: object) -> Path:
    """A study of a minute on a quarter of the digits, cut down to seconds."""
    document = tomllib.loads(QUICKSTART.read_text(encoding="utf-8"))
    document |= {"name": "small", "budget": {"trials": 3} | budget}
    document["proxy"] = {"epochs": 2, "batch_size": 128, "train_images": 200}
    document["early_stopping"] = {"kind": "none"}
    path = folder / "small.toml"
    path.write_text(tomli_w.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("statement", ["import search", "import search; dir(search)"])
def test_importing_the_package_loads_nothing_heavy(statement: str) -> None:
    heavy = "{'torch', 'ray', 'optuna', 'pandas', 'numpy', 'pydantic', 'rich', 'hgcnet', 'space'}"
    code = f"{statement}\nimport sys\nprint(sorted({heavy} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (finished.stdout.strip(), finished.stderr) == ("[]", "")


@pytest.mark.parametrize("name", search.__all__)
def test_every_public_name_loads_and_says_what_it_does(name: str) -> None:
    assert getattr(search, name).__doc__
    assert name in dir(search)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'search' has no attribute 'nothing'"):
        search.nothing  # noqa: B018


def test_errors_are_raised_before_anything_is_written(tmp_path: Path) -> None:
    study, runs = write_study(tmp_path, hours=-1), tmp_path / "runs"
    with pytest.raises(StudyFileError, match=r"small\.toml: budget\.hours: -1 is not above 0"):
        search.run_study(study, runs=runs)
    study = write_study(tmp_path)
    with pytest.raises(StudyFileError, match=r"trials: 0 is not between 1 and 1000000"):
        search.run_study(study, trials=0, runs=runs)
    with pytest.raises(RunError, match=r"small: there is no such study in .*runs"):
        search.load_trials("small", runs=runs)
    assert not runs.exists()


@pytest.mark.slow
def test_a_study_runs_in_a_thread_and_is_read_meanwhile_and_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, runs = write_study(tmp_path), tmp_path / "runs"
    lines: list[str] = []
    seen: list[pd.DataFrame] = []
    returned: list[pd.DataFrame] = []

    def observe(progress: search.Progress) -> None:
        lines.append(search.progress_line(progress))
        seen.append(search.load_trials("small", runs=runs))

    def run() -> None:
        returned.append(search.run_study(study, runs=runs, observe=observe))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=300)

    (trials,) = returned
    assert trials["state"].tolist() == 3 * ["finished"]
    assert lines[-1].startswith("3/3 trained")
    assert any("running" in frame["state"].tolist() for frame in seen)
    pd.testing.assert_frame_equal(search.load_trials("small", runs=runs), trials)
    pd.testing.assert_frame_equal(search.load_trials(runs / "small"), trials)

    # The same call in the main thread, relative to the folder as in a notebook, with more trials.
    with chdir(tmp_path):
        more = search.run_study("small.toml", trials=4)
        assert search.run_study("small.toml", trials=4)["number"].tolist() == [0, 1, 2, 3]
        pd.testing.assert_frame_equal(
            more[:3].drop(columns="on_front"), trials.drop(columns="on_front")
        )
        best = search.export_architecture("small")
        first = search.export_architecture("runs/small", trial=0)
        hgcnet.write_architecture("net.toml", best)
        model = hgcnet.load("net.toml")
        with pytest.raises(RunError, match="trial 9: the study has trials 0 to 3"):
            search.export_architecture("small", trial=9)
    assert best.provenance["val_accuracy"] == more["val_accuracy"].max()
    assert first.provenance["fingerprint"] == trials["fingerprint"][0]
    assert model.architecture.fingerprint == best.provenance["fingerprint"]
