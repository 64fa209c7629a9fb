"""Many trials in one study: neither the driver's memory nor the time of a trial may run away."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .processes import Family

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(1200)]

DRIVER = Path(__file__).with_name("soak.py")
MAX_MB = 150.0  # of driver memory for 1,000 trials
MAX_RATIO = 1.5  # time per trial: the last hundred to the first


def test_many_trials_cost_the_same_and_little_memory(
    num_soaked: int, create_study: Any, note: Callable[[str], None]
) -> None:
    study = create_study()
    command = [sys.executable, str(DRIVER), str(num_soaked), str(study.folder)]
    study.families.append(Family(command, study.folder, "soak", {"TMPDIR": str(study.folder)}))
    study.end(study.families[-1], seconds=1100)
    assert study.families[-1].errors == ""
    figures = json.loads(study.families[-1].output)
    first, last = figures["first_ms"], figures["last_ms"]
    note(
        f"{num_soaked} trials: {first:.0f} ms a trial in the first hundred, {last:.0f} in the last; "
        f"{figures['mb_per_1000']:.0f} MB for 1,000 trials, {figures['mb']:.0f} MB at the end"
    )
    assert figures["states"] == {"COMPLETE": num_soaked}
    assert last <= MAX_RATIO * first
    assert figures["mb_per_1000"] <= MAX_MB
