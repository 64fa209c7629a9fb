"""A study of two trials, and two networks beside it, to be trained again."""

from pathlib import Path
from typing import Any

from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task, write_architecture

STUDY = """
name = "tiny"
objectives = ["val_accuracy", "flops"]
[budget]
trials = 2
[data]
dataset = "digits"
resolution = 8
[space]
operator = {{ choice = ["hgc", "sgc"] }}
stem_channels = 4
bottleneck = 1
depth = {{ low = 1, high = 2 }}
groups = {{ choice = [1, 2] }}
growth = [4, 4, 4]
[limits]
flops = 1e6
[sampler]
kind = "random"
start_with = ["one.toml", "two.toml"]
[proxy]
epochs = 1
train_images = 200
val_images = 100
batch_size = 32
[workers]
checkpoint_minutes = 1e-6
cpus = {cpus}
"""


def network(operator: Any) -> Architecture:
    stage = Stage(depth=2, growth=4, groups=2)
    return Architecture(operator=operator, stem_channels=4, bottleneck=1, stages=(stage,) * 3)


def write_networks(folder: Path, cpus: int = 1) -> None:
    """study.toml, one.toml and two.toml."""
    (folder / "study.toml").write_text(STUDY.format(cpus=cpus))
    for name, operator in (("one", "hgc"), ("two", "sgc")):
        file = ArchitectureFile(architecture=network(operator), task=Task(resolution=8))
        write_architecture(folder / f"{name}.toml", file)
