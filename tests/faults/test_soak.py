"""Many trials in one study: the driver's memory may not run away. (Their time: benchmarks/soak.py.)"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).parents[2] / "benchmarks" / "soak.py"
MAX_MB = 150.0  # of driver memory for 1,000 trials
PATIENCE = 1.0  # seconds a trial, of which most wait for the disk


def test_many_trials_cost_little_memory(
    num_soaked: int, create_study: Any, note: Callable[[str], None]
) -> None:
    study = create_study()
    command = [sys.executable, str(DRIVER), str(num_soaked), "--json"]
    driver = study.start(*command, TMPDIR=str(study.folder))
    figures = json.loads(driver.succeed(120 + PATIENCE * num_soaked))
    assert driver.errors == ""
    first, last = figures["first_ms"], figures["last_ms"]
    note(
        f"{num_soaked} trials: {first:.0f} ms a trial in the first hundred, {last:.0f} in the last; "
        f"{figures['mb_per_1000']:.0f} MB for 1,000 trials, {figures['mb']:.0f} MB at the end"
    )
    assert figures["states"] == {"COMPLETE": num_soaked}
    assert figures["mb_per_1000"] <= MAX_MB
