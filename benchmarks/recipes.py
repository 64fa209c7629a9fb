"""What does the recipe "strong" gain over the paper's, at equal epochs?

Not measured yet; on an idle machine, on two cores (about ... each):

    python benchmarks/recipes.py                                   5,000 images of CIFAR-10 at 16 px, 60 epochs
    python benchmarks/recipes.py --epochs 20                       the same, shorter
    python benchmarks/recipes.py --dataset digits --resolution 8   small images, hardly any classes mixed up

The same network, images and seeds by both recipes; the test accuracy, and the paired differences with their 95 %
interval. What is trained is kept in --folder, so that the same command goes on where it was.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from interleaved import describe_machine

from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task
from hgcnet.complexity import count
from hgcnet.networks import find_network
from search.data.data_config import DataConfig
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
RECIPES: tuple[RecipeName, ...] = ("paper", "strong")


def accuracies(recipe: RecipeName, options: argparse.Namespace) -> list[float]:
    """The test accuracy of each seed by one recipe."""
    task = Task(resolution=options.resolution)
    file = ArchitectureFile(architecture=NETWORK, task=task)
    if options.network:
        file = find_network(options.network)
    proxy = ProxyConfig(
        epochs=options.epochs,
        train_images=options.train_images,
        recipe=recipe,
        class_weights="balanced" if options.balanced else "none",
    )
    data = DataConfig(dataset=options.dataset, root=options.root, resolution=options.resolution)
    name = f"{options.dataset}-{options.epochs}-epochs-{options.train_images}-images-{recipe}"

    def observe(repetition: int, epoch: Any, seconds: float) -> None:
        if epoch.epoch in (1, options.epochs):
            print(
                f"  {recipe}, seed {repetition}: epoch {epoch.epoch}, {seconds:.0f} s", flush=True
            )

    trained = train_in_full(
        "network",
        file,
        Recipe(data=data, proxy=proxy),
        options.folder / f"{file.architecture.fingerprint}-{name}",
        seeds=options.seeds,
        seed=0,
        device="auto",
        observe=observe,
    )
    return [model.test_accuracy for model in trained.models]


def main() -> None:
    """Trains by both recipes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--root", default=os.environ.get("HGCNAS_CIFAR10", "~/.cache/hgcnas"))
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--train-images", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--network", help="an architecture file or a preset")
    parser.add_argument("--balanced", action="store_true", help="weigh the classes")
    parser.add_argument("--folder", type=Path, default=Path("runs/recipes"))
    options = parser.parse_args()

    print(describe_machine())
    task = Task(resolution=options.resolution)
    network = find_network(options.network).architecture if options.network else NETWORK
    print(
        f"{network}, {count_text(count(network, task).flops)} FLOPs: {options.train_images} images of "
        f"{options.dataset} at {options.resolution} px, {options.epochs} epochs, {options.seeds} seeds"
    )
    found = {recipe: accuracies(recipe, options) for recipe in RECIPES}
    for recipe, values in found.items():
        mean = mean_interval(values)
        each = ", ".join(f"{value:.4f}" for value in values)
        print(f"{recipe:8} {mean.mean:.4f} +- {mean.half_width:.4f}   ({each})")
    less = paired_difference(found["strong"], found["paper"])
    difference = less.difference
    print(
        f"strong - paper {difference.mean:+.4f}, 95 % interval {difference.low:+.4f} to "
        f"{difference.high:+.4f}; smallest visible {less.smallest_visible:.4f}"
    )


if __name__ == "__main__":
    main()
