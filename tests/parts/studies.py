"""A tiny study, run by processes of the real command line, and what must hold when it ended."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w
import torch
from optuna.trial import FrozenTrial, TrialState

from search.data.splits import load_splits
from search.prepare import prepare
from search.study.search_loop import SearchLoop
from search.study.storage import open_storage, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.training.proxy_training import ProxyTraining
from search.workers.protocol import Proposal
from tests.parts.opened import closed
from tests.parts.processes import Family, Processes, wait_until

TRIALS = 10
NETWORKS = 16  # all of the space, so that the reference knows every one

DOCUMENT: Mapping[str, Any] = {
    "name": "tiny",
    "seed": 7,
    "data": {"dataset": "digits", "resolution": 8},
    "space": {
        "operator": "hgc",
        "stem_channels": {"choice": [8, 16]},
        "bottleneck": {"choice": [1, 2]},
        "depth": 1,
        "groups": {"choice": [1, 2]},
        "growth": {"base": {"low": 4, "high": 8, "step": 4}, "schedule": "constant"},
    },
    "objectives": ["val_accuracy", "flops"],
    "sampler": {"kind": "random"},
    "early_stopping": {"kind": "none"},
    "proxy": {"epochs": 4, "batch_size": 64, "train_images": 500},
    "workers": {"cpus": 1},
}

Curves = Mapping[str, Sequence[float]]  # fingerprint -> accuracy after each epoch


class Study(Processes):
    """One study in a folder of its own, which is also the temporary folder of all its processes."""

    def __init__(
        self, folder: Path, *, trials: int = TRIALS, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(folder)
        self.trials = trials
        # Ray's folder and Tune's folder follow TMPDIR.
        self._environment = {"TMPDIR": str(folder)} | dict(environment or {})
        document = {**DOCUMENT, "budget": {"trials": trials}}
        (folder / "study.toml").write_text(tomli_w.dumps(document))

    def run(self, *options: str) -> Family:
        """The command, always the same but for `options`."""
        return self.hgcnas("run", "study.toml", "--json", *options, **self._environment)

    def num_trained(self, driver: Family | None = None) -> int:
        """How many trainings were told, as one driver or all of them said."""
        drivers = self.families if driver is None else [driver]
        counts = [re.findall(r" (\d+)/\d+ trained", family.errors) for family in drivers]
        return max((int(number) for found in counts for number in found), default=0)

    def wait_for(self, driver: Family, number: int) -> None:
        """Until a driver said that so many are trained."""
        driver.wait_until(lambda: self.num_trained(driver) >= number, f"{number} trained")

    def wait_for_news(self, driver: Family) -> None:
        """Until a driver said something more than it has, or ended."""
        before = len(driver.errors)
        wait_until(lambda: len(driver.errors) > before or driver.has_ended, "the next trial")

    @property
    def storage_url(self) -> str:
        """Where the rows are."""
        run = self.folder / "runs" / str(DOCUMENT["name"])
        return self._environment.get("HGCNAS_STORAGE") or sqlite_url(run)

    def rows(self) -> list[FrozenTrial]:
        """All rows, as the storage has them now."""
        with closed(open_storage(self.storage_url)) as storage:
            (study,) = storage.get_all_studies()
            return storage.get_all_trials(study._study_id)

    def trained_rows(self) -> dict[int, FrozenTrial]:
        """Those that count for the budget, by number."""
        if not self.num_trained():  # nothing may be opened before the driver did
            return {}
        return {row.number: row for row in self.rows() if is_trained(row)}

    def check_ended(self, before: Mapping[int, FrozenTrial], reference: Curves) -> None:
        """Nothing that was there before is lost or changed, nothing is trained twice or left over,
        and every network has the curve that it has without any fault."""
        rows = {row.number: row for row in self.rows()}
        changed = {number: (row, rows.get(number)) for number, row in before.items()}
        changed = {n: (old, new) for n, (old, new) in changed.items() if old != new}
        assert not changed, f"lost or changed: {changed}"
        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        left = {number: row.state.name for number, row in rows.items() if row.state not in ended}
        assert not left, f"left over: {left}"
        trained = [row for row in rows.values() if is_trained(row)]
        assert len(trained) == self.trials, f"{len(trained)} trained of {self.trials}"
        fingerprints = [row.user_attrs["fingerprint"] for row in trained]
        assert len(set(fingerprints)) == len(fingerprints), f"trained twice: {fingerprints}"
        for row in trained:
            curve, expected = row.user_attrs["curve"], reference[row.user_attrs["fingerprint"]]
            assert curve == expected, f"trial {row.number}: {curve} instead of {expected}"
            assert row.values[0] == curve[-1], f"trial {row.number}: {row.values}"


def run_undisturbed(folder: Path) -> Curves:
    """The same study over its whole space, in this process and without Ray."""
    file = parse_study_file({**DOCUMENT, "budget": {"trials": NETWORKS}}, source="study.toml")
    prepared = prepare(file)
    splits = load_splits(file.data, resolution=8, train_images=file.proxy.train_images)
    storage = open_storage(sqlite_url(folder))
    loop = SearchLoop(file, prepared.space, StudyWriter(storage, file, prepared.space), {})
    curves, cpu = {}, torch.device("cpu")
    while isinstance(proposal := loop.next(), Proposal):
        training = ProxyTraining(
            proposal.architecture, splits, file.proxy, seed=proposal.seed, device=cpu
        )
        for _ in range(file.proxy.epochs):
            epoch = training.run_epoch()
            loop.on_epoch(proposal.number, epoch.epoch, epoch.val_accuracy, epoch.seconds)
        loop.on_end(proposal.number)
        curves[proposal.fingerprint] = [round(accuracy, 6) for accuracy in training.curve]
    storage.engine.dispose()
    return curves


def is_trained(row: FrozenTrial) -> bool:
    """Whether the budget counts it."""
    return row.state in (TrialState.COMPLETE, TrialState.PRUNED)


def files_with(text: str, folder: Path, *, with_ray: bool = True) -> list[Path]:
    """The files of a study's folder that contain a text: its logs, its run folders, Ray's and Tune's.

    Args:
        with_ray: while a driver runs: Ray's files go with it.
    """
    assert not with_ray or list(folder.glob("hgcnas-*/r/session_*/logs/*")), "Ray wrote elsewhere"
    wanted, found = text.encode(), []
    for path in folder.rglob("*"):
        with suppress(OSError):  # it went meanwhile
            if path.is_file() and not path.is_symlink() and wanted in path.read_bytes():
                found.append(path)
    return found
