import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hgcnet.errors import DataError
from search.data.data_config import DataConfig
from search.data.splits import ImageSet, Splits, load_splits, load_test, summarise_data

FLAT = np.full((8, 8), 128, dtype=np.uint8)


def write_digits(folder: Path, digits: tuple[np.ndarray, np.ndarray], part: slice) -> None:
    for number, (image, label) in enumerate(zip(*(d[part] for d in digits), strict=True)):
        path = folder / f"digit-{label}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def write_classes(root: Path, *names: str, image: np.ndarray = FLAT, count: int = 5) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(image).save(root / name / f"{number}.png")


def config_of(root: Path) -> DataConfig:
    return DataConfig(dataset="image_folder", root=str(root), resolution=8)


def load_all(config: DataConfig) -> tuple[Splits, ImageSet]:
    return load_splits(config, resolution=8), load_test(config, resolution=8)


def test_a_folder_of_classes_is_split_like_any_other_data(
    tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    write_digits(tmp_path, digits, slice(200))
    splits, test = (
        load_splits(config_of(tmp_path), resolution=8),
        load_test(config_of(tmp_path), resolution=8),
    )
    assert splits.class_names == tuple(f"digit-{d}" for d in range(10))
    sizes = [len(part.labels) for part in (splits.train, splits.validation, test)]
    assert splits.train.images.shape == (sizes[0], 3, 8, 8)
    assert sum(sizes) == 200
    assert np.abs(np.array(sizes) / 200 - [0.68, 0.17, 0.15]).max() < 0.08  # by name: about
    expected = {
        (np.stack([image] * 3).tobytes(), int(label))
        for image, label in zip(digits[0][:200], digits[1][:200], strict=True)
    }
    for part in (splits.train, splits.validation, test):
        images = (image.tobytes() for image in part.images)
        assert set(zip(images, part.labels.tolist(), strict=True)) <= expected


def test_train_and_test_folders_are_the_parts(
    tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    write_digits(tmp_path / "train", digits, slice(200))
    write_digits(tmp_path / "test", digits, slice(200, 230))
    summary = summarise_data(config_of(tmp_path))
    assert summary.train_images + summary.val_images == 200
    test = load_test(config_of(tmp_path), resolution=8)
    assert sorted(test.labels.tolist()) == sorted(digits[1][200:230].tolist())


def test_sizes_may_differ_and_the_centred_square_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((12, 20), dtype=np.uint8)
    wide[:, 4:16] = 200
    write_classes(tmp_path, "a", image=wide)
    write_classes(tmp_path, "b", image=np.full((40, 6), 200, dtype=np.uint8))
    assert (load_splits(config_of(tmp_path), resolution=8).train.images == 200).all()


def test_hidden_files_and_other_files_are_left_out_and_nested_images_found(tmp_path: Path) -> None:
    write_classes(tmp_path, "a", "b")
    write_classes(tmp_path / "b", "deeper", count=2)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "a" / "Thumbs.db").write_text("no image")
    summary = summarise_data(config_of(tmp_path))
    assert summary.class_names == ("a", "b")
    # 5 and 5 and the 2 deeper ones, less 15 % for the test
    assert summary.train_images + summary.val_images == 10


def test_an_orientation_tag_is_obeyed(tmp_path: Path) -> None:
    left_bright = np.zeros((8, 8), dtype=np.uint8)
    left_bright[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # to be turned by 180 degrees
    write_classes(tmp_path, "a", "b")
    for path in tmp_path.rglob("*.png"):
        Image.fromarray(left_bright).save(path, exif=exif)
    images = load_splits(config_of(tmp_path), resolution=8).train.images
    assert (images[..., 4:] == 255).all()
    assert (images[..., :4] == 0).all()


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    write_classes(tmp_path, "a", "b")
    palette = Image.fromarray(FLAT).convert("P")
    palette.save(tmp_path / "a" / "0.png", transparency=bytes(range(256)))
    assert load_splits(config_of(tmp_path), resolution=8).train.images.shape[1] == 3


def _nothing(root: Path) -> None: ...


def _no_class(root: Path) -> None:
    root.mkdir()


def _one_class(root: Path) -> None:
    write_classes(root, "a")


def _empty_class(root: Path) -> None:
    write_classes(root, "a", "b")
    (root / "c").mkdir()


def _small_class(root: Path) -> None:
    write_classes(root, "a")
    write_classes(root, "b", count=2)


def _test_only(root: Path) -> None:
    write_classes(root / "test", "a", "b")


def _unknown_class_in_test(root: Path) -> None:
    write_classes(root / "train", "a", "b")
    write_classes(root / "test", "a", "c")


def _not_an_image(root: Path) -> None:
    write_classes(root, "a", "b")
    for path in root.rglob("*.png"):
        path.write_bytes(b"not an image")


def _half_an_image(root: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    write_classes(root, "a", "b", image=noise)
    for path in root.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:900])


def _sixteen_bits(root: Path) -> None:
    write_classes(root, "a", "b", image=FLAT.astype(np.uint16) * 256)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_nothing, "there is no such folder; image_folder is ROOT/train/<class>/*.png"),
        (_no_class, "has no class folders; image_folder is"),
        (_one_class, "has 1 class, 'a'; two or more are needed"),
        (_empty_class, "c: has no images; read is what Pillow opens"),
        (_small_class, "class 'b' has 2 images; each class needs 3 or more"),
        (_test_only, "has test/ but no train/"),
        (_unknown_class_in_test, "'c' is no class of"),
        (_not_an_image, "cannot be read as an image"),
        (_half_an_image, "cannot be read as an image"),
        (_sixteen_bits, "has more than 8 bits a channel"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    root = tmp_path / "images"
    write(root)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_all(config_of(root))
    assert "\n" not in str(caught.value)
    assert str(root) in str(caught.value)
