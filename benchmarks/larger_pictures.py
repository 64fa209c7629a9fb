"""Is a space with strides and more stages better for images of 128 pixels, at equal FLOPs?

    python benchmarks/larger_pictures.py --photographs FOLDER   # each photograph is a class, cut into tiles
    python benchmarks/larger_pictures.py --root IMAGES          # an image folder: IMAGES/train/<class>/*.jpg
    python benchmarks/larger_pictures.py --photographs FOLDER --budgets 40e6 --networks 1 --epochs 1 --images 80  # a try

Networks are drawn uniformly from both spaces, with 80 to 100 % of each budget of FLOPs, and trained by one proxy at full
resolution. A row per budget and space: mean accuracy on the validation images with its interval, best accuracy, seconds
of an epoch in one thread. Then the difference of the means, with - without, with Welch's interval. Tiles do not overlap,
so that the validation images are new.

    python benchmarks/larger_pictures.py --photographs nature --tiles 60 --images 240 --batch-size 16 --budgets 40e6 \\
        --networks 4 --epochs 4

    240 pictures of 128 px and 12 classes to train on, 122 to validate; 4 epochs
    budget  space    networks  mean FLOPs  accuracy            best  seconds an epoch
       40M  without         4       36.3M  0.6926 +- 0.0835  0.7377  6.0
       40M  with            4       34.9M  0.6885 +- 0.0804  0.7541  3.2
            with - without -0.0041 [-0.0933, +0.0851]

The photographs of Debian's mate-backgrounds 1.26.0-1 (usr/share/backgrounds/mate/nature), one thread of an AMD EPYC
(bf16) that other work shared, torch 2.14.1, Python 3.11.7, at f6e48c3. After 60 steps there is no visible difference; one
of 0.12 would have been seen in four cases of five. The seconds are of a busy machine. The defaults (12 epochs, three
budgets) are not measured.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from interleaved import describe_machine
from PIL import Image
from scipy import stats

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_splits
from search.retraining.statistics import mean_interval
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining
from search.units import count_text
from space.declaration import read_parameters
from space.limits import Limits
from space.search_space import SearchSpace

COMMON: dict[str, Any] = {  # as in studies/own-images.toml
    "stem_channels": {"choice": [16, 24]},
    "bottleneck": {"choice": [2, 4]},
    "depth": {"low": 1, "high": 8, "per_stage": True},
    "groups": {"choice": [1, 2, 4, 8], "per_stage": True},
    "growth": {
        "base": {"low": 4, "high": 24, "step": 4},
        "schedule": {"choice": ["constant", "linear", "exponential"]},
    },
    "se": {"choice": ["none", "last", "all"], "per_stage": True},
}
SPACES = {
    "without": COMMON,
    "with": {**COMMON, "stem_stride": {"choice": [2, 4]}, "stages": {"low": 3, "high": 5}},
}
LEAST = 0.8  # of a budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One training."""

    accuracy: float
    seconds: float  # of its last epoch


def cut_photographs(photographs: Path, root: Path, side: int, tiles: int) -> None:
    """Makes an image folder: each photograph a class, of at most `tiles` tiles that do not overlap."""
    for path in sorted(photographs.iterdir()):
        image = Image.open(path).convert("RGB")
        corners = [
            (left, top)
            for left in range(0, image.width - side + 1, side)
            for top in range(0, image.height - side + 1, side)
        ]
        folder = root / "train" / path.stem
        folder.mkdir(parents=True)
        for number in np.random.default_rng(0).permutation(len(corners))[:tiles]:
            left, top = corners[number]
            image.crop((left, top, left + side, top + side)).save(folder / f"{number:05}.png")


def draw_networks(
    name: str, budget: float, number: int, task: Task, seed: int
) -> list[Architecture]:
    """Different networks of a space, uniform among those of LEAST to all of a budget of FLOPs."""
    errors: list[str] = []
    parameters = read_parameters(SPACES[name], errors)
    assert parameters is not None, errors
    space = SearchSpace(parameters, Limits(flops=budget), task)
    rng, found = np.random.default_rng(seed), dict[str, Architecture]()
    while len(found) < number:
        network = space.sample(rng, found)
        assert network is not None, f"no further network of {name} within {budget:g} FLOPs"
        if count(network, task).flops >= LEAST * budget:
            found[network.fingerprint] = network
    return list(found.values())


def train(network: Architecture, splits: Splits, proxy: ProxyConfig, seed: int) -> Trained:
    """By the proxy, in one thread."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training = ProxyTraining(network, splits, proxy, seed=seed, device=device)
    while not training.is_over:
        result = training.run_epoch()
    return Trained(accuracy=training.curve[-1], seconds=result.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--root", type=Path, help="an image folder")
    pictures.add_argument("--photographs", type=Path, help="a folder of large photographs")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--budgets", type=float, nargs="+", default=[40e6, 80e6, 160e6])
    parser.add_argument("--networks", type=int, default=8, help="of each space and budget")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--images", type=int, help="to train on; all by default")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--tiles", type=int, default=200, help="of a photograph")
    parser.add_argument(
        "--tile", type=int, help="side of a tile in pixels; by default the resolution"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or Path(folder)
        if arguments.photographs:
            side = arguments.tile or arguments.resolution
            cut_photographs(arguments.photographs, root, side, arguments.tiles)
        config = DataConfig(dataset="image_folder", root=str(root), resolution=arguments.resolution)
        splits = load_splits(config, resolution=arguments.resolution, train_images=arguments.images)
    task = Task(num_classes=splits.num_classes, resolution=arguments.resolution)
    proxy = ProxyConfig(epochs=arguments.epochs, batch_size=arguments.batch_size)
    print(
        f"{len(splits.train.labels)} pictures of {arguments.resolution} px and {task.num_classes} classes "
        f"to train on, {len(splits.validation.labels)} to validate; {arguments.epochs} epochs"
    )
    print(
        f"{'budget':>6}  {'space':8} networks  mean FLOPs  accuracy            best  seconds an epoch",
        flush=True,
    )
    for budget in arguments.budgets:
        compare(budget, splits, task, proxy, arguments.networks, arguments.seed)


def compare(
    budget: float, splits: Splits, task: Task, proxy: ProxyConfig, networks: int, seed: int
) -> None:
    """Prints the rows of one budget."""
    drawn = {name: draw_networks(name, budget, networks, task, seed) for name in SPACES}
    found: dict[str, list[Trained]] = {name: [] for name in SPACES}
    for k in range(networks):  # by turns, so that whatever else the machine does falls on both
        for name in SPACES:
            trained = train(drawn[name][k], splits, proxy, seed + k)
            found[name].append(trained)
            print(f"        {name:8} {trained.accuracy:.4f}  {drawn[name][k]}", flush=True)
    accuracy = {name: np.array([t.accuracy for t in rows]) for name, rows in found.items()}
    for name, rows in found.items():
        mean = mean_interval(accuracy[name])
        seconds = float(np.median([training.seconds for training in rows]))
        flops = float(np.mean([count(network, task).flops for network in drawn[name]]))
        print(
            f"{count_text(budget):>6}  {name:8} {networks:8}  {count_text(flops):>10}"
            f"  {mean.mean:.4f} +- {mean.half_width:.4f}  {accuracy[name].max():.4f}  {seconds:.1f}",
            flush=True,
        )
    if networks > 1:
        ours, theirs = accuracy["with"], accuracy["without"]
        interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
        difference = ours.mean() - theirs.mean()
        print(
            f"{'':6}  with - without {difference:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
        )


if __name__ == "__main__":
    main()
