"""What does the recipe "strong" gain over the paper's, at equal epochs?

    python benchmarks/recipes.py --own-kind --epochs 40 --batch-size 64    1,200 PNG files of four classes, 16 px
    python benchmarks/recipes.py --train-images 5000 --epochs 12           CIFAR-10 at 16 px
    python benchmarks/recipes.py --dataset digits --resolution 8           small images, classes rarely confused

The first, in one thread (OMP_NUM_THREADS=1) of an AMD EPYC (bf16) that other work shared, torch 2.14.1, Python 3.11.7,
at d22012a; tested on 4,000 images:

    test accuracy
      paper    0.6004 +- 0.0152   (0.6018, 0.5938, 0.6058)
      strong   0.5963 +- 0.0282   (0.5833, 0.6020, 0.6038)
      strong - paper -0.0041, 95 % interval -0.0376 to +0.0294; smallest visible 0.0418
    test loss
      paper    1.1857 +- 0.0619   (1.1610, 1.1852, 1.2108)
      strong   0.9802 +- 0.0087   (0.9782, 0.9842, 0.9782)
      strong - paper -0.2054, 95 % interval -0.2680 to -0.1429

The second, likewise, at 7de88ab; tested on 10,000 images:

    test accuracy
      paper    0.5380 +- 0.0469   (0.5242, 0.5303, 0.5595)
      strong   0.5155 +- 0.0452   (0.4991, 0.5124, 0.5351)
      strong - paper -0.0225, 95 % interval -0.0323 to -0.0126; smallest visible 0.0123
    test loss
      paper    1.2703 +- 0.0894   (1.2971, 1.2845, 1.2294)
      strong   1.3315 +- 0.1108   (1.3718, 1.3391, 1.2836)
      strong - paper +0.0612, 95 % interval +0.0320 to +0.0904; smallest visible 0.0364

So "strong" is worse after 12 epochs on 5,000 images; after 40 epochs on 1,200 no difference of the accuracy is shown, and
its probabilities are better. The third was not run, nor 60 epochs (the default).

The same network, images and seeds by both recipes; the accuracy and the mean cross entropy on the test images, and
the paired differences with their 95 % interval. Trainings are kept in --folder: rerun the same command to resume.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import describe_machine
from PIL import Image

from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task
from hgcnet.complexity import count
from hgcnet.model_folder import read_record
from hgcnet.networks import find_network
from search.data.data_config import DataConfig
from search.data.splits import load_splits, load_test
from search.retraining.full_training import train_in_full
from search.retraining.statistics import mean_interval, paired_difference
from search.training.proxy_config import ProxyConfig, RecipeName
from search.training.recipe import Recipe
from search.units import count_text

# Of the front of `studies/cifar10-cpu.toml`: about 4M FLOPs at 16 px.
NETWORK = Architecture(
    stem_channels=16,
    bottleneck=4,
    stages=tuple(Stage(depth=4, growth=growth, groups=4, se="last") for growth in (8, 16, 32)),
)
OWN_KIND = {"cat": 3, "deer": 4, "dog": 5, "horse": 7}
RECIPES: tuple[RecipeName, ...] = ("paper", "strong")


def write_own_kind(options: argparse.Namespace) -> Path:
    """Four classes of CIFAR-10 as PNG files: 300 images each to train on, all 1,000 of each to test."""
    folder: Path = options.folder / "own-kind"
    if folder.exists():
        return folder
    config = DataConfig(dataset="cifar10", root=options.root, resolution=32)
    parts = {
        "train": (load_splits(config, resolution=32, hold_out=False).train, 300),
        "test": (load_test(config, resolution=32), 1000),
    }
    unfinished = folder.with_suffix(".unfinished")
    for part, (images, number) in parts.items():
        for name, label in OWN_KIND.items():
            (unfinished / part / name).mkdir(parents=True, exist_ok=True)
            for row in np.flatnonzero(images.labels == label)[:number]:
                image = Image.fromarray(images.images[row].transpose(1, 2, 0))
                image.save(unfinished / part / name / f"{row:05}.png")
    return unfinished.rename(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One training, on the test images."""

    accuracy: float
    loss: float  # mean cross entropy


def train(recipe: RecipeName, file: ArchitectureFile, seed: int, options: Any) -> Tested:
    """One seed by one recipe."""
    proxy = ProxyConfig(
        epochs=options.epochs,
        train_images=options.train_images,
        batch_size=options.batch_size,
        recipe=recipe,
        class_weights="balanced" if options.balanced else "none",
    )
    data = DataConfig(dataset=options.dataset, root=options.root, resolution=options.resolution)
    name = f"{options.dataset}-{options.epochs}-epochs-{options.train_images}-images-{recipe}"
    trained = train_in_full(
        "network",
        file,
        Recipe(data=data, proxy=proxy, hold_out=False),
        options.folder / f"{file.architecture.fingerprint}-{name}",
        seeds=seed + 1,  # those before are only read back
        seed=0,
        device="auto",
    )
    model = trained.models[seed]
    loss = read_record(model.folder).metrics["test_loss"]
    print(
        f"  {recipe}, seed {seed}: {model.test_accuracy:.4f}, loss {loss:.4f}, {model.seconds:.0f} s",
        flush=True,
    )
    return Tested(accuracy=model.test_accuracy, loss=loss)


def main() -> None:
    """Trains by both recipes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--root", default=os.environ.get("HGCNAS_CIFAR10", "~/.cache/hgcnas"))
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--train-images", type=int, help="all by default")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--network", help="an architecture file or a preset")
    parser.add_argument(
        "--own-kind", action="store_true", help="a small image folder, written here"
    )
    parser.add_argument("--balanced", action="store_true", help="weigh the classes")
    parser.add_argument("--folder", type=Path, default=Path("runs/recipes"))
    options = parser.parse_args()

    print(describe_machine())
    if options.own_kind:
        options.root, options.dataset = str(write_own_kind(options)), "image_folder"
    task = Task(resolution=options.resolution)
    file = ArchitectureFile(architecture=NETWORK, task=task)
    if options.network:
        file = find_network(options.network)
    network = file.architecture
    print(
        f"{network}, {count_text(count(network, task).flops)} FLOPs: {options.train_images or 'all'} images of "
        f"{options.dataset} at {options.resolution} px, {options.epochs} epochs, {options.seeds} seeds",
        flush=True,
    )
    found: dict[RecipeName, list[Tested]] = {recipe: [] for recipe in RECIPES}
    # By turns, so that whatever else the machine does falls on both.
    for seed in range(options.seeds):
        for recipe in RECIPES:
            found[recipe].append(train(recipe, file, seed, options))
    for quantity in ("accuracy", "loss"):
        print(f"test {quantity}")
        values = {
            recipe: [getattr(tested, quantity) for tested in rows] for recipe, rows in found.items()
        }
        for recipe, each in values.items():
            mean = mean_interval(each)
            seeds = ", ".join(f"{value:.4f}" for value in each)
            print(f"  {recipe:8} {mean.mean:.4f} +- {mean.half_width:.4f}   ({seeds})")
        less = paired_difference(values["strong"], values["paper"])
        difference = less.difference
        print(
            f"  strong - paper {difference.mean:+.4f}, 95 % interval {difference.low:+.4f} to "
            f"{difference.high:+.4f}; smallest visible {less.smallest_visible:.4f}"
        )


if __name__ == "__main__":
    main()
