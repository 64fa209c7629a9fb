"""A run folder and a table as the first format wrote them (tests/data/run-0.1), and changes to it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from search.study.run_folder import RunFolder
from search.study.storage import open_storage
from tests.parts.opened import closed

OLD_RUN = Path(__file__).parents[1] / "data" / "run-0.1"


def set_attribute(run: Path, key: str, value: Any) -> None:
    """A user attribute of the stored study, as another program might have written it."""
    with closed(open_storage(RunFolder(run).storage_url(None))) as storage:
        optuna.load_study(study_name=run.name, storage=storage).set_user_attr(key, value)


def change_stored_file(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the study file that is stored with a study."""
    with closed(open_storage(RunFolder(run).storage_url(None))) as storage:
        study = optuna.load_study(study_name=run.name, storage=storage)
        document = json.loads(study.user_attrs["study_file"])
    change(document)
    set_attribute(run, "study_file", json.dumps(document))
