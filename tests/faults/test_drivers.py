"""Drivers that end in every way: the next one finishes the study.

Run as a script it is such a driver.
"""

# search.workers.ray_cluster comes before Ray, as in the command line: only then is all of Ray silent.
from search.workers.ray_cluster import joined_ray  # isort: skip
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from search.study.storage import open_storage, sqlite_url
from search.workers.ray_tune import fit_trials
from tests.parts.opened import closed
from tests.parts.processes import Family, Processes
from tests.parts.scripted_study import RecordedLoop, create_file, create_trainable


def test_whatever_ends_a_driver_the_next_one_finishes_the_study(
    folder: Path, processes: Processes
) -> None:
    def start_driver() -> Family:
        return processes.script(__file__, str(folder))

    def wait_for(driver: Family, trainings: int) -> None:
        began = lambda: len(list(folder.glob("acted-*"))) >= trainings  # noqa: E731
        driver.wait_until(began, f"{trainings} trainings began")

    stopped = start_driver()
    wait_for(stopped, 3)
    stopped.send_to_all(
        signal.SIGINT
    )  # as a terminal does; it does not wait for the epochs that run
    assert stopped.succeed() == "stopped by Ctrl-C\n"
    assert stopped.errors == ""
    before = states(folder)
    assert before["RUNNING"] == 0
    assert before["FAIL"] == before["WAITING"] == 2  # the interrupted ones and their repeats

    killed = start_driver()
    wait_for(killed, 5)
    killed.kill()
    assert states(folder)["RUNNING"] == 2

    (folder / "fast").touch()
    last = start_driver()
    assert last.succeed() == "its budget of 6 trials is used\n"
    assert last.errors == ""
    rows = read_rows(folder)
    trained = [row.user_attrs["fingerprint"] for row in rows if row.state == TrialState.COMPLETE]
    assert len(trained) == len(set(trained)) == 6
    reasons = Counter(
        row.user_attrs["failure"][:15] for row in rows if row.state == TrialState.FAIL
    )
    assert reasons == {"interrupted": 2, "stopped on requ": 2, "its worker died": 1}
    assert len(rows) == 11


def read_rows(folder: Path) -> list[FrozenTrial]:
    with closed(open_storage(sqlite_url(folder))) as storage:
        (study,) = storage.get_all_studies()
        return storage.get_all_trials(study._study_id)


def states(folder: Path) -> Counter[str]:
    return Counter(row.state.name for row in read_rows(folder))


def drive(folder: Path) -> None:
    """Six trials, two at once. The first is fast, and the others never end. With a file "fast" all
    are fast, and a worker dies."""

    def act(index: int, epoch: int) -> float:
        (folder / f"acted-{index}").touch()
        is_fast = (folder / "fast").exists()
        if index > 0 and not is_fast:
            time.sleep(10**6)
        if is_fast and not (folder / "dead").exists():
            (folder / "dead").touch()
            os._exit(1)
        return 0.5

    with joined_ray(None, num_cpus=2):
        loop = RecordedLoop(folder, create_file(6))
        fit_trials(loop, create_trainable(folder, act), slots=2)
    print(loop.end_reason)


if __name__ == "__main__":
    drive(Path(sys.argv[1]))
