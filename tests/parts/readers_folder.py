"""The folder of someone who follows a page: all that it names is there, and small."""

import os
import pickle
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from tests.parts.image_folders import PARTS, write_image_folder
from tests.parts.pages import Step
from tests.parts.processes import ROOT

# Images in CIFAR-10's parts. CIFAR-100 has twice as many, of which half must be left to train on.
_CIFAR_IMAGES = {"train": 100, "test": 50}
# torchvision knows the genuine files by their MD5; they take 170 MB.
_ANY_CIFAR = '''"""torchvision takes any files for CIFAR's, if they are there."""

import sys
from importlib.util import find_spec
from pathlib import Path


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "torchvision.datasets.utils":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.check_integrity = lambda path, md5=None: Path(path).is_file()

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
'''


def make_small(document: Mapping[str, Any]) -> dict[str, Any]:
    """A study of seconds in the place of any study: what is left out of it is at its default.

    Images of 8 x 8, 4 trials of one epoch, on CPUs. A space that has limits is searched: of each range
    the lower end is left, and no preset, which would cost a hundred times as much. Without limits the
    first two of the given networks are compared.
    """
    small = {key: value for key, value in document.items() if key != "early_stopping"}
    left_out = ("epochs", "train_images", "val_images", "resolution")
    proxy = {key: value for key, value in document["proxy"].items() if key not in left_out}
    small["proxy"] = proxy | {"epochs": 1}
    small["budget"] = {"trials": 4}
    small["data"] = document["data"] | {"resolution": 8}
    small["workers"] = {"cpus": 1, "gpus": 0}
    sampler = document.get("sampler", {})
    if "limits" in document:
        small["limits"] = document["limits"] | {"flops": 1e6}
        small["space"] = _narrowed(document["space"])
        small["sampler"] = {key: value for key, value in sampler.items() if key != "start_with"}
    else:
        small["sampler"] = sampler | {"start_with": sampler["start_with"][:2]}
    return small


def _narrowed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if {"low", "high"} <= value.keys():
        return value | {"high": value["low"]}
    return {key: _narrowed(entry) for key, entry in value.items()}


def make_file_small(path: Path) -> None:
    """In its place, if it is a study file."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    if "budget" in document:
        path.write_text(tomli_w.dumps(make_small(document)), encoding="utf-8")


def prepare_folder(folder: Path, steps: Sequence[Step]) -> dict[str, str]:
    """All that the reader has before the first step; the environment of the steps.

    Of a clone the studies, with small study files, and the environment that it was installed into. A
    home with CIFAR-10 and -100. Of the reader's own `images/`, `holiday/`, and every photograph that a
    step names.
    """
    shutil.copytree(ROOT / "studies", folder / "studies")
    for path in (folder / "studies").rglob("*.toml"):
        if path.parent.name != "tables":  # those belong to the .parquet beside them
            make_file_small(path)
    (folder / ".venv").symlink_to(sys.prefix)

    write_image_folder(folder / "images", *PARTS)
    write_image_folder(folder, "holiday", count=3, seed=1)
    [*pictures] = (folder / "holiday").iterdir()
    for photograph in {name for step in steps for name in re.findall(r"[\w./-]+\.jpg", step.text)}:
        (folder / photograph).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures[0], folder / photograph)

    home, site = folder / ".home", folder / ".site"
    _write_cifar(home / ".cache" / "hgcnas")
    site.mkdir()
    (site / "sitecustomize.py").write_text(_ANY_CIFAR, encoding="utf-8")
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(site),
        "BROWSER": "true",  # opens nothing
        "OMP_NUM_THREADS": "1",  # two threads on the cores of two tests wait for each other
    }


def _write_cifar(root: Path) -> None:
    """Both data sets in the genuine format, with a few images of noise."""
    ten, hundred = root / "cifar-10-batches-py", root / "cifar-100-python"
    _write_part(ten / "test_batch", "labels", 10, _CIFAR_IMAGES["test"])
    for number in range(1, 6):
        path = ten / f"data_batch_{number}"
        _write_part(path, "labels", 10, _CIFAR_IMAGES["train"] // 5)
    _pickle(ten / "batches.meta", {"label_names": [f"class {n}" for n in range(10)]})
    for part, images in _CIFAR_IMAGES.items():
        _write_part(hundred / part, "fine_labels", 100, 2 * images)
    _pickle(hundred / "meta", {"fine_label_names": [f"class {n}" for n in range(100)]})


def _write_part(path: Path, key: str, classes: int, images: int) -> None:
    labels = [number % classes for number in range(images)]
    noise = np.random.default_rng(images).integers(0, 256, (images, 3 * 32 * 32), dtype=np.uint8)
    _pickle(path, {"data": noise, key: labels})


def _pickle(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
