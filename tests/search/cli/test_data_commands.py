"""`hgcnas check-data`, and what a dry run says of images."""

import shutil
from pathlib import Path

from tests.parts.commands import hgcnas, refused
from tests.parts.image_folders import PARTS, write_image_folder

STUDY = """
name = "mine"
objectives = ["val_accuracy", "flops"]
budget = { trials = 2 }
data = { dataset = "image_folder", root = "images", resolution = 8, unreadable = "UNREADABLE" }
space = { depth = 1, groups = { choice = [1, 2] }, growth = 4, stem_channels = 4 }
proxy = { epochs = 1, batch_size = 8 }
"""


def write_study(folder: Path, unreadable: str = "refuse") -> None:
    (folder / "study.toml").write_text(STUDY.replace("UNREADABLE", unreadable))


def test_it_lists_every_file_that_cannot_be_read_and_says_so_by_its_exit_code(
    tmp_path: Path,
) -> None:
    root = write_image_folder(tmp_path / "images", *PARTS)
    write_study(tmp_path)
    broken = [root / part / f"{number:03}.png" for part in PARTS for number in range(3)]
    for path in broken:
        path.write_bytes(b"no image")
    for named in ("study.toml", "images"):
        ended = hgcnas("check-data", named, cwd=tmp_path, code=2)
        lines = [line for line in ended.output.splitlines() if line.startswith("unreadable: ")]
        assert len(lines) == 12
        assert all(str(path.relative_to(tmp_path)) in ended.output for path in broken)
        assert ended.errors == (
            f"hgcnas: {named}: 12 of 48 files cannot be used; repair or delete them, or set "
            'unreadable = "skip" in [data] to leave them out\n'
        )
    write_study(tmp_path, "skip")
    facts = hgcnas("check-data", "study.toml", "--json", cwd=tmp_path).json
    assert facts["skipped"] == 12
    assert (
        sum(facts["images"]["train"].values()) + sum(facts["images"]["validation"].values()) == 18
    )
    assert facts["images"]["test"] == {"circle": 9, "square": 9}


def test_it_says_what_is_there_and_what_is_odd(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "images", *PARTS)
    write_image_folder(root, "train/square", count=100, seed=3)
    shutil.copy(root / "train/circle/004.png", root / "test/circle/again.png")
    (root / "train/circle/one.heic").write_bytes(b"no image")
    ended = hgcnas("check-data", "images", cwd=tmp_path)
    assert ended.errors == ""
    assert "image_folder: 2 classes, " in ended.output
    assert "sizes   8 x 8 to 8 x 8, median 8 x 8\ncolours 137 RGB\n" in ended.output
    warnings = [line for line in ended.output.splitlines() if line.startswith("warning: ")]
    assert [line[:40] for line in warnings] == [
        "warning: 89.3% of the images are of one ",
        "warning: 2 images have the same pixels a",
        "warning: left out: 1 .heic",
    ]
    assert warnings[0].endswith('class_weights = "balanced"')  # however long
    assert hgcnas("check-data", "images", "--json", cwd=tmp_path).json["files"] == 137
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]  # nothing is written here


def test_it_refuses_what_is_no_data(tmp_path: Path) -> None:
    assert "nothing: there is no such folder in " in refused(tmp_path, "check-data", "nothing")
    assert "x.toml: there is no such file" in refused(tmp_path, "check-data", "x.toml")
    assert "x.npz: does not exist" in refused(tmp_path, "check-data", "x.npz")


def test_a_dry_run_names_the_classes_and_their_images_and_refuses_broken_ones(
    tmp_path: Path,
) -> None:
    root = write_image_folder(tmp_path / "images", *PARTS)
    write_study(tmp_path)
    said = hgcnas("run", "study.toml", "--dry-run", cwd=tmp_path).output
    assert " and 24 test images" in said
    assert [line.split()[0] for line in said.splitlines()[-2:]] == ["circle", "square"]
    facts = hgcnas("run", "study.toml", "--dry-run", "--json", cwd=tmp_path).json
    assert facts["data"]["images"]["test"] == {"circle": 12, "square": 12}
    (root / "test/circle/003.png").write_bytes(b"no image")
    assert "test/circle/003.png: cannot be read as an image" in refused(
        tmp_path, "run", "study.toml", "--dry-run"
    )
