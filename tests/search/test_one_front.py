"""Random studies, by all choices of objectives: every command names the same front, and exports from it."""

import json
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import search
from hgcnet.architecture import read_architecture
from search.dashboard.content import DashboardContent
from search.estimation.estimate import LEAST_FINISHED
from search.optuna_space import OptunaSpace
from search.prepare import prepare
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.study_file.reading import read_study_file
from search.workers.protocol import Wait
from tests.parts.commands import hgcnas
from tests.parts.opened import closed, opened

EPOCHS = 4
COSTS = [("flops",), ("num_params",), ("flops", "num_params"), ("num_params", "flops")]
STUDY = """
name = "random"
seed = {seed}
objectives = {objectives}
[budget]
trials = {trials}
[data]
dataset = "digits"
resolution = 8
[space]
stem_channels = {{ choice = [8, 16] }}
bottleneck = {{ choice = [1, 2, 4] }}
depth = {{ low = 1, high = 3, per_stage = true }}
groups = {{ choice = [1, 2, 4], per_stage = true }}
growth = {{ choice = [4, 8, 12], per_stage = true }}
se = {{ choice = ["none", "all"], per_stage = true }}
[sampler]
kind = "random"
[early_stopping]
kind = "{stopping}"
min_epochs = 1
[proxy]
epochs = 4
"""


FEW, MANY = LEAST_FINISHED - 3, 40
ENOUGH = 24  # of which moasha lets as many finish as there are estimates from
CASES = [*product(COSTS, ("none", "moasha", "front_chance"), (FEW, MANY))]
CHOSEN = [(("num_params",), "none", FEW), (("flops", "num_params"), "moasha", ENOUGH)]
RULES = ("best", "knee", "max-flops=1e9", "max-params=1e9")


