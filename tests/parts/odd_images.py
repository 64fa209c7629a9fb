"""Pictures of many kinds and sizes, made from photos that scikit-learn carries."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

NAMES = ("china", "flower")
KINDS = [
    *(("RGB", suffix) for suffix in ("jpg", "png", "webp", "tif", "bmp", "gif", "jp2", "ppm")),
    *(("L", suffix) for suffix in ("jpg", "png", "tif", "pgm")),
    *(("RGBA", suffix) for suffix in ("png", "webp", "tif")),
    ("LA", "png"),
    ("P", "png"),
    ("1", "png"),
    ("CMYK", "jpg"),
    ("I;16", "png"),
    ("I;16", "tif"),
]


def photo(name: str, seed: int, width: int, height: int) -> Image.Image:
    """A part of a photo, by chance, in RGB."""
    whole = load_sample_image(f"{name}.jpg")
    rng = np.random.default_rng(seed)
    top, left = (int(rng.integers(0, size - 200)) for size in whole.shape[:2])
    return Image.fromarray(whole[top : top + 200, left : left + 200]).resize((width, height))


def write_classes(root: Path, images: int = 20) -> None:
    """ROOT/china and ROOT/flower: JPEGs of many sizes."""
    for name in NAMES:
        (root / name).mkdir(parents=True)
        for seed in range(images):
            photo(name, seed, 40 + 4 * seed, 60).save(root / name / f"{seed:02}.jpg")


def write_odd_images(folder: Path, each: int = 1) -> list[Path]:
    """Some files of every kind: with transparency, turned by a tag, of 16 bits, wide and tall."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for mode, suffix in KINDS:
        for number in range(each):
            width, height = (int(side) for side in rng.integers(9, 150, 2))
            image = photo(NAMES[number % 2], number, width, height)
            exif = Image.Exif()
            exif[0x0112] = int(rng.integers(1, 9))
            tag = {"exif": exif} if suffix in ("jpg", "png", "webp", "tif") else {}
            if mode.endswith("A"):
                image = image.convert(mode)
                alpha = rng.integers(0, 256, (height, width), dtype=np.uint8)
                image.putalpha(Image.fromarray(alpha))
            elif mode == "I;16":
                image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 251)
            else:
                image = image.convert(mode)
            image.save(folder / f"{mode.replace(';', '')}-{number}.{suffix}", **tag)
    return sorted(folder.iterdir())
