"""Studies that are killed: the same command finishes them, with nothing lost and nothing twice."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.parts.processes import Family, wait_until
from tests.parts.studies import Study, files_with

STARTUP_SECONDS = 8.0  # until the first training, about
STRIKES: dict[str, Callable[[Family, random.Random], None]] = {
    "worker": lambda driver, rng: driver.kill_one("ray::ProxyTrainable", rng),
    "driver": lambda driver, rng: driver.kill(),
    "everything": lambda driver, rng: driver.kill_everything(),
}


def wait_for_moment(study: Study, driver: Family, kind: str, rng: random.Random) -> None:
    """Until the driver is to be struck: mostly between two trials, at times before its first one."""
    if kind == "worker":
        wait_until(
            lambda: driver.members("ray::ProxyTrainable") or driver.has_ended, "a worker starts"
        )
    elif rng.random() < 0.25:
        time.sleep(rng.uniform(0, STARTUP_SECONDS))
        return
    else:
        study.wait_for_news(driver)
    time.sleep(rng.uniform(0, 0.5))


def test_a_study_survives_the_death_of_a_worker_of_its_driver_or_of_everything(
    storage: str,
    kill_round: int,
    create_study: Any,
    reference: Any,
    request: pytest.FixtureRequest,
    note: Callable[[str], None],
) -> None:
    server = request.getfixturevalue("postgres") if storage == "postgresql" else None
    url = server.create_database(f"round-{kill_round}") if server else None
    study = create_study(storage_url=url)
    rng = random.Random(kill_round)
    driver, trained, struck = study.run(), {}, []
    kinds = sorted(STRIKES)
    del kinds[kill_round % len(kinds)]  # so that each kind has its share of the rounds
    for kind in rng.sample(kinds, 1 if server else 2):
        wait_for_moment(study, driver, kind, rng)
        if driver.has_ended:
            break
        STRIKES[kind](driver, rng)
        trained |= study.trained_rows()
        struck.append(f"{kind} at {len(trained)}")
        if kind != "worker":
            driver = study.run()
    driver.succeed()
    study.check_ended(trained, reference)
    if server:
        assert files_with(server.secret, study.folder, with_ray=False) == []
    failed = sum(row.state.name == "FAIL" for row in study.rows())
    note(f"killed {', '.join(struck)}; {failed} failed rows")
