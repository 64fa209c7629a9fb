"""The code of the guides in studies/guides, run as it stands there."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import hgcnet
from hgcnet.architecture import Architecture, Stage, Task
from hgcnet.model import HGCNet
from hgcnet.preparation import FITS, Fit, Preparation, prepare_each
from tests.parts.odd_images import write_odd_images

ROOT = Path(__file__).parents[1]
SMALL = Architecture(stem_channels=6, bottleneck=2, stages=(Stage(depth=2, growth=4, groups=2),))


def code_of(guide: str) -> Any:
    """The functions of a guide's Python block, as of a module."""
    text = (ROOT / "studies" / "guides" / guide).read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": guide}
    exec(compile(block, guide, "exec"), names)
    return SimpleNamespace(**names)


def check(paths: list[Path], folder: Path, fit: Fit, channels: int) -> None:
    """ONNX by the page, the model folder, and torch by hand say the same of all files."""
    task = Task(in_channels=channels, num_classes=3, resolution=24, class_names=("a", "b", "c"))
    network = HGCNet(SMALL, task, generator=torch.Generator().manual_seed(1)).eval()
    preparation = Preparation(channels=channels, resolution=24, fit=fit)
    pixels = torch.tensor(np.stack(list(prepare_each(paths, preparation))))
    images = (pixels / 255 - 0.45) / 0.25
    with torch.no_grad():  # so that it is as sure of its classes, and has as many, as a trained one
        network.classifier.weight *= 20
        network.classifier.bias -= network(images).mean(0)
        logits = network(images)
    normalisation = {"mean": [0.45] * channels, "std": [0.25] * channels}
    hgcnet.save_model(folder / "model", network, metrics={}, **normalisation, fit=fit)
    hgcnet.export_onnx(network, folder / "net.onnx", **normalisation, fit=fit)

    by_onnx = dict(code_of("predict-onnx.md").predict(str(folder / "net.onnx"), paths))
    by_folder = hgcnet.load(folder / "model").predict(paths)
    assert len({found.class_name for found in by_folder}) > 1
    for path, found, row in zip(paths, by_folder, logits.softmax(1), strict=True):
        expected = list(found.probabilities.values())
        assert list(by_onnx[path].values()) == pytest.approx(expected, abs=1e-4), path
        assert row.tolist() == pytest.approx(expected, abs=1e-4), path
        assert list(by_onnx[path]) == list(found.probabilities)


@pytest.mark.parametrize(
    ("fit", "channels"),
    [
        pytest.param(fit, channels, marks=[] if chosen else pytest.mark.long)
        for fit in FITS
        for channels in (1, 3)
        for chosen in [(fit, channels) in (("crop", 3), ("pad", 1))]
    ],
)
def test_the_onnx_page_predicts_what_the_model_folder_does(
    fit: Fit, channels: int, tmp_path: Path
) -> None:
    check(write_odd_images(tmp_path / "images"), tmp_path, fit, channels)


@pytest.mark.long
@pytest.mark.parametrize("fit", FITS)
def test_the_onnx_page_agrees_on_hundreds_of_files(fit: Fit, tmp_path: Path) -> None:
    """Odd ones, and all that the installed packages carry."""
    paths = write_odd_images(tmp_path / "images", each=8)
    suffixes = {".png", ".jpg", ".gif", ".webp", ".tif", ".ico"}
    for path in sorted(Path(np.__file__).parents[1].rglob("*")):
        if path.suffix in suffixes:
            with Image.open(path) as image:
                paths += [path] * (max(image.size) <= 2000)
    assert len(paths) > 200
    check(paths, tmp_path, fit, 3)
