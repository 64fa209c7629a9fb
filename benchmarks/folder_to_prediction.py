"""How long does it take from a folder of your own images to the class of a new one, by the README's commands?

    python benchmarks/folder_to_prediction.py --cifar10 ROOT --trials 8 --epochs 30

Less than five minutes, with eight trials and thirty epochs. 13 of 20 new images are predicted right, of four classes:

    init                    0 s
    check-data              1
    run --dry-run           8
    run --trials 8         81   eight trainings of the template's proxy
    export                  3
    train --epochs 30     194   test accuracy 0.6100
    predict                 3

Two idle cores (AMD EPYC), Python 3.11.7, torch 2.14.1, ray 2.60.0. The template itself trains more networks, and longer.

Four classes of 150 images of CIFAR-10 each, enlarged to 40 px, half JPEG and half PNG, in a temporary folder.
Prints every command with its seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torchvision.datasets
from PIL import Image

CLASSES, EACH, NEW = ("cat", "dog", "ship", "truck"), 150, 5


def write_pictures(folder: Path, cifar10: str) -> None:
    """images/train/<class>/..., and some in holiday/ that no training sees."""
    data = torchvision.datasets.CIFAR10(cifar10, train=True)
    labels = np.array(data.targets)
    for name in CLASSES:
        places = np.flatnonzero(labels == data.classes.index(name))[: EACH + NEW]
        for number, place in enumerate(places):
            is_new = number >= EACH
            to = folder / "holiday" if is_new else folder / "images/train" / name
            to.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(data.data[place]).resize((40, 40), Image.Resampling.BICUBIC)
            picture.save(to / f"{name}-{number:03}.{'jpg' if number % 2 else 'png'}")


def main() -> None:
    """Prints each command, what it says, and its seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", default=os.environ.get("HGCNAS_CIFAR10", "~/.cache/hgcnas"))
    parser.add_argument("--trials", default="20")
    parser.add_argument("--epochs", default="30", help="of the full training")
    options = parser.parse_args()
    train = ("train", "mine-net.toml", "--dataset", "image_folder", "--root", "images")
    steps: tuple[tuple[str, ...], ...] = (
        ("init", "own-images", "mine.toml"),
        ("check-data", "images"),
        ("run", "mine.toml", "--dry-run"),
        ("run", "mine.toml", "--trials", options.trials),
        ("export", "own-images", "-o", "mine-net.toml"),
        (*train, "--epochs", options.epochs),
        ("predict", "models/mine-net-image_folder/seed-0", "holiday", "-o", "out.csv"),
    )
    with tempfile.TemporaryDirectory() as name:
        write_pictures(Path(name), str(Path(options.cifar10).expanduser()))
        begin = time.perf_counter()
        for step in steps:
            started = time.perf_counter()
            print("$ hgcnas", *step, flush=True)
            subprocess.run([Path(sys.executable).with_name("hgcnas"), *step], cwd=name, check=True)
            print(f"{time.perf_counter() - started:.0f} s", flush=True)
        rows = [line.split(",") for line in (Path(name) / "out.csv").read_text().splitlines()[1:]]
        right = sum(Path(row[0]).name.startswith(row[1]) for row in rows)
        print(
            f"{right} of {len(rows)} new pictures right, {time.perf_counter() - begin:.0f} s in all"
        )


if __name__ == "__main__":
    main()
