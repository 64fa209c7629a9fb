"""What must hold between two processes of this machine."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.errors import RunError
from hgcnet.model import HGCNet
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test
from search.study.run_folder import RunFolder
from search.workers.scratch import MARK, end_started_for
from tests.parts.processes import Processes, wait_until

HOLD = """
import sys
from pathlib import Path
from search.study.run_folder import RunFolder
from search.workers.scratch import MARK, end_started_for
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    while True:
        __import__("time").sleep(1)
"""
READ = """
import sys, numpy as np, torch, hgcnet
torch.set_num_threads(1)
images, network = torch.from_numpy(np.load("images.npy")), hgcnet.load(sys.argv[1])
with torch.no_grad():
    np.save("logits.npy", network(images).numpy())
    images = images.to(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    np.save("channels_last.npy", network(images).numpy())
"""


def test_a_second_driver_is_refused_and_told_who_the_first_is(
    folder: Path, processes: Processes
) -> None:
    run = RunFolder(folder / "mine")
    run.create({"name": "mine"}, {"python": "3.11"})
    holder = processes.python(HOLD, str(run.path))
    holder.wait_until(lambda: holder.output == "locked\n", "it has the lock")
    with (
        pytest.raises(RunError, match=f"is being run by process {holder.pid} on "),
        run.locked(),
    ):
        pass
    holder.kill()

    def is_free() -> bool:  # the kernel frees the lock a moment after the death
        try:
            with run.locked():
                return True
        except RunError:
            return False

    wait_until(is_free, "the lock does not outlive its holder")


def test_a_model_folder_gives_the_same_logits_bit_for_bit(
    folder: Path, processes: Processes
) -> None:
    stages = (Stage(depth=2, growth=4, groups=3, se="last"), Stage(depth=1, growth=6, groups=8))
    architecture = Architecture(stem_channels=4, bottleneck=2, stages=stages)
    network = HGCNet(architecture, Task(in_channels=2, num_classes=7, resolution=9))
    images = torch.randn(3, 2, 9, 9, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        network.train()(images)  # the statistics of every batch normalisation are its own
    hgcnet.save_model(folder / "model", network, metrics={}, mean=(0.5, 0.1), std=(0.25, 1 / 3))
    np.save(folder / "images.npy", images.numpy())

    processes.python(READ, str(folder / "model")).succeed()

    with torch.no_grad():
        expected = network.eval()(images).numpy()
        images = images.to(memory_format=torch.channels_last)
        channels_last = network.to(memory_format=torch.channels_last)(images).numpy()
    assert np.load(folder / "logits.npy").tobytes() == expected.tobytes()
    assert np.load(folder / "channels_last.npy").tobytes() == channels_last.tobytes()


def digest_of_digits() -> str:
    """Of all images and labels of all splits."""
    config = DataConfig(dataset="digits", resolution=8)
    splits = load_splits(config, resolution=8)
    parts = (splits.train, splits.validation, load_test(config, resolution=8))
    arrays = b"".join(part.images.tobytes() + part.labels.tobytes() for part in parts)
    return hashlib.sha256(arrays + repr((splits.mean, splits.std)).encode()).hexdigest()


def test_splits_are_the_same_twice_and_in_another_process(processes: Processes) -> None:
    again = processes.script(__file__)
    assert digest_of_digits() == digest_of_digits() == again.succeed().strip()


if __name__ == "__main__":
    print(digest_of_digits())


def test_what_was_started_for_a_folder_is_ended_with_what_it_started_itself(
    processes: Processes, tmp_path: Path
) -> None:
    """A child that has no environment is as Ray's agents, whose title is written over theirs."""
    command = ("bash", "-c", "env -i sleep 600; true")
    ours, others = (
        processes.start(*command, **{MARK: str(folder)}) for folder in (tmp_path, tmp_path / "x")
    )
    for family in (ours, others):
        family.wait_until(lambda family=family: family.members("sleep"), "its child")
    end_started_for(tmp_path)
    wait_until(lambda: not ours.members(), "they are ended")
    assert others.members("sleep")
