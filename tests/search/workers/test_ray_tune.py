"""Studies on a real Ray: what is told, what workers live through, and how a run ends.

Run as a script it is the driver of one study, which the tests interrupt and kill.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from optuna.trial import FrozenTrial, TrialState
from ray import tune

from hgcnet.architecture import Task
from hgcnet.errors import RunError
from search.data.data_config import DataConfig
from search.data.splits import load_splits
from search.optuna_space import OptunaSpace
from search.study.progress import Progress
from search.study.search_loop import SearchLoop
from search.study.storage import open_storage, open_writer, sqlite_url
from search.study.writer import StudyWriter
from search.study_file.reading import parse_study_file
from search.study_file.schema import StudyFile, Workers
from search.training.checkpoints import Checkpoints
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.workers.protocol import Proposal, Wait
from search.workers.ray_cluster import Node, Resources, check_resources, joined_ray
from search.workers.ray_tune import fit_trials, run_trials, with_shares
from search.workers.ray_worker import ACCURACY, CROWDED, EPOCH, FAILURE, SECONDS, ProxyTrainable
from space.search_space import SearchSpace

Act = Callable[[int, int], float | str]  # (which training, epoch) -> val_accuracy or failure


def create_file(trials: int, **changes: Any) -> StudyFile:
    document = {
        "name": "study",
        "budget": {"trials": trials},
        "data": {"dataset": "digits", "resolution": 8},
        "space": {
            "operator": "hgc",
            "stem_channels": {"choice": [8, 16]},
            "depth": {"low": 1, "high": 3, "per_stage": True},
            "groups": {"choice": [1, 2, 4], "per_stage": True},
            "growth": 4,
        },
        "objectives": ["val_accuracy", "flops"],
        "sampler": {"kind": "random"},
        "proxy": {"epochs": 1},
    }
    return parse_study_file(document | changes, source="study.toml")


class RecordedLoop(SearchLoop):
    """A loop that remembers what it gave out and how many trials ran at once."""

    def __init__(self, folder: Path, file: StudyFile, on_close: Callable[[], None] = lambda: None):
        task = Task(in_channels=1, num_classes=10, resolution=8)
        space = OptunaSpace(SearchSpace(file.parameters, file.limits, task))
        storage = open_writer(sqlite_url(folder), file.name)
        self.writer = StudyWriter(storage, file, space)
        self.proposals: list[Proposal] = []
        self.most_running = 0
        self.on_close = on_close
        super().__init__(
            file, space, self.writer, {}, self.observe, checkpoints=Checkpoints(folder / "states")
        )

    def next(self) -> Proposal | Wait:
        proposal = super().next()
        if isinstance(proposal, Proposal):
            self.proposals.append(proposal)
        return proposal

    def observe(self, progress: Progress) -> None:
        self.most_running = max(self.most_running, progress.running)

    def close(self) -> None:
        self.on_close()
        super().close()

    @property
    def rows(self) -> list[FrozenTrial]:
        return self.writer.frozen_trials()

    @property
    def states(self) -> Counter[str]:
        return Counter(row.state.name for row in self.rows)


def create_trainable(folder: Path, act: Act, epochs: int = 1) -> Any:
    """A Trainable that trains nothing: `act` gives its accuracy or failure, raises, or kills it."""

    class Scripted(tune.Trainable):
        def setup(self, config):
            (folder / f"pid-{os.getpid()}").touch()
            self.reset_config(config)

        def reset_config(self, new_config):
            self._done = 0
            self._index = next(index for index in itertools.count() if claim(index))
            return True

        def step(self):
            self._done += 1
            outcome = act(self._index, self._done)
            if isinstance(outcome, str):
                return {FAILURE: outcome, tune.result.DONE: True}
            result = {EPOCH: self._done, ACCURACY: outcome, SECONDS: 0.1}
            return result | {tune.result.DONE: self._done == epochs}

    def claim(index: int) -> bool:
        try:
            (folder / f"training-{index}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    return tune.with_resources(Scripted, {"cpu": 1})


def num_workers(folder: Path) -> int:
    return len(list(folder.glob("pid-*")))


@pytest.fixture(scope="module")
def _two_cpus() -> Iterator[None]:
    with joined_ray(None, num_cpus=2):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_two_cpus")
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
            accuracies = [training.run_epoch().val_accuracy for _ in range(2)]
            assert row.user_attrs["curve"] == [round(accuracy, 6) for accuracy in accuracies]

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

    def test_the_first_five_failures_end_the_run_with_the_last_reason(self, tmp_path):
        def act(index: int, epoch: int) -> str:
            return f"OSError: no space left for {index}"

        loop = RecordedLoop(tmp_path, create_file(9))
        with pytest.raises(RunError, match=r"^5 of 5 trainings failed.*: no space left for 4"):
            fit_trials(loop, create_trainable(tmp_path, act), slots=1)
        assert loop.states == {"FAIL": 5}

    def test_an_error_of_the_storage_ends_the_run_as_itself(self, tmp_path):
        loop = RecordedLoop(tmp_path, create_file(5))
        with loop.writer._storage.engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER broken BEFORE INSERT ON trial_values "
                "BEGIN INSERT INTO missing VALUES (1); END"
            )
        with pytest.raises(RunError, match=r"^the study's database failed: no such table: main\.m"):
            fit_trials(loop, create_trainable(tmp_path, lambda index, epoch: 0.5), slots=1)
        assert [row.state.name for row in loop.rows] == ["FAIL", "WAITING"]  # to be repeated

    def test_what_tune_writes_names_no_storage_and_is_removed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        study = tmp_path / "planted-password"  # it is a part of the storage's URL
        study.mkdir()
        written: dict[str, bytes] = {}

        def read_all() -> None:  # after Tune's last write, before the folder goes
            for path in tmp_path.glob("hgcnas-*/**/*"):
                if path.is_file():
                    written[path.name] = path.read_bytes()

        loop = RecordedLoop(study, create_file(2), on_close=read_all)
        fit_trials(loop, create_trainable(study, lambda index, epoch: 0.5), slots=1)
        kinds = ("tuner.pkl", "search_gen_state", "experiment_state")
        assert all(any(name.startswith(kind) for name in written) for kind in kinds), list(written)
        assert not list(tmp_path.glob("hgcnas-*"))
        for name, content in written.items():
            assert b"sqlite" not in content, name
            assert b"study.db" not in content, name


@pytest.mark.slow
def test_whatever_ends_a_driver_the_next_one_finishes_the_study(tmp_path):
    stopped = start_driver(tmp_path)
    wait_for(tmp_path, trainings=3)
    began = time.monotonic()
    os.killpg(stopped.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    output, _ = stopped.communicate(timeout=30)
    assert time.monotonic() - began < 15  # not the minute of the epochs that run
    assert (stopped.returncode, output) == (0, "stopped on request\n")
    before = states(tmp_path)
    assert before["RUNNING"] == 0
    assert before["FAIL"] == before["WAITING"] == 2  # the interrupted ones and their repeats

    killed = start_driver(tmp_path)
    wait_for(tmp_path, trainings=5)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert states(tmp_path)["RUNNING"] == 2

    (tmp_path / "fast").touch()
    last = start_driver(tmp_path)
    output, _ = last.communicate(timeout=60)
    assert (last.returncode, output) == (0, "its budget of 6 trials is used\n")
    rows = read_rows(tmp_path)
    trained = [row.user_attrs["fingerprint"] for row in rows if row.state == TrialState.COMPLETE]
    assert len(trained) == len(set(trained)) == 6
    reasons = Counter(
        row.user_attrs["failure"][:15] for row in rows if row.state == TrialState.FAIL
    )
    assert reasons == {"interrupted": 2, "stopped on requ": 2, "its worker died": 1}
    assert len(rows) == 11


def share_one_gpu(folder: Path) -> None:
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
            return {EPOCH: 1, ACCURACY: share, SECONDS: 0.1, tune.result.DONE: True}

    with joined_ray(None, num_cpus=8, num_gpus=1) as resources:
        workers = Workers(cpus=1, gpus=0.25)
        loop = RecordedLoop(folder, create_file(12, budget={"trials": 12, "max_failure_share": 1}))
        trainable, can_be_alone = with_shares(Scripted, workers, resources)
        fit_trials(loop, trainable, slots=resources.slots(workers), can_be_alone=can_be_alone)


@pytest.mark.slow
def test_what_is_out_of_memory_beside_others_is_tried_once_more_with_a_whole_gpu(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from test_ray_tune import Path, share_one_gpu; share_one_gpu(Path({str(tmp_path)!r}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    rows = read_rows(tmp_path)
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


@pytest.mark.slow
def test_gpus_that_ray_reports_make_slots_by_whole_shares():
    code = (
        "from search.workers.ray_cluster import joined_ray; from search.study_file.schema import Workers\n"
        "with joined_ray(None, num_cpus=8, num_gpus=2) as resources:\n"
        "    print(resources.slots(Workers(cpus=1, gpus=0.3)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("6\n", "")


@pytest.mark.parametrize(
    ("cpus", "gpus", "slots"), [(1, 0.0, 12), (3, 0.0, 3), (1, 0.25, 8), (1, 0.6, 2), (1, 2.0, 1)]
)
def test_no_trial_spans_two_nodes_nor_a_share_two_gpus(cpus, gpus, slots):
    nodes = (Node(cpus=8, gpus=2), Node(cpus=4, gpus=0))
    assert Resources(nodes=nodes).slots(Workers(cpus=cpus, gpus=gpus)) == slots


@pytest.mark.parametrize(
    ("workers", "nodes", "message"),
    [
        (
            Workers(cpus=9),
            [Node(cpus=8, gpus=0)],
            "x.toml: workers.cpus: 9 asked for each trial; 8 there",
        ),
        (
            Workers(gpus=0.5),
            [Node(cpus=8, gpus=0)],
            "x.toml: workers.gpus: 0.5 asked for each trial; no GPU is there "
            "(gpus = 0 trains on the CPU)",
        ),
        (
            Workers(gpus=2),
            [Node(cpus=8, gpus=1), Node(cpus=8, gpus=1)],
            "x.toml: workers.gpus: 2 asked for each trial; 1 on the largest node "
            "(gpus = 0 trains on the CPU)",
        ),
        (
            Workers(cpus=4, gpus=1),
            [Node(cpus=8, gpus=0), Node(cpus=2, gpus=1)],
            "x.toml: workers: no node has the 4 CPUs and the 1 GPUs asked for each trial together",
        ),
    ],
)
def test_what_no_node_can_give_is_refused_by_its_key(workers, nodes, message):
    with pytest.raises(RunError) as error:
        check_resources(Resources(nodes=tuple(nodes)), workers, "x.toml")
    assert str(error.value) == message


def test_what_a_node_can_give_is_not_refused():
    nodes = (Node(cpus=1, gpus=0), Node(cpus=4, gpus=1))
    check_resources(Resources(nodes=nodes), Workers(cpus=4, gpus=0.5), "x.toml")


def test_a_ray_client_address_is_refused():
    with (
        pytest.raises(RunError, match="ray:// would move the search"),
        joined_ray("ray://head:10001"),
    ):
        pass


def digits():
    return load_splits(DataConfig(dataset="digits", resolution=8), resolution=8, train_images=200)


def start_driver(folder: Path) -> subprocess.Popen[str]:
    # search.workers.ray_tune comes before Ray, as in the command line: only then is all of Ray silent.
    code = "import sys, runpy, search.workers.ray_tune; runpy.run_path(sys.argv[1], run_name='__main__')"
    return subprocess.Popen(
        [sys.executable, "-c", code, __file__, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(folder: Path, trainings: int) -> None:
    """Until so many trainings began, or a minute is over."""
    deadline = time.monotonic() + 60
    while len(list(folder.glob("acted-*"))) < trainings and time.monotonic() < deadline:
        time.sleep(0.05)


def read_rows(folder: Path) -> list[FrozenTrial]:
    storage = open_storage(sqlite_url(folder))
    rows = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    storage.engine.dispose()
    return rows


def states(folder: Path) -> Counter[str]:
    return Counter(row.state.name for row in read_rows(folder))


def drive(folder: Path) -> None:
    """Six trials, two at once. The first is fast. With a file "fast" all are, and a worker dies."""

    def act(index: int, epoch: int) -> float:
        (folder / f"acted-{index}").touch()
        is_fast = (folder / "fast").exists()
        if index > 0 and not is_fast:
            time.sleep(60)
        if is_fast and not (folder / "dead").exists():
            (folder / "dead").touch()
            os._exit(1)
        return 0.5

    with joined_ray(None, num_cpus=2):
        loop = RecordedLoop(folder, create_file(6))
        fit_trials(loop, create_trainable(folder, act), slots=2)
    print(loop.end_reason)


if __name__ == "__main__":
    drive(Path(sys.argv[-1]))