@pytest.fixture(
    scope="module",
    params=[*CHOSEN, *(pytest.param(c, marks=pytest.mark.long) for c in CASES if c not in CHOSEN)],
    ids=lambda case: f"{'+'.join(case[0])}-{case[1]}-{case[2]}",
)
def study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A study file, and the folder in which its study is at its end. Its accuracies are noisy."""
    costs, stopping, trials = request.param
    folder = tmp_path_factory.mktemp("study")
    file_path, runs = folder / "random.toml", folder / "runs"
    text = STUDY.format(
        seed=trials,
        objectives=json.dumps(["val_accuracy", *costs]),
        trials=trials,
        stopping=stopping,
    )
    file_path.write_text(text, encoding="utf-8")
    prepared = prepare(read_study_file(file_path))
    run = RunFolder(runs / "random")
    run.create(prepared.file.document, {})
    with closed(open_writer(run.storage_url(None), "random")) as storage:
        writer = StudyWriter(storage, prepared.file, prepared.space)
        loop = SearchLoop(prepared.file, prepared.space, writer, {})
        train_all(loop, prepared.space, np.random.default_rng(trials))
        content = DashboardContent(
            writer, prepared.file, prepared.space, run.artifacts, say=pytest.fail
        )
        content.write(is_last=True)
    return file_path, runs


def train_all(loop: SearchLoop, space: OptunaSpace, rng: np.random.Generator) -> None:
    """Serves a loop with accuracies that rise with the FLOPs, with noise of a seed."""
    while not isinstance(proposal := loop.next(), Wait):
        costs = space.space.costs_of(
            space.space.point_of(proposal.architecture)[None], ("flops", "num_params")
        )
        end = 0.35 + 0.04 * np.log(costs[0, 0]) + 0.03 * rng.standard_normal()
        for epoch in range(1, EPOCHS + 1):
            if not loop.on_epoch(proposal.number, epoch, end - 0.2 / epoch, 0.1):
                break
        loop.on_end(proposal.number)


def numbers_in_table(text: str) -> set[int]:
    """The trials with a star in the front column of a printed table."""
    return {int(row[1]) for row in re.finditer(r"^ +(\d+)  .*  \*  ", text, re.MULTILINE)}


@dataclass(frozen=True)
class Commands:
    """Called in the folder of a study file, with where its study is."""

    file: Path
    runs: Path

    def say(self, *arguments: str) -> str:
        return hgcnas(*arguments, "--runs", str(self.runs), cwd=self.file.parent).output

    def give(self, *arguments: str) -> Any:
        return json.loads(self.say(*arguments, "--json"))


@pytest.fixture
def commands(study: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("COLUMNS", "200")
    return Commands(*study)


def test_every_command_and_the_dashboard_name_the_same_front(commands: Commands) -> None:
    trials = search.load_trials("random", runs=commands.runs)
    front = set(trials.loc[trials["on_front"], "number"])
    finished = trials[trials["state"] == "finished"]
    assert front
    has_estimates = len(finished) >= LEAST_FINISHED
    assert finished["estimated_accuracy"].notna().all() == has_estimates
    assert front == {int(number) for number in brute_force_front(finished, commands.file)}

    status = commands.give("status", "random")
    assert {row["number"] for row in status["front"]} == front
    assert numbers_in_table(commands.say("status", "random")) == front
    (listed,) = commands.give("list")
    assert (listed["front_size"], listed["best_trial"]) == (len(front), status["best_trial"])

    ended = commands.give("run", str(commands.file), "--no-report")  # nothing is left to train
    assert {row["number"] for row in ended["front"]} == front
    assert ended["best_trial"] == status["best_trial"]
    assert on_dashboard(commands.runs / "random") == front


def test_what_is_written_and_exported_is_of_that_front(commands: Commands) -> None:
    run = RunFolder(commands.runs / "random")
    with opened(run) as stored:
        trials = stored.trials()
        chosen = {rule: stored.select(rule) for rule in RULES}
    front = set(trials.loc[trials["on_front"], "number"])
    assert set(chosen.values()) <= front

    assert numbers_in_table(commands.say("run", str(commands.file))) == front
    page = (run.path / "report.html").read_text(encoding="utf-8")
    table = page.partition("Pareto front</h2>")[2].partition("</table>")[0]
    shown = re.findall(r"--trial (\d+)</code>", table)
    assert set(map(int, shown)) == front

    best = (run.path / "best.toml").read_text(encoding="utf-8")
    assert f"trial = {chosen['best']}\n" in best

    output = str(commands.runs / "net.toml")
    exported = commands.give("export", "random", "--select", "knee", "-o", output)
    assert exported["trial"] == chosen["knee"]
    assert read_architecture(output).task.class_names == tuple("0123456789")
    assert ("estimated_accuracy" in exported) == trials["estimated_accuracy"].notna().any()


def brute_force_front(finished: Any, file: Path) -> list[int]:
    """Of all pairs of finished trials: by the estimates where there are any."""
    accuracy = finished["estimated_accuracy"].fillna(finished["val_accuracy"]).tolist()
    costs = finished[list(read_study_file(file).costs)].astype(float).to_numpy().tolist()
    losses = [(-a, *c) for a, c in zip(accuracy, costs, strict=True)]
    return [
        number
        for number, mine in zip(finished["number"], losses, strict=True)
        if not any(
            all(o <= m for o, m in zip(other, mine, strict=True)) and other != mine
            for other in losses
        )
    ]


def on_dashboard(run: Path) -> set[int]:
    """The trials of the front in the graph that Optuna Dashboard shows."""
    with closed(open_writer(RunFolder(run).storage_url(None), "random")) as storage:
        study_id = storage.get_study_id_from_name("random")
        attributes = storage.get_study_system_attrs(study_id)
    prefix = "dashboard:plot_data:pareto:"
    pieces = sorted(
        (int(key.removeprefix(prefix)), text)
        for key, text in attributes.items()
        if key.startswith(prefix)
    )
    graph = json.loads("".join(text for _, text in pieces))
    (trace,) = (trace for trace in graph["data"] if trace["name"].startswith("Pareto front"))
    return set(trace["customdata"])
