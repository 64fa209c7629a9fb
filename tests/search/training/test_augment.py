import numpy as np
import pytest
import torch

from search.training.augment import crop_batch, crop_padding, draw_crops, pad_images

CPU = torch.device("cpu")


def crop_one(image: np.ndarray, top: int, left: int, mirrored: bool, padding: int) -> np.ndarray:
    """One image (C, H, W) at a time, as the textbook says it: pad, cut, perhaps mirror."""
    side = image.shape[-1]
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    cut = padded[:, top : top + side, left : left + side]
    return cut[:, :, ::-1] if mirrored else cut


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 16), (3, 32), (2, 4)])
def test_a_batch_is_cropped_and_mirrored_as_its_images_one_by_one(channels: int, side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20, channels, side, side), generator=generator, dtype=torch.uint8)
    padding = crop_padding(side)
    pixels = images.permute(0, 2, 3, 1).contiguous()
    batch = torch.randint(20, (50,), generator=generator)
    crops = draw_crops(50, padding, True, generator, CPU)

    result = crop_batch(pad_images(pixels, padding), batch, crops, side)
    expected = [
        crop_one(images[i].numpy(), int(top), int(left), bool(mirrored), padding)
        for i, top, left, mirrored in zip(batch, crops.top, crops.left, crops.mirrored, strict=True)
    ]
    assert np.array_equal(result.numpy(), np.stack(expected))
    assert result.is_contiguous(memory_format=torch.channels_last)
    unpadded = crop_batch(
        pixels, batch, crops, side, padding
    )  # as on a CPU, where nothing is copied
    assert torch.equal(unpadded, result)
    assert unpadded.stride() == result.stride()


@pytest.mark.parametrize(("resolution", "padding"), [(32, 4), (16, 2), (8, 1), (4, 0), (64, 8)])
def test_padding_scales_with_the_resolution(resolution: int, padding: int) -> None:
    assert crop_padding(resolution) == padding


def test_every_crop_has_the_same_chance_and_half_are_mirrored() -> None:
    crops = draw_crops(20_000, 2, True, torch.Generator().manual_seed(0), CPU)
    counts = torch.bincount(crops.top * 5 + crops.left, minlength=25)
    assert counts.min() > 0.85 * 800
    assert counts.max() < 1.15 * 800
    assert crops.mirrored.float().mean() == pytest.approx(0.5, abs=0.02)


def test_without_mirroring_nothing_is_mirrored() -> None:
    crops = draw_crops(1000, 2, False, torch.Generator().manual_seed(0), CPU)
    assert not crops.mirrored.any()


def test_a_slice_of_crops_holds_those_of_its_images() -> None:
    crops = draw_crops(10, 2, True, torch.Generator().manual_seed(0), CPU)
    part = crops[slice(3, 7)]
    assert torch.equal(part.top, crops.top[3:7])
    assert torch.equal(part.left, crops.left[3:7])
    assert torch.equal(part.mirrored, crops.mirrored[3:7])
