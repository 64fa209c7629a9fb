"""Simulated searches: many at once in processes, and one beside a real one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w

from hgcnet.architecture import Architecture
from search.prepare import prepare
from search.simulation.surrogate import Surrogate
from search.simulation.table import write_table
from search.simulation.virtual_clock import (
    TabulatedSpace,
    simulate_search,
    simulate_searches,
    summarise_searches,
    trials_to_reach,
)
from search.study.run_folder import RunFolder
from search.study_file.reading import read_study_file
from search.workers.resources import Resources
from tests.parts.commands import hgcnas
from tests.parts.made_up_table import DOCUMENT, FILE, SPACE, made_up_table
from tests.parts.opened import trials_of


def test_samplers_are_compared_with_the_same_seeds() -> None:
    world = TabulatedSpace(
        file=FILE, space=SPACE, surrogate=Surrogate(made_up_table(), SPACE.space)
    )
    frame = simulate_searches(world, samplers=["random", "tpe"], workers=2, trials=20, seeds=1)
    summary = summarise_searches(frame)
    assert summary["sampler"].tolist() == ["random", "tpe"]
    random = [group for _, group in frame[frame["sampler"] == "random"].groupby("seed")]
    needed = [trials_to_reach(search, summary["goal"][0]) for search in random]
    assert summary["to_reach"][0] == np.median(needed)
    assert summary["hypervolume_20"][0] == np.median([g["hypervolume"].iloc[-1] for g in random])


def test_the_command_prints_and_plots_every_sampler(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(tomli_w.dumps(DOCUMENT))
    write_table(made_up_table(), prepare(FILE), tmp_path / "t.parquet")
    command = ("simulate", "study.toml", "--table", "t.parquet", "--seeds", "1", "--samplers")
    options = ("random, nsga2", "--workers", "4", "--json")
    found = hgcnas(*command, *options, cwd=tmp_path).json
    assert [row["sampler"] for row in found["samplers"]] == ["random", "nsga2"]
    assert found["surrogate"]["networks"] == 150
    page = (tmp_path / "runs/tiny/simulate.html").read_text()
    assert all(f"Against {x}" in page for x in ("trained networks", "epochs", "time"))
    said = hgcnas(*command, "annealing", cwd=tmp_path, code=2).errors
    assert "'annealing' is not one of random, tpe," in said


class Recorded(Surrogate):
    """What a real study measured, and nothing else."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._curves = dict(zip(frame["fingerprint"], frame["curve"], strict=True))

    def truth(self, architecture: Architecture) -> tuple[np.ndarray, float]:
        return np.array(self._curves[architecture.fingerprint]), 1.0

    def curve(self, architecture: Architecture, seed: int) -> np.ndarray:
        return self.truth(architecture)[0]


def test_a_simulation_proposes_what_a_real_study_with_one_worker_did(
    tmp_path: Path, ray_here: Resources
) -> None:
    kind = "known_cost"
    early = {"kind": "moasha", "min_epochs": 1, "reduction_factor": 2}
    # Each trial takes all CPUs of that Ray.
    workers = {"cpus": int(ray_here.nodes[0].cpus)}
    document = DOCUMENT | {"sampler": {"kind": kind}, "early_stopping": early, "workers": workers}
    (tmp_path / "study.toml").write_text(tomli_w.dumps(document))
    hgcnas("run", "study.toml", cwd=tmp_path)
    file = read_study_file(tmp_path / "study.toml")
    real = trials_of(RunFolder(tmp_path / "runs" / "tiny"))
    assert len(real) == file.budget.trials
    space = prepare(file).space
    world = TabulatedSpace(file=file, space=space, surrogate=Recorded(real))
    found = simulate_search(
        world, sampler=kind, workers=1, trials=file.budget.trials, seed=file.seed
    )
    assert found["number"].tolist() == list(range(len(real)))
    assert found["flops"].tolist() == real["flops"].tolist()
    assert found["observed"].tolist() == pytest.approx(real["last_accuracy"].tolist())
    assert found["accuracy"].isna().tolist() == (real["state"] == "stopped").tolist()
