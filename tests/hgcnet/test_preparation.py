"""One way from images to pixels: as Pillow reads them, upright, on white, by area."""

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from sklearn.datasets import load_sample_image

from hgcnet.decoding import count_channels, decode_file
from hgcnet.errors import DataError
from hgcnet.preparation import Preparation, prepare_each, resize_area


def area_mean(image: np.ndarray, resolution: int) -> np.ndarray:
    """The same by looking each fine pixel up: both grids divide a grid of old * new lines."""
    side = image.shape[-1]
    fine = image.repeat(resolution, axis=-1).repeat(resolution, axis=-2).astype(float)
    blocks = fine.reshape(*image.shape[:-2], resolution, side, resolution, side)
    return blocks.mean(axis=(-3, -1))


@pytest.mark.parametrize(("side", "resolution"), [(32, 16), (32, 8), (28, 32), (8, 16), (7, 3)])
def test_each_new_pixel_is_the_mean_of_the_area_it_covers(side: int, resolution: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, side, side), dtype=np.uint8)
    resized = resize_area(images, resolution)
    assert resized.dtype == np.uint8
    assert np.abs(resized - area_mean(images, resolution)).max() < 0.5001


def test_a_large_set_is_resized_as_its_images_one_by_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (600, 1, 8, 8), dtype=np.uint8)
    one_by_one = [resize_area(image[None], 4)[0] for image in images]
    assert np.array_equal(resize_area(images, 4), np.stack(one_by_one))


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_flat_image_stays_flat(level: int) -> None:
    image = np.full((1, 1, 30, 30), level, dtype=np.uint8)
    assert (resize_area(image, 7) == level).all()


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (6, 6)])
def test_the_largest_centred_square_is_kept(shape: tuple[int, int]) -> None:
    image = np.zeros((1, 1, *shape), dtype=np.uint8)
    top, left = (shape[0] - 6) // 2, (shape[1] - 6) // 2
    inner = np.random.default_rng(0).integers(1, 256, (6, 6), dtype=np.uint8)
    image[0, 0, top : top + 6, left : left + 6] = inner
    assert np.array_equal(resize_area(image, 6)[0, 0], inner)


def prepared(image: object, *, resolution: int = 40, **settings: Any) -> np.ndarray:
    """One image in RGB, of its own size where that is 40 x 40."""
    preparation = Preparation(**{"channels": 3, "resolution": resolution, **settings})
    (found,) = prepare_each([image], preparation)
    if isinstance(found, DataError):
        raise found
    return found


