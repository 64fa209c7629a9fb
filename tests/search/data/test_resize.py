import numpy as np
import pytest

from search.data.resize import resize_area


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
