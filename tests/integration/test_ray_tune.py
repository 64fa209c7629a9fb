"""Studies on a real Ray: what is told, what workers live through, and how a run ends."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import ray
import torch
from optuna.trial import TrialState
from ray import tune

from hgcnet.errors import RunError
from search.data.data_config import DataConfig
from search.data.splits import load_splits
from search.study_file.schema import Workers
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.workers.ray_tune import fit_trials, run_trials, with_shares
from search.workers.ray_worker import CROWDED, EPOCH, FAILURE, QUALITY, SECONDS, ProxyTrainable
from search.workers.resources import Node, Resources
from tests.parts.processes import wait_until
from tests.parts.scripted_study import RecordedLoop, create_file, create_trainable, num_workers


@pytest.mark.usefixtures("ray_here")
class TestStudyOnRay:
    def test_every_trial_is_told_once_by_as_many_workers_as_slots(self, tmp_path, capfd):
        def act(index: int, epoch: int) -> float:
            (tmp_path / f"began-{os.getpid()}").touch()
            while len(list(tmp_path.glob("began-*"))) < 2:  # both workers are up
                time.sleep(0.01)
            return 0.5

        loop = RecordedLoop(tmp_path, create_file(12))
        fit_trials(loop, create_trainable(tmp_path, act), slots=2)
        assert loop.states == {"COMPLETE": 12}
        assert len({row.user_attrs["fingerprint"] for row in loop.rows}) == 12
        assert loop.most_running == 2
        assert num_workers(tmp_path) == 2
        assert loop.end_reason == "its budget of 12 trials is used"
        assert capfd.readouterr() == ("", "")

    def test_trainings_stopped_early_are_pruned_with_their_curve(self, tmp_path):
        early = {"kind": "moasha", "min_epochs": 1, "reduction_factor": 2}
        file = create_file(10, proxy={"epochs": 4}, early_stopping=early)
        loop = RecordedLoop(tmp_path, file)
        trainable = create_trainable(tmp_path, lambda index, epoch: 0.9 / (1 + index), epochs=4)
        fit_trials(loop, trainable, slots=1)
        pruned = [row for row in loop.rows if row.state == TrialState.PRUNED]
        finished = [row for row in loop.rows if row.state == TrialState.COMPLETE]
        assert pruned
        assert len(pruned) + len(finished) == 10
        assert all(len(row.user_attrs["curve"]) in (1, 2) for row in pruned)
        assert all(len(row.user_attrs["curve"]) == 4 for row in finished)
        assert num_workers(tmp_path) == 1

    def test_a_worker_that_dies_costs_one_trial_and_is_replaced(self, tmp_path):
        def act(index: int, epoch: int) -> float:
            if index == 1:
                os._exit(3)
            if index == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return 0.5

        loop = RecordedLoop(tmp_path, create_file(3))
        fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        assert [row.state.name for row in loop.rows] == [
            "COMPLETE",
            "FAIL",
            "COMPLETE",
            "FAIL",
            "COMPLETE",
        ]
        for row in (loop.rows[1], loop.rows[3]):
            assert row.user_attrs["failure"].startswith(
                "its worker died: Worker unexpectedly exits"
            )
        assert num_workers(tmp_path) == 3

    def test_an_error_outside_of_a_training_is_named_without_its_traceback(self, tmp_path):
        def act(index: int, epoch: int) -> float:
            if index == 0:
                raise ValueError("two\nlines")
            return 0.5

        loop = RecordedLoop(tmp_path, create_file(1))
        fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        assert loop.rows[0].user_attrs["failure"] == "ValueError: two lines"
        assert loop.states == {"FAIL": 1, "COMPLETE": 1}

    def test_a_training_that_raises_fails_alone_and_keeps_its_worker(self, tmp_path):
        class SecondFails(ProxyTrainable):
            def setup(self, config, **parameters):
                super().setup(config, **parameters)
                (tmp_path / f"pid-{os.getpid()}").touch()
                self._count = 0

            def step(self):
                self._count += 1
                if self._count != 2:
                    return super().step()
                splits, self._splits = self._splits, None
                result = super().step()
                self._splits = splits
                return result

        file = create_file(2)
        trainable = tune.with_parameters(
            SecondFails, splits=digits(), proxy=file.proxy, workers=Workers()
        )
        loop = RecordedLoop(tmp_path, file)
        fit_trials(loop, tune.with_resources(trainable, {"cpu": 1}), slots=1)
        assert [row.state.name for row in loop.rows] == ["COMPLETE", "FAIL", "COMPLETE"]
        assert loop.rows[1].user_attrs["failure"].startswith("AttributeError: 'NoneType' object")
        assert num_workers(tmp_path) == 1

    def test_a_worker_trains_as_this_process_would(self, tmp_path):
        splits, proxy = digits(), ProxyConfig(epochs=2, batch_size=64)
        loop = RecordedLoop(tmp_path, create_file(2, proxy={"epochs": 2, "batch_size": 64}))
        run_trials(loop, splits, proxy, Workers(cpus=2))  # as many threads, here as there
        assert loop.states == {"COMPLETE": 2}
        torch.set_num_threads(2)
        for proposal, row in zip(loop.proposals, loop.rows, strict=True):
            training = ProxyTraining(
                proposal.architecture, splits, proxy, seed=proposal.seed, device=torch.device("cpu")
            )
            epochs = [training.run_epoch() for _ in range(2)]
            assert row.user_attrs["curve"] == [round(epoch.val_accuracy, 6) for epoch in epochs]
            assert row.user_attrs["confusion"] == [list(images) for images in epochs[-1].confusion]

    def test_a_repeated_training_goes_on_from_its_checkpoint(self, tmp_path):
        class DiesOnce(ProxyTrainable):
            def step(self):
                result = super().step()
                with (tmp_path / "epochs").open("a") as file:
                    print(result[EPOCH], file=file)
                if result[EPOCH] == 3 and not (tmp_path / "died").exists():
                    (tmp_path / "died").touch()
                    os._exit(1)
                return result

        splits, proxy = digits(), ProxyConfig(epochs=4, batch_size=64)
        workers = Workers(cpus=1, checkpoint_minutes=1e-6)
        loop = RecordedLoop(tmp_path, create_file(1, proxy={"epochs": 4, "batch_size": 64}))
        trainable = tune.with_parameters(DiesOnce, splits=splits, proxy=proxy, workers=workers)
        fit_trials(loop, tune.with_resources(trainable, {"cpu": 1}), slots=1)
        assert [row.state.name for row in loop.rows] == ["FAIL", "COMPLETE"]
        assert loop.rows[0].user_attrs["failure"].startswith("its worker died")
        assert loop.rows[1].user_attrs["retry_of"] == 0
        assert (tmp_path / "epochs").read_text().split() == ["1", "2", "3", "3", "4"]
        assert list((tmp_path / "states").iterdir()) == []

        (proposal,) = {proposal.seed: proposal for proposal in loop.proposals}.values()
        torch.set_num_threads(1)
        training = ProxyTraining(
            proposal.architecture, splits, proxy, seed=proposal.seed, device=torch.device("cpu")
        )
        for _ in range(4):
            training.run_epoch()
        assert loop.rows[1].user_attrs["curve"] == [round(value, 6) for value in training.curve]
        assert len(loop.rows[1].user_attrs["curve"]) == 4

    def test_a_training_that_kills_every_worker_is_given_up(self, tmp_path):
        def act(index: int, epoch: int) -> float:
            if index < 3:
                os._exit(1)
            return 0.5

        loop = RecordedLoop(tmp_path, create_file(1))
        fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        assert [row.state.name for row in loop.rows] == ["FAIL", "FAIL", "FAIL", "COMPLETE"]
        assert [row.user_attrs.get("retry_of") for row in loop.rows] == [None, 0, 1, None]
        assert [loop.progress().failed, loop.progress().trained] == [1, 1]

    def test_ctrl_c_gives_up_what_runs_and_the_next_driver_repeats_it(self, tmp_path):
        def act(index: int, epoch: int) -> float:
            if index == 1:
                (tmp_path / "running").touch()
                time.sleep(10**6)
            return 0.5

        def press_ctrl_c() -> None:
            wait_until((tmp_path / "running").exists, "the second training runs")
            os.kill(os.getpid(), signal.SIGINT)

        loop = RecordedLoop(tmp_path, create_file(3))
        pressing = threading.Thread(target=press_ctrl_c, daemon=True)
        pressing.start()
        fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        pressing.join()
        assert loop.end_reason == "stopped by Ctrl-C"
        assert [row.state.name for row in loop.rows] == ["COMPLETE", "FAIL", "WAITING"]
        pids = [path.name.removeprefix("pid-") for path in tmp_path.glob("pid-*")]
        wait_until(lambda: not any(Path("/proc", p).exists() for p in pids), "its worker ends")

        loop = RecordedLoop(tmp_path, create_file(3))
        fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        assert loop.states == {"COMPLETE": 3, "FAIL": 1}
        assert loop.rows[2].user_attrs["retry_of"] == 1

    def test_the_first_five_failures_end_the_run_with_the_last_reason(self, tmp_path):
        def act(index: int, epoch: int) -> str:
            return f"OSError: no space left for {index}"

        loop = RecordedLoop(tmp_path, create_file(9))
        with pytest.raises(RunError, match=r"^5 of 5 trainings failed.*: no space left for 4"):
            fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        assert loop.states == {"FAIL": 5}

    def test_an_error_of_the_storage_ends_the_run_as_itself(self, tmp_path):
        loop = RecordedLoop(tmp_path, create_file(5))
        with loop.writer._storage.backend.engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER broken BEFORE INSERT ON trial_values "
                "BEGIN INSERT INTO missing VALUES (1); END"
            )
        with pytest.raises(RunError, match=r"^the study's database failed: no such table: main\.m"):
            fit_trials(loop, create_trainable(tmp_path, lambda index, epoch: 0.5), slots=1)
        assert [row.state.name for row in loop.rows] == ["FAIL", "WAITING"]  # to be repeated

    def test_what_tune_writes_names_no_storage_and_is_removed(self, folder, monkeypatch):
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        monkeypatch.setenv("TMPDIR", str(folder))
        study = folder / "planted-password"  # it is a part of the storage's URL
        study.mkdir()
        written: dict[str, bytes] = {}

        def read_all() -> None:  # after Tune's last write, before the folder goes
            for path in folder.glob("hgcnas-*/**/*"):
                if path.is_file():
                    written[path.name] = path.read_bytes()

        loop = RecordedLoop(study, create_file(2), on_close=read_all)
        fit_trials(loop, create_trainable(study, lambda index, epoch: 0.5), slots=1)
        kinds = ("tuner.pkl", "search_gen_state", "experiment_state")
        assert all(any(name.startswith(kind) for name in written) for kind in kinds), list(written)
        assert not list(folder.glob("hgcnas-*"))
        for name, content in written.items():
            assert b"sqlite" not in content, name
            assert b"study.db" not in content, name


def test_what_is_out_of_memory_beside_others_is_tried_once_more_with_a_whole_gpu(
    tmp_path, ray_here
):
    """Ray counts a GPU that is not there. What each trial was given of it is its accuracy."""

    class Scripted(tune.Trainable):
        def setup(self, config):
            self.reset_config(config)

        def reset_config(self, new_config):
            self._architecture = new_config["architecture"]
            return True

        def step(self):
            share = ray.get_runtime_context().get_assigned_resources()["GPU"]
            is_wide = self._architecture.stem_channels == 16
            if is_wide and (share < 1 or self._architecture.stages[0].depth == 3):
                return {FAILURE: "out of memory", CROWDED: share < 1, tune.result.DONE: True}
            return {EPOCH: 1, QUALITY: share, SECONDS: 0.1, tune.result.DONE: True}

    workers = Workers(cpus=1, gpus=0.25)
    loop = RecordedLoop(tmp_path, create_file(12, budget={"trials": 12, "max_failure_share": 1}))
    trainable, can_be_alone = with_shares(Scripted, workers, ray_here)
    fit_trials(loop, trainable, slots=ray_here.slots(workers), can_be_alone=can_be_alone)
    rows = loop.rows
    trained = [row for row in rows if row.state == TrialState.COMPLETE]
    assert len(trained) == 12
    crowded = [row for row in rows if row.user_attrs.get("again") == "alone"]
    repeats = [row for row in rows if "retry_of" in row.user_attrs]
    assert {row.user_attrs["retry_of"] for row in repeats} == {row.number for row in crowded}
    for row in rows:
        is_wide = row.user_attrs["architecture"].split()[-1] == "s16"
        if row.state == TrialState.COMPLETE:
            assert row.values[0] == (1.0 if is_wide else 0.25)
        elif row in repeats:  # too large even alone
            assert "again" not in row.user_attrs
        else:
            assert row in crowded
    assert {TrialState.COMPLETE, TrialState.FAIL} == {row.state for row in repeats}
    # What fits comes first, and nothing waits for the sake of one that must be alone.
    first = min(row.number for row in repeats)
    assert sum(row.state == TrialState.COMPLETE for row in rows[:first]) + len(repeats) >= 12


def test_gpus_that_ray_reports_make_slots_by_whole_shares(ray_here):
    assert ray_here == Resources(nodes=(Node(cpus=2, gpus=1),))
    assert ray_here.slots(Workers(cpus=1, gpus=0.5)) == 2
    assert ray_here.slots(Workers(cpus=1, gpus=0.6)) == 1


def digits():
    return load_splits(DataConfig(dataset="digits", resolution=8), resolution=8, train_images=200)
