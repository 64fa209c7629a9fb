"""Which code workers run: the driver's, whatever lies in the folder from which it was called."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from ray import tune

from hgcnet.errors import RunError
from search.study.attributes import STOPPED
from search.study.storage import open_storage, sqlite_url
from search.versions import code_digest
from search.workers.ray_tune import fit_trials
from tests.parts.opened import closed
from tests.parts.processes import ROOT, Processes
from tests.parts.scripted_study import RecordedLoop, create_file, create_trainable
from tests.parts.small_study import write_study

OURS = ("hgcnet", "space", "search")
# `look` is of a program, so that workers get it by value, and import nothing for it.
LOOK = """
import json, os
import ray
from search.versions import code_digest
from search.workers.ray_cluster import joined_ray

def look():
    import importlib, sys
    files = [importlib.import_module(name).__file__ for name in ("hgcnet", "space", "search")]
    from search.versions import code_digest
    return [files, code_digest(), "statistics" in sys.modules or importlib.import_module("statistics").__file__]

"""
IN_OURS = (
    LOOK + "with joined_ray(None, num_cpus=1):\n    found = ray.get(ray.remote(look).remote())\n"
)
PRINTED = "print(json.dumps([code_digest(), *found]))\n"


def plant(folder: Path, *names: str) -> None:
    """Files of a person's that have the names of ours, or of Python's."""
    for name in names:
        (folder / f"{name}.py").write_text(f"raise AssertionError({name!r} + ' of the folder')\n")


def test_files_of_the_folder_hide_nothing_from_workers(processes: Processes, folder: Path) -> None:
    plant(folder, *OURS, "statistics")
    # -P: the driver has no folder of its own on its path, as the command `hgcnas`
    program = processes.start(sys.executable, "-P", "-c", IN_OURS + PRINTED)
    own, files, theirs, statistics = json.loads(program.succeed())
    assert (own, theirs) == (code_digest(), code_digest())
    assert all("py_modules" in file for file in files)
    assert statistics is True or "lib/python" in statistics


@pytest.mark.long
def test_a_driver_of_another_checkout_has_workers_of_that(
    processes: Processes, folder: Path
) -> None:
    for package in OURS:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    (folder / "space" / "more.py").write_text("MORE = 1\n")
    own, _, theirs, _ = json.loads(processes.python(IN_OURS + PRINTED).succeed())
    assert own == theirs != code_digest()


@pytest.mark.long
@pytest.mark.parametrize(
    ("planted", "refused"),
    [
        ((), ""),
        pytest.param(
            ("search",),
            "cannot import hgcnas's code: AssertionError: search of the folder",
        ),
    ],
)
def test_a_ray_that_was_initialised_before_is_used_if_its_workers_have_the_same_code(
    planted: tuple[str, ...], refused: str, processes: Processes, folder: Path
) -> None:
    plant(folder, *planted)
    code = LOOK + (
        "ray.init(address='local', num_cpus=1, logging_level=40, log_to_driver=False, include_dashboard=False)\n"
        "with joined_ray(None):\n    found = ray.get(ray.remote(look).remote())\n"
    )
    program = processes.start(sys.executable, "-P", "-c", code + PRINTED)
    if refused:
        assert program.end() == 1
        last = program.errors.splitlines()[-1]
        said = "hgcnet.errors.RunError: the workers of the Ray that this process initialised "
        assert last.startswith(said + refused)
    else:
        own, _, theirs, _ = json.loads(program.succeed())
        assert own == theirs


@pytest.mark.long
def test_a_study_beside_files_of_these_names_trains_and_says_by_which_code(
    processes: Processes, folder: Path
) -> None:
    write_study(folder, budget__trials=2, early_stopping={"kind": "none"})
    plant(folder, *OURS, "statistics", "torch", "sklearn")
    run = processes.hgcnas("run", "small.toml")
    assert "2/2 trained" in run.succeed()
    assert run.errors == ""
    with closed(open_storage(sqlite_url(folder / "runs" / "small"))) as storage:
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name("small"))
    [code] = attributes["code"]
    assert (code["sources"], code["from_trial"]) == (code_digest(), 0)
    assert f"# code {code_digest()}\n" in (folder / "runs" / "small" / "study.toml").read_text()


@pytest.mark.usefixtures("ray_here")
class TestWorkersThatDoNotStart:
    def test_before_anything_was_trained_the_study_ends_and_nothing_failed(
        self, tmp_path: Path
    ) -> None:
        loop = RecordedLoop(tmp_path, create_file(2))
        with pytest.raises(
            RunError, match=r"no worker can train: its worker on .* could not start: "
        ) as told:
            fit_trials(loop, not_starting(), slots=1)
        said = str(told.value)
        assert "OSError: the disk is full; fix that and rerun the same command to resume" in said
        assert "\x1b" not in said
        assert loop.progress().failed == 0
        failed = [row for row in loop.rows if row.state == TrialState.FAIL]
        assert [row.user_attrs["failure"] for row in failed] == [STOPPED]
        loop = RecordedLoop(tmp_path, create_file(2))
        fit_trials(loop, create_trainable(tmp_path, lambda index, epoch: 0.5), slots=1)
        assert loop.states == {"FAIL": 1, "COMPLETE": 2}


def not_starting() -> Any:
    """A Trainable of which no worker starts."""

    class NotStarting(tune.Trainable):
        def setup(self, config: object) -> None:
            raise OSError("the disk is full")

    return tune.with_resources(NotStarting, {"cpu": 1})
