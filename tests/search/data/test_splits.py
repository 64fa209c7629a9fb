import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from hgcnet.errors import DataError
from search.data.data_config import DataConfig, DatasetName
from search.data.datasets import DATASETS
from search.data.splits import ImageSet, Splits, load_splits, load_test, summarise_data

DIGITS = DataConfig(dataset="digits", resolution=8)


def numbered_images(total: int) -> np.ndarray:
    """(total, 4, 4) images that carry their own number, so that a part can be traced back."""
    images = np.zeros((total, 4, 4), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(total), 256)
    return images


def numbers(part: ImageSet) -> set[int]:
    return set((part.images[:, 0, 0, 0].astype(int) * 256 + part.images[:, 0, 0, 1]).tolist())


def class_shares(part: ImageSet, num_classes: int) -> np.ndarray:
    return np.bincount(part.labels, minlength=num_classes) / len(part.labels)


def test_parts_are_disjoint_stratified_and_together_everything(
    write_npz: Callable[..., DataConfig],
) -> None:
    labels = np.random.default_rng(0).choice(4, 1000, p=[0.5, 0.3, 0.15, 0.05])
    config = write_npz(images=numbered_images(1000), labels=labels)
    splits, test = load_splits(config, resolution=4), load_test(config, resolution=4)
    parts = [splits.train, splits.validation, test]

    assert [len(part.labels) for part in parts] == [680, 170, 150]
    assert set.union(*map(numbers, parts)) == set(range(1000))
    for part in parts:
        assert np.abs(class_shares(part, 4) - np.bincount(labels) / 1000).max() < 0.01
        assert all(labels[number] == label for number, label in _numbered_labels(part))


def _numbered_labels(part: ImageSet) -> list[tuple[int, int]]:
    ids = part.images[:, 0, 0, 0].astype(int) * 256 + part.images[:, 0, 0, 1]
    return list(zip(ids.tolist(), part.labels.tolist(), strict=True))


def test_a_test_part_of_its_own_is_the_test_part(write_npz: Callable[..., DataConfig]) -> None:
    images, labels = numbered_images(300), np.arange(300) % 3
    config = write_npz(
        images=images[:250], labels=labels[:250], test_images=images[250:], test_labels=labels[250:]
    )
    splits, test = load_splits(config, resolution=4), load_test(config, resolution=4)
    assert numbers(test) == set(range(250, 300))
    assert numbers(splits.train) | numbers(splits.validation) == set(range(250))
    assert np.array_equal(test.labels, labels[250:])


def test_large_data_sets_give_a_tenth_to_validation(write_npz: Callable[..., DataConfig]) -> None:
    test = {"test_images": numbered_images(10), "test_labels": np.arange(10) % 2}
    for total, val_images in ((19_998, 4000), (20_000, 2000)):
        config = write_npz(images=numbered_images(total), labels=np.arange(total) % 2, **test)
        summary = summarise_data(config)
        assert (summary.train_images, summary.val_images) == (total - val_images, val_images)


def test_subsets_are_stratified_and_within_their_part() -> None:
    whole = load_splits(DIGITS, resolution=8)
    some = load_splits(DIGITS, resolution=8, train_images=200, val_images=50)
    for part, of, size in (
        (some.train, whole.train, 200),
        (some.validation, whole.validation, 50),
    ):
        assert part.images.shape == (size, 1, 8, 8)
        assert np.abs(class_shares(part, 10) - class_shares(of, 10)).max() <= 1 / size
        assert {image.tobytes() for image in part.images} <= {i.tobytes() for i in of.images}


def test_normalisation_comes_from_the_training_images_only(
    write_npz: Callable[..., DataConfig],
) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (400, 6, 6, 3), dtype=np.uint8)
    images[..., 2] = 9  # a channel that says nothing must not give an infinite value
    labels = np.arange(400) % 4
    splits = load_splits(write_npz(images=images, labels=labels), resolution=6, train_images=100)
    pixels = splits.train.images / 255
    assert splits.mean == pytest.approx(tuple(pixels.mean((0, 2, 3))))
    assert splits.std[:2] == pytest.approx(tuple(pixels.std((0, 2, 3))[:2]))
    assert splits.std[2] == 1 / 255

    changed = images.copy()
    train = {image.tobytes() for image in splits.train.images}
    for index in range(400):
        if images[index].transpose(2, 0, 1).tobytes() not in train:
            changed[index] = 255
    again = load_splits(write_npz(images=changed, labels=labels), resolution=6, train_images=100)
    assert (again.mean, again.std) == (splits.mean, splits.std)


