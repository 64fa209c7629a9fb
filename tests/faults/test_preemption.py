"""A study of long trainings that is preempted again and again, as on spot machines and under SLURM.

Run as a script it is `hgcnas` that leaves a line for every epoch and every checkpoint of its trainings.
"""

import random
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w
import torch

from search import run as running
from search.data.splits import load_splits
from search.prepare import prepare
from search.study.search_loop import SearchLoop
from search.study_file.reading import parse_study_file
from search.training.checkpoints import read_progress
from search.training.proxy_training import ProxyTraining
from search.training.seeds import training_seed
from tests.parts.processes import Family, wait_until
from tests.parts.studies import Study

EPOCHS = 60  # for each time that a study is started: more than are trained until it is preempted
LOG = "epochs.log"
# However busy the machine is, the epochs that run end in time.
COMMAND = ("run", "study.toml", "--json", "--no-report", "--grace", "1000")
SENT: dict[str, tuple[Callable[[Family], None], int]] = {  # and the exit code
    "KILL": (lambda driver: driver.kill(), -signal.SIGKILL),
    "TERM to the group": (lambda driver: driver.send_to_all(signal.SIGTERM), 143),
    "USR1": (lambda driver: driver.send(signal.SIGUSR1), 138),
}
KINDS = sorted(SENT)


class LoggedLoop(SearchLoop):
    """Leaves lines: "driver", "epoch FINGERPRINT N", "kept FINGERPRINT N". (The test: "killed", "stopped".)"""

    def __init__(self, *given: Any, **options: Any) -> None:
        log("driver")
        super().__init__(*given, **options)

    def on_epoch(self, number: int, epoch: int, quality: float, seconds: float) -> bool:
        log(f"epoch {self._running[number].proposal.fingerprint} {epoch}")
        return super().on_epoch(number, epoch, quality, seconds)

    def on_checkpoint(self, number: int, state: bytes) -> None:
        super().on_checkpoint(number, state)
        curve, _ = read_progress(state)
        log(f"kept {self._running[number].proposal.fingerprint} {len(curve)}")


def log(line: str, folder: Path = Path()) -> None:
    with (folder / LOG).open("a") as file:
        file.write(f"{line}\n")


def lines_of(study: Study, kind: str = "") -> list[str]:
    path = study.folder / LOG
    found = path.read_text().splitlines() if path.exists() else []
    return [line for line in found if line.startswith(kind)]


def preempt(study: Study, kind: str, rng: random.Random) -> bool:
    """Starts a driver and strikes it at some moment; whether that was before its first epoch."""
    drivers, kept = (len(lines_of(study, word)) for word in ("driver", "kept"))
    driver = study.script(__file__, *COMMAND)
    more = rng.choice([0, 1, 1, 2, 3, 4])  # checkpoints; at times none, while all of it starts
    if more:
        driver.wait_until(lambda: len(lines_of(study, "kept")) >= kept + more, "checkpoints")
    else:
        driver.wait_until(lambda: driver.members("raylet"), "Ray starts")
    send, code = SENT[kind]
    send(driver)
    assert driver.end() == code, driver.errors
    assert "Traceback" not in driver.errors
    assert "internal error" not in driver.errors
    wait_until(lambda: not driver.members("Trainable"), "its workers end")
    log("killed" if kind == "KILL" else "stopped", study.folder)
    return len(lines_of(study, "driver")) == drivers or not more


def test_preemptions_in_a_row_lose_nothing_but_the_epochs_since_the_last_checkpoint(
    num_preemptions: int, create_study: Callable[..., Study], note: Callable[[str], None]
) -> None:
    epochs = EPOCHS * (num_preemptions + 1)
    study = create_study(trials=2)
    path = study.folder / "study.toml"
    document = tomllib.loads(path.read_text())
    document["proxy"]["epochs"] = epochs
    document["workers"]["checkpoint_minutes"] = 0.01
    path.write_text(tomli_w.dumps(document))

    rng = random.Random(1)  # the third moment is before the first epoch
    kinds = [KINDS[turn % len(KINDS)] for turn in range(num_preemptions)]
    early = sum(preempt(study, kind, rng) for kind in kinds)
    last = study.script(__file__, *COMMAND)
    last.succeed()

    rows = study.rows()
    assert not [row for row in rows if row.state.name in ("RUNNING", "WAITING")]
    trained = [row for row in rows if row.state.name == "COMPLETE"]
    assert len(trained) == 2
    assert '"failed": 0' in last.output
    # Each training is the one that it would have been without any fault.
    file = parse_study_file(document, source="study.toml")
    splits = load_splits(file.data, resolution=8, train_images=file.proxy.train_images)
    space, device = prepare(file).space, torch.device("cpu")
    for row in trained:
        network = space.decode(row.params)
        seed_of = training_seed(file.seed, network.fingerprint)
        whole = ProxyTraining(network, splits, file.proxy, seed=seed_of, device=device)
        while not whole.is_over:
            whole.run_epoch()
        assert row.user_attrs["curve"] == [round(accuracy, 6) for accuracy in whole.curve]

    figures = check_log(lines_of(study), epochs)
    note(f"{', '.join(figures)}; {early} of {num_preemptions} before an epoch")


def check_log(lines: list[str], epochs: int) -> list[str]:
    """Every driver went on from the last checkpoint, and after a clean stop from the last epoch; figures."""
    trained: dict[str, int] = {}  # the last epoch of each network
    kept: dict[str, int] = {}  # of its last checkpoint
    begun: set[str] = set()  # networks that the driver has
    was_killed: dict[str, bool] = {}  # the last driver that had the network
    run = twice = 0
    for line in lines:
        word, *rest = line.split()
        if word in ("killed", "stopped"):
            was_killed |= dict.fromkeys(begun, word == "killed")
            begun = set()
        elif word == "kept":
            kept[rest[0]] = int(rest[1])
        elif word == "epoch":
            network, epoch = rest[0], int(rest[1])
            if network not in begun:
                begun.add(network)
                assert epoch > kept.get(network, 0), line
                again = max(0, trained.get(network, 0) + 1 - epoch)
                assert was_killed.get(network) or not again, line
                twice += again
            run += 1
            trained[network] = epoch
    assert set(trained.values()) == {epochs}
    return [f"{run} epochs for {epochs * len(trained)}", f"{twice} trained twice"]


if __name__ == "__main__":
    from search.cli.app import main

    running.SearchLoop = LoggedLoop  # type: ignore[misc]
    main(sys.argv[1:])
