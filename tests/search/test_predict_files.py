"""From a folder of pictures to labelled predictions of new ones, by `train` and `predict`."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

import hgcnet
import search
from hgcnet.architecture import Architecture, ArchitectureFile, Stage, Task, write_architecture
from hgcnet.preparation import Preparation
from search.data.data_config import DataConfig
from tests.parts.commands import hgcnas, refused
from tests.parts.odd_images import NAMES, photo, write_classes, write_odd_images

NETWORK = Architecture(stem_channels=8, bottleneck=1, stages=(Stage(depth=2, growth=8, groups=2),))
OPTIONS = ("--root", "images", "--epochs", "20", "--batch-size", "8", "--learning-rate", "0.05")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `images`, `new` ones, and `models/net-image_folder/seed-0`."""
    folder = tmp_path_factory.mktemp("own")
    write_classes(folder / "images")
    write_odd_images(folder / "new")
    (folder / "new" / ".hidden.png").write_bytes(b"")
    (folder / "new" / "notes.txt").write_text("no image")
    (folder / "new" / "broken.jpg").write_bytes((folder / "new" / "L-0.jpg").read_bytes()[:90])
    file = ArchitectureFile(architecture=NETWORK, task=Task(resolution=16))
    write_architecture(folder / "net.toml", file)
    hgcnas("train", "net.toml", "--dataset", "image_folder", *OPTIONS, "--fit", "pad", cwd=folder)
    return folder


MODEL = "models/net-image_folder/seed-0"


def test_training_leaves_all_that_a_prediction_needs(trained: Path) -> None:
    record = hgcnet.read_record(trained / MODEL)
    assert record.class_names == NAMES
    assert record.preparation.fit == "pad"
    assert record.file.provenance["fit"] == "pad"
    for name in ("architecture.toml", "metrics.json"):
        assert '"flower"' in (trained / MODEL / name).read_text()


def test_a_network_is_trained_with_the_preparation_that_it_comes_from(
    trained: Path, tmp_path: Path
) -> None:
    options = (
        "--dataset",
        "image_folder",
        "--root",
        "images",
        "--epochs",
        "1",
        "--channels",
        "grey",
    )
    again = str(tmp_path / "again")
    hgcnas("train", MODEL, *options, "-o", again, cwd=trained)
    record = hgcnet.read_record(tmp_path / "again" / "seed-0")
    assert record.preparation == Preparation(channels=1, resolution=16, fit="pad")
    assert record.file.provenance["channels"] == "grey"

    file = ArchitectureFile(architecture=NETWORK, provenance={"fit": "cover"})
    write_architecture(tmp_path / "other.toml", file)
    said = refused(trained, "train", str(tmp_path / "other.toml"), *options)
    assert "other.toml: provenance.fit: 'cover' is not one of crop, pad, stretch" in said


def test_what_a_study_sets_of_the_preparation_goes_along_with_its_networks() -> None:
    plain = DataConfig(dataset="image_folder", resolution=8)
    assert plain.image_settings == {}
    both = replace(plain, channels="rgb", fit="stretch")
    assert both.image_settings == {"channels": "rgb", "fit": "stretch"}


def test_new_pictures_are_told_apart_by_name(trained: Path, tmp_path: Path) -> None:
    for name in NAMES:
        for seed in range(100, 105):
            photo(name, seed, 70, 60).save(tmp_path / f"{name}-{seed}.png")
    found = hgcnas("predict", str(trained / MODEL), ".", "--top", "1", cwd=tmp_path).output
    lines = re.findall(r"^(\w+)-\d+\.png: (\w+) (\d\.\d{4})$", found, re.MULTILINE)
    assert len(lines) == 10
    assert sum(truth == said for truth, said, _ in lines) >= 8


def test_a_command_says_what_python_does(trained: Path) -> None:
    found = hgcnas("predict", MODEL, "new", "--json", cwd=trained).json
    names = [entry["file"] for entry in found["predictions"]]
    predictions = hgcnet.load(trained / MODEL).predict([trained / name for name in names])
    for entry, prediction in zip(found["predictions"], predictions, strict=True):
        said = [(row["class"], row["probability"]) for row in entry["classes"]]
        assert dict(said) == pytest.approx(dict(prediction.probabilities), abs=1e-6)
        assert said[0][0] == prediction.class_name
    assert found["class_names"] == list(NAMES)
    assert found["left_out"] == 1
    (unreadable,) = found["unreadable"]
    assert unreadable.startswith("new/broken.jpg: cannot be read as an image: ")
    assert "new/broken.jpg" not in names


def test_what_is_no_image_or_unreadable_is_said(trained: Path) -> None:
    said = hgcnas("predict", MODEL, "new/L-0.png", "new", cwd=trained).output.splitlines()
    assert said[0] == said[[line.startswith("new/L-0.png") for line in said].index(True, 1)]
    assert said[-3] == "cannot be read: 1"
    assert said[-2].startswith("new/broken.jpg: cannot be read as an image: ")
    assert said[-1] == "not images, left out: 1"


def test_a_table_is_written(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    said = hgcnas("predict", MODEL, "images", "-o", str(out), "--top", "2", cwd=trained).output
    assert said == f"{out}: 40 images\n"
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["file", "class", "probability", "class_2", "probability_2"]
    assert rows[0]["file"] == "images/china/00.jpg"
    for row in rows:
        total = float(row["probability"]) + float(row["probability_2"])
        assert total == pytest.approx(1, abs=1e-5)
        assert {row["class"], row["class_2"]} == set(NAMES)


def test_the_function_reports_how_far_it_is(trained: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = search.predict(
        trained / MODEL, [trained / "new"], observe=lambda *progress: seen.append(progress)
    )
    total = len(found.predictions) + len(found.unreadable)
    assert seen == [(done + 1, total) for done in range(total)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("net.toml", "new"),
            "net.toml: is an architecture, which has no weights; train it with `hgcnas train",
        ),
        (
            ("hgcnet_42_g4", "new"),
            "hgcnet_42_g4: is an architecture, which has no weights",
        ),
        (("absent", "new"), "absent: does not exist; give a model folder"),
        (("models/net-image_folder", "new"), f"give one of them: {MODEL}"),
        (("images", "new"), "images: is not a complete model folder: architecture.toml is missing"),
        ((MODEL, "absent.jpg"), "absent.jpg: does not exist"),
        ((MODEL, "models"), "models: has no images"),
        ((MODEL, "new/broken.jpg"), "new/broken.jpg: cannot be read as an image"),
        (
            (MODEL, "new", "-o", "absent/out.csv"),
            "absent/out.csv: cannot be written: absent is not",
        ),
        ((MODEL, "new", "--top", "0"), "--top"),
        ((MODEL,), "Missing argument 'PATHS'"),
    ],
    ids=str,
)
def test_a_mistake_gets_one_line(trained: Path, arguments: tuple[str, ...], message: str) -> None:
    said = refused(trained, "predict", *arguments)
    assert message in said
    assert len(said.splitlines()) == 1
