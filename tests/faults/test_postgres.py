"""Studies on a real PostgreSQL: it restarts, two drivers want the same study, the password stays secret."""

import shutil
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.parts.studies import files_with


def test_a_study_keeps_other_drivers_out_and_outlives_a_crash_of_its_server(
    create_study: Any, postgres: Any, reference: Any
) -> None:
    url = postgres.create_database("crash")
    study = create_study(storage_url=url)
    first = study.run("--storage", url)  # on the command line: Ray stores that of its driver
    study.wait_for(first, 1)
    first.send(signal.SIGSTOP)  # or it might end before the second one begins
    shutil.copytree(study.folder / "runs", study.folder / "elsewhere")  # as on another machine
    second = study.run("--runs", "elsewhere")
    assert second.end() == 2
    assert f"process {first.pid} on " in second.errors
    first.send(signal.SIGCONT)
    study.wait_for_news(first)
    assert files_with(postgres.secret, study.folder) == []
    postgres.stop()
    time.sleep(0.5)
    postgres.start()
    trained = study.trained_rows()
    first.succeed()
    study.check_ended(trained, reference)
    assert files_with(postgres.secret, study.folder, with_ray=False) == []


@pytest.mark.parametrize("meanwhile", ["begins", "ends"])
def test_a_driver_that_lost_its_session_cannot_write_once_another_one_took_over(
    meanwhile: str,
    create_study: Any,
    postgres: Any,
    reference: Any,
    note: Callable[[str], None],
) -> None:
    study = create_study(storage_url=postgres.create_database(meanwhile))
    first = study.run()
    study.wait_for(first, 2)
    first.send(signal.SIGSTOP)
    assert postgres.terminate_sessions(meanwhile)
    second = study.run("--runs", "elsewhere", "--join")
    study.wait_for(second, study.num_trained(first) + 1)
    assert files_with(postgres.secret, study.folder) == []
    if meanwhile == "ends":
        second.succeed()
    said, trained = first.errors, study.trained_rows()
    first.send(signal.SIGCONT)
    assert first.end() != 0
    note(first.errors.removeprefix(said).strip())
    assert " finished at " not in first.errors.removeprefix(said)
    second.succeed()
    study.check_ended(trained, reference)
    assert files_with(postgres.secret, study.folder, with_ray=False) == []
