import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
from PIL import Image

from hgcnet.errors import DataError
from hgcnet.preparation import Fit
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
    assert splits.train.images.shape == (sizes[0], 1, 8, 8)
    assert sum(sizes) == 200
    assert np.abs(np.array(sizes) / 200 - [0.68, 0.17, 0.15]).max() < 0.08  # by name: about
    expected = {
        (image.tobytes(), int(label))
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


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    """Icons are often drawn in the alpha channel alone: their colours are black all over."""
    write_classes(tmp_path, "a", "b")
    drawn = np.zeros((8, 8, 4), dtype=np.uint8)
    drawn[:, :4, 3] = 255
    for path in tmp_path.rglob("*.png"):
        Image.fromarray(drawn).save(path)
    images = load_splits(config_of(tmp_path), resolution=8).train.images
    assert (images[..., :4] == 0).all()
    assert (images[..., 4:] == 255).all()


def test_grey_files_stay_one_channel_until_one_of_them_has_colours(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", "a", "b")
    write_classes(tmp_path / "test", "a", "b")
    Image.fromarray(FLAT).convert("RGB").save(tmp_path / "test" / "a" / "0.png")
    config = config_of(tmp_path)

    assert summarise_data(config).in_channels == 1
    for part in (load_splits(config, resolution=8).train, load_test(config, resolution=8)):
        assert part.images.shape[1:] == (1, 8, 8)
        assert (part.images == 128).all()

    Image.fromarray(FLAT).convert("RGB").save(tmp_path / "train" / "b" / "0.png")
    assert summarise_data(config).in_channels == 3
    assert load_test(config, resolution=8).images.shape[1] == 3


@pytest.mark.parametrize(("channels", "number"), [("grey", 1), ("rgb", 3)])
def test_the_channels_can_be_given(
    channels: Literal["grey", "rgb"], number: int, tmp_path: Path
) -> None:
    colour = np.zeros((8, 8, 3), dtype=np.uint8)
    colour[..., 1] = 100  # 0.587 of it is grey's
    write_classes(tmp_path, "a", image=colour)
    write_classes(tmp_path, "b")
    config = replace(config_of(tmp_path), channels=channels)

    images = load_all(config)[0].train.images

    assert summarise_data(config).in_channels == images.shape[1] == number
    assert sorted(set(images.ravel().tolist())) == ([59, 128] if number == 1 else [0, 100, 128])


def test_the_channels_of_any_data_can_be_given() -> None:
    digits = DataConfig(dataset="digits", resolution=8)
    grey, colour = (
        load_splits(config, resolution=8).train.images
        for config in (digits, replace(digits, channels="rgb"))
    )
    assert np.array_equal(colour, grey.repeat(3, axis=1))


def test_a_wide_image_can_be_padded_or_stretched(tmp_path: Path) -> None:
    wide = np.zeros((8, 16), dtype=np.uint8)
    wide[:, :8] = 200
    write_classes(tmp_path, "a", "b", image=wide)
    first = {
        fit: load_splits(replace(config_of(tmp_path), fit=fit), resolution=8).train.images[0, 0]
        for fit in get_args(Fit)
    }
    assert (first["crop"][:, :4] == 200).all()
    assert (first["crop"][:, 4:] == 0).all()
    assert np.array_equal(first["stretch"], first["crop"])
    assert np.array_equal(first["pad"][2:6], first["crop"][2:6])
    assert (first["pad"][[0, 1, 6, 7]] == 255).all()


def test_what_pillow_warns_of_is_not_said_without_a_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # of the 64: a warning; an error from 80 on
    write_classes(tmp_path, "a", "b")
    assert len(load_all(config_of(tmp_path))[0].train.labels) == 6
    assert not recwarn.list


def test_a_name_of_a_class_can_be_written_into_any_file(tmp_path: Path) -> None:
    """Names of folders are bytes, which need be no UTF-8."""
    write_classes(tmp_path, os.fsdecode(b"caf\xe9"), "a\nb", "猫")
    names = summarise_data(config_of(tmp_path)).class_names
    assert names == ("a\nb", "caf\\udce9", "猫")
    assert all(name.encode() for name in names)


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


def _empty_file(root: Path) -> None:
    write_classes(root, "a", "b")
    for path in root.rglob("*.png"):
        path.write_bytes(b"")


def _thirty_two_bits(root: Path) -> None:
    write_classes(root, "a", "b")
    for path in root.rglob("*.png"):
        Image.fromarray(FLAT.astype(np.float32)).save(path.with_suffix(".tif"))
        path.unlink()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_nothing, "there is no such folder; image_folder is ROOT/train/<class>/*.png"),
        (_no_class, "has no class folders; image_folder is"),
        (_one_class, "has 1 class, 'a'; two or more are needed"),
        (_empty_class, "c: has no images; the formats of Pillow are read"),
        (_small_class, "class 'b' has 2 images; each class needs 3 or more"),
        (_test_only, "has test/ but no train/"),
        (_unknown_class_in_test, "'c' is not a class of"),
        (_not_an_image, "cannot be read as an image"),
        (_half_an_image, "cannot be read as an image"),
        (_empty_file, "a: has no images: 5 empty are left out"),
        (_thirty_two_bits, "has 32 bits per channel; 8 and 16 are supported"),
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