def by_pillow(path: Path) -> np.ndarray:
    """What Pillow makes of a file, upright and in RGB: (3, H, W)."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).transpose(2, 0, 1)


def picture(mode: str) -> Image.Image:
    """40 x 40 of a photo, in another mode."""
    photo = Image.fromarray(load_sample_image("china.jpg")[200:240, 300:340])
    if mode == "LAB":
        profiles = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
        return cast(Image.Image, ImageCms.profileToProfile(photo, *profiles, outputMode="LAB"))
    if mode in ("RGBA", "LA", "PA"):
        alpha = Image.fromarray(np.arange(1600, dtype=np.uint16).astype(np.uint8).reshape(40, 40))
        photo = photo.convert({"RGBA": "RGB", "LA": "L", "PA": "P"}[mode]).convert(mode)
        photo.putalpha(alpha)
        return photo
    return photo.convert(mode)


OPAQUE = [
    *((mode, "png") for mode in ("1", "L", "P", "RGB")),
    *((mode, "jpg") for mode in ("L", "RGB", "CMYK", "YCbCr")),
    *((mode, "tif") for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB")),
    *((mode, "gif") for mode in ("1", "L", "P", "RGB")),
    *((mode, "bmp") for mode in ("1", "L", "P", "RGB")),
    *((mode, "webp") for mode in ("L", "RGB")),
    *(("RGB", suffix) for suffix in ("jp2", "avif", "jfif", "mpo", "ppm", "tga", "pcx", "sgi")),
    *(("RGB", suffix) for suffix in ("qoi", "dds", "dib", "icns", "ico")),
    *(("L", suffix) for suffix in ("jp2", "pgm", "tga", "pcx", "sgi")),
    *(("1", suffix) for suffix in ("pbm", "msp", "xbm", "pcx")),
    *(("P", suffix) for suffix in ("pcx", "tga")),
]


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        pytest.param(*kind, marks=[] if number % 4 == 0 else pytest.mark.long)
        for number, kind in enumerate(OPAQUE)
    ],
)
def test_a_file_is_read_as_pillow_reads_it(mode: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    picture(mode).save(path)
    expected = by_pillow(path)
    assert np.array_equal(prepared(path, resolution=expected.shape[1]), expected)
    decoded = decode_file(path)
    assert np.array_equal(
        np.broadcast_to(decoded, (*decoded.shape[:2], 3)).transpose(2, 0, 1), expected
    )


@pytest.mark.parametrize(
    "suffix", ["jpg", *(pytest.param(s, marks=pytest.mark.long) for s in ("png", "tif", "webp"))]
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_turned_as_its_orientation_tag_says(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    path, exif = tmp_path / f"picture.{suffix}", Image.Exif()
    exif[0x0112] = orientation
    picture("RGB").save(path)
    with Image.open(path) as stored:
        lying = np.asarray(stored.convert("RGB"))
    picture("RGB").save(path, exif=exif)
    mirrored, quarters = [(0, 0), (1, 0), (0, 2), (1, 2), (1, 1), (0, 3), (1, 3), (0, 1)][
        orientation - 1
    ]
    upright = np.rot90(lying[:, ::-1] if mirrored else lying, quarters)
    assert np.array_equal(prepared(path), upright.transpose(2, 0, 1))


def _transparent_colour(path: Path) -> None:
    picture("RGB").save(path, transparency=picture("RGB").getpixel((20, 20)))


def _transparent_grey(path: Path) -> None:
    picture("L").save(path, transparency=picture("L").getpixel((20, 20)))


def _palette_of_alphas(path: Path) -> None:
    picture("P").save(path, transparency=bytes(range(256)))


def _transparent_entry(path: Path) -> None:
    picture("P").save(path, transparency=picture("P").getpixel((20, 20)))


def _with_alpha(mode: str) -> Callable[[Path], None]:
    return lambda path: picture(mode).save(path)


@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (_transparent_colour, "png"),
        (_transparent_grey, "png"),
        (_palette_of_alphas, "png"),
        (_transparent_entry, "png"),
        (_transparent_entry, "gif"),
        (_with_alpha("LA"), "png"),
        (_with_alpha("LA"), "tif"),
        *((_with_alpha("RGBA"), suffix) for suffix in ("png", "tif", "tga", "ico", "jp2", "sgi")),
    ],
)
def test_transparency_is_laid_on_white(
    write: Callable[[Path], None], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"picture.{suffix}"
    write(path)
    with Image.open(path) as image:
        picture = image.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    expected = np.asarray(Image.alpha_composite(white, picture).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(prepared(path, resolution=expected.shape[1]), expected)
    assert picture.getchannel("A").getextrema()[0] < 255  # the file has something transparent


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
def test_of_16_bits_of_grey_the_upper_8_are_kept(suffix: str, tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 1600).round().astype(np.uint16).reshape(40, 40)
    path = tmp_path / f"scan.{suffix}"
    if suffix == "pgm":
        path.write_bytes(b"P5 40 40 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path, **({"irreversible": False} if suffix == "jp2" else {}))
    assert np.array_equal(prepared(path, channels=1)[0], values // 256)
    assert count_channels([path]) == 1


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One piece of a PNG file: the length, the kind, the data, their checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_of_16_bits_of_colour_the_upper_8_are_kept(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 4800).round().astype(">u2").reshape(40, 40, 3)
    path = tmp_path / "scan.ppm"
    path.write_bytes(b"P6 40 40 65535\n" + values.tobytes())
    png = tmp_path / "scan.png"
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(rows))
    png.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + png_chunk(b"IEND", b""))
    assert np.array_equal(prepared(png), (values // 256).transpose(2, 0, 1))


def test_a_transparent_value_of_16_bits_is_white(tmp_path: Path) -> None:
    values = np.full((40, 40), 4000, dtype=np.uint16)
    values[:20] = 9000
    path = tmp_path / "scan.png"
    Image.fromarray(values).save(path)
    # Old Pillows write no transparency for 16 bits: its chunk follows the 33 bytes of the header.
    chunk = png_chunk(b"tRNS", struct.pack(">H", 9000))
    path.write_bytes(path.read_bytes()[:33] + chunk + path.read_bytes()[33:])
    grey = prepared(path, channels=1)[0]
    assert (grey[:20] == 255).all()
    assert (grey[20:] == 4000 // 256).all()


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [("1", "png", 1), ("L", "jpg", 1), ("LA", "png", 1), ("P", "png", 3), ("CMYK", "jpg", 3)],
)
def test_what_is_grey_stays_grey(mode: str, suffix: str, channels: int, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    picture(mode).save(path)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    assert count_channels([tmp_path / "broken.png", path]) == channels
    if channels == 1:
        assert np.array_equal(prepared(path, channels=1)[[0, 0, 0]], prepared(path))


def test_colours_become_grey_as_pillow_does_it(tmp_path: Path) -> None:
    picture("RGB").save(tmp_path / "picture.png")
    assert np.array_equal(
        prepared(tmp_path / "picture.png", channels=1)[0], np.asarray(picture("L"))
    )


def test_a_path_an_image_and_an_array_are_the_same(tmp_path: Path) -> None:
    for mode in ("L", "LA", "RGB", "RGBA"):
        path, image = tmp_path / f"{mode}.png", picture(mode)
        image.save(path)
        for settings in ({}, {"resolution": 17}, {"channels": 1}):
            found = [
                prepared(given, **settings) for given in (path, str(path), image, np.array(image))
            ]
            assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (7, 200), (40, 41)])
def test_padding_is_white_around_the_image_and_then_as_any_square(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    side = max(shape)
    square = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    square[top : top + shape[0], left : left + shape[1]] = image
    for resolution in (16, 40, 200):
        padded = prepared(image, resolution=resolution, fit="pad").astype(int)
        assert np.abs(padded - prepared(square, resolution=resolution)).max() <= 1  # halves
        assert padded.tolist() == prepared(square, resolution=resolution, fit="pad").tolist()


@pytest.mark.parametrize("shape", [(30, 60), (64, 16), (1, 400)])
def test_stretching_is_the_mean_of_oblong_areas(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    fine = image.repeat(8, axis=0).repeat(8, axis=1).astype(float)
    means = fine.reshape(8, shape[0], 8, shape[1]).mean((1, 3))
    stretched = prepared(image, channels=1, resolution=8, fit="stretch")
    assert np.abs(stretched[0] - means).max() < 0.5001


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("absent.png", "absent.png: does not exist"),
        (".", ".: is not a file"),
        (np.zeros((4, 4)), "images[0]: float64 (4, 4) is not uint8 (H, W) or (H, W, C)"),
        (np.zeros((4, 4, 3, 3), np.uint8), "images[0]: uint8 (4, 4, 3, 3) is not uint8 (H, W)"),
        (
            np.zeros((4, 4, 5), np.uint8),
            "images[0]: has 5 channels, which cannot be converted to 3",
        ),
        (7, "images[0]: int is not a path, a Pillow image or a NumPy array"),
    ],
)
def test_what_cannot_be_prepared_is_named(image: object, message: str) -> None:
    with pytest.raises(DataError) as error:
        prepared(image)
    assert str(error.value).startswith(message)


def test_the_others_are_read_where_one_is_broken(tmp_path: Path) -> None:
    picture("RGB").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:300])
    paths = [tmp_path / f"{name}.png" for name in ("good", "bad", "good")]

    first, second, third = prepare_each(paths, Preparation(channels=3, resolution=8))

    assert isinstance(second, DataError)
    assert str(second).startswith(f"{paths[1]}: cannot be read as an image: ")
    assert np.array_equal(first, third)


@pytest.mark.long
def test_every_image_of_the_installed_packages_is_read_as_pillow_reads_it() -> None:
    """Hundreds of real files: icons, screenshots, sample data."""
    suffixes = {*Image.registered_extensions()}
    files = [p for p in sorted(Path(np.__file__).parents[1].rglob("*")) if p.suffix in suffixes]
    same = 0
    for path in files:
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert("RGBA")
                if image.mode[0] in "IF":
                    continue
        except Exception:  # Pillow's decoders raise errors of many kinds
            with pytest.raises(DataError, match=re.escape(str(path))):
                prepared(path)
            continue
        white = Image.new("RGBA", upright.size, "white")
        expected = np.asarray(Image.alpha_composite(white, upright).convert("RGB"))
        (found,) = prepare_each([path], Preparation(channels=3, resolution=16))
        assert not isinstance(found, DataError)
        assert np.array_equal(found, prepared(expected, resolution=16)), path
        same += 1
    assert same > 20
