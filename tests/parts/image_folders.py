"""Small folders of images for tests: circles are bright in the middle, squares everywhere."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image_folder(root: Path, *folders: str, count: int = 12, seed: int = 0) -> Path:
    """`count` noisy pictures of 8 x 8 in each folder; no two are alike."""
    generator = np.random.default_rng(seed)
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = generator.integers(0, 200, (8, 8, 3), dtype=np.uint8)
            image[2:6, 2:6] += 50 if folder.endswith("circle") else 0
            Image.fromarray(image).save(root / folder / f"{number:03}.png")
    return root


PARTS = ("train/circle", "train/square", "test/circle", "test/square")
FLAT = ("circle", "square")
