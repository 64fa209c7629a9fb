"""Are all images of a folder read as Pillow reads them: upright, on white?

    pip download --no-binary :all: --no-deps pillow    # its source distribution; unpack it
    python benchmarks/odd_images.py pillow-13.0.0/Tests/images

      539    equal, in colour
      278    equal, grey
       24    of 16 bits a channel: the upper 8
      213    neither Pillow nor we: named
        6    of 32 bits: named
        0    otherwise

All 1,060 files of the test images of Pillow 13.0.0, after both were resized to 64 px (read by Pillow 13.0.0, Python
3.11.7, on two cores of an AMD EPYC, at b3c60f4). Most of the named files are there to be refused: truncated, fuzzed,
or no images at all. So all images of 8 bits that Pillow opens are read as Pillow reads them; every other file is named.
"""

import argparse
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from hgcnet.errors import DataError
from hgcnet.preparation import Preparation, prepare_each

KINDS = {
    "colour": "equal, in colour",
    "grey": "equal, grey",
    "16 bits": "of 16 bits a channel: the upper 8",
    "named": "neither Pillow nor we: named",
    "32 bits": "of 32 bits: named",
    "otherwise": "otherwise",
}


def by_pillow(path: Path) -> np.ndarray | str | None:
    """(H, W, 3) on white; the mode of what has more than 8 bits; None for what it cannot read."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):
                upright.load()
                return upright.mode
            colours = upright.convert("RGBA")
    except Exception:  # its decoders raise errors of many kinds
        return None
    white = Image.new("RGBA", colours.size, "white")
    return np.asarray(Image.alpha_composite(white, colours).convert("RGB"))


def kind_of(path: Path, resolution: int) -> str:
    """How a file is read, compared with Pillow: a key of KINDS. Both are then resized."""
    expected = by_pillow(path)
    grey = isinstance(expected, np.ndarray) and (expected == expected[..., :1]).all()
    images = [path, expected] if isinstance(expected, np.ndarray) else [path]
    found = list(prepare_each(images, Preparation(channels=3, resolution=resolution)))
    if isinstance(found[0], DataError):
        is_named = str(path) in str(found[0])
        if "has 32 bits" in str(found[0]):
            return "32 bits"
        return "named" if expected is None and is_named else "otherwise"
    if isinstance(expected, str):
        return "16 bits"
    if expected is None or not np.array_equal(*found):
        return "otherwise"
    return "grey" if grey else "colour"


def main() -> None:
    """Prints the table of the docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resolution", type=int, default=64)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of Pillow, when it is called here
    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    found = {path: kind_of(path, options.resolution) for path in files}
    counts = Counter(found.values())
    for kind, words in KINDS.items():
        print(f"    {counts[kind]:5}    {words}")
    for path, kind in found.items():
        if kind == "otherwise":
            print(path)


if __name__ == "__main__":
    main()