@pytest.mark.parametrize("resolution", [4, 8, 16])
def test_images_come_at_the_resolution_that_is_asked_for(resolution: int) -> None:
    splits = load_splits(DIGITS, resolution=resolution)
    for part in (splits.train, splits.validation, load_test(DIGITS, resolution=resolution)):
        assert part.images.shape[1:] == (1, resolution, resolution)
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64


def test_digits_use_the_whole_range_of_values() -> None:
    images = load_splits(DIGITS, resolution=8).train.images
    assert (images.min(), images.max()) == (0, 255)


def test_digits_are_not_mirrored_other_data_are_unless_the_config_says_so(
    write_npz: Callable[..., DataConfig],
) -> None:
    assert not load_splits(DIGITS, resolution=8).mirror
    config = write_npz(images=numbered_images(100), labels=np.arange(100) % 2)
    assert load_splits(config, resolution=4).mirror
    plain = DataConfig(dataset="npz", root=config.root, resolution=8, mirror=False)
    assert not load_splits(plain, resolution=4).mirror


def test_a_summary_says_what_the_splits_are() -> None:
    splits, summary = load_splits(DIGITS, resolution=8), summarise_data(DIGITS)
    assert summary.train_images == len(splits.train.labels) == 1222
    assert summary.val_images == len(splits.validation.labels) == 305
    assert summary.class_names == splits.class_names == tuple("0123456789")
    assert (summary.num_classes, summary.in_channels) == (splits.num_classes, 1) == (10, 1)


def test_splits_pickle(digit_splits: Splits) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(digit_splits, protocol=5, buffer_callback=buffers.append)
    again = pickle.loads(data, buffers=buffers)
    assert len(data) < 2000  # the arrays travel beside it, without a copy
    assert np.array_equal(again.train.images, digit_splits.train.images)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train_images": 1223}, "train_images: 1223 is more than the 1222 training images"),
        ({"val_images": 306}, "val_images: 306 is more than the 305 validation images"),
        ({"train_images": 9}, "train_images: 9 is fewer than the 10 classes"),
        ({"val_images": 0}, "val_images: 0 is fewer than the 10 classes"),
    ],
)
def test_a_subset_that_cannot_be_taken_is_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=f"^{message} of digits$"):
        load_splits(DIGITS, resolution=8, **sizes)


def test_an_unknown_data_set_is_refused_with_the_known_ones() -> None:
    config = DataConfig(dataset="mnist", resolution=8)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'mnist' is not one of digits, cifar10, cifar100, image_"):
        summarise_data(config)


def test_every_name_has_a_data_set() -> None:
    assert set(DATASETS) == set(get_args(DatasetName))


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_cifar_that_can_be_neither_found_nor_downloaded_says_where_it_looked(
    dataset: DatasetName, tmp_path: Path
) -> None:
    root = tmp_path / "a file, so no folder can be made here"
    root.touch()
    config = DataConfig(dataset=dataset, root=str(root), resolution=32)
    with pytest.raises(DataError) as caught:
        summarise_data(config)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(root))
    assert "download" in message
    assert "data.root must be" in message


def test_cifar10_is_read_as_torchvision_reads_it(cifar10_root: str) -> None:
    from torchvision.datasets import CIFAR10

    config = DataConfig(dataset="cifar10", root=cifar10_root, resolution=32)
    splits = load_splits(config, resolution=32, val_images=1000)
    assert splits.train.images.shape == (45_000, 3, 32, 32)
    assert np.bincount(splits.train.labels).tolist() == [4500] * 10
    assert splits.validation.images.shape == (1000, 3, 32, 32)
    assert splits.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.002)
    assert splits.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.002)
    assert splits.class_names[:2] == ("airplane", "automobile")
    assert splits.mirror

    test, official = load_test(config, resolution=32), CIFAR10(cifar10_root, train=False)
    assert np.array_equal(test.images.transpose(0, 2, 3, 1), official.data)
    assert test.labels.tolist() == official.targets


def test_images_that_no_memory_holds_say_how_much_they_would_take() -> None:
    message = (
        "^not enough memory: 1,222 images of 1000000 x 1000000 need 1,222,000 GB; reduce proxy"
    )
    with pytest.raises(DataError, match=message):
        load_splits(DIGITS, resolution=10**6)


@pytest.mark.parametrize(
    ("dataset", "names"),
    [("image_folder", "the folder of the images"), ("npz", "the .npz file")],
)
def test_own_images_are_not_looked_for_where_data_sets_are_downloaded_to(
    dataset: Any, names: str
) -> None:
    config = DataConfig(dataset=dataset, resolution=8)
    message = f"^{dataset}: set root in \\[data\\], or --root, to {names}$"
    with pytest.raises(DataError, match=message):
        summarise_data(config)
