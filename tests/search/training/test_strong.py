"""The strong recipe: its parts, and that it keeps what every training promises."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from hgcnet.architecture import Architecture, Stage
from search.data.splits import Splits
from search.training.proxy_training import ProxyConfig, ProxyTraining, balanced_weights
from search.training.quality import class_counts, judge
from search.training.strong import (
    AveragedWeights,
    change_images,
    draw_changes,
    erase,
    warmed_up_cosine,
)

CPU = torch.device("cpu")
TINY = Architecture(
    stem_channels=8, stages=tuple(Stage(depth=1, growth=8, groups=2) for _ in range(3))
)
STRONG = ProxyConfig(epochs=3, batch_size=64, recipe="strong")
PAPERS = replace(STRONG, recipe="paper")
NEUTRAL = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def small(splits: Splits, size: int) -> Splits:
    train = replace(
        splits.train, images=splits.train.images[:size], labels=splits.train.labels[:size]
    )
    return replace(splits, train=train)


def train(splits: Splits, config: ProxyConfig = STRONG, seed: int = 0) -> ProxyTraining:
    return ProxyTraining(TINY, splits, config, seed=seed, device=CPU)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(training: ProxyTraining) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in training.model.state_dict().values()]


def curves(training: ProxyTraining) -> tuple[list[float], list[float]]:
    while not training.is_over:
        training.run_epoch()
    return training.curve, training.train_losses


def test_a_strong_training_that_goes_on_gives_the_same_weights_to_the_last_bit(
    digit_splits: Splits,
) -> None:
    splits = small(digit_splits, 256)
    whole = train(splits)
    expected = curves(whole)

    halted = train(splits)
    halted.run_epoch()
    continued = train(splits, seed=7)
    continued.load_state(halted.save_state())

    assert curves(continued) == expected
    assert weights(continued) == weights(whole)


def test_a_seed_fixes_a_strong_training_and_the_global_random_state_does_not_count(
    digit_splits: Splits,
) -> None:
    splits = small(digit_splits, 128)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = curves(train(splits))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert curves(train(splits)) == first
    assert curves(train(splits, seed=1)) != first


def test_a_state_of_the_other_recipe_is_none(digit_splits: Splits) -> None:
    splits = small(digit_splits, 64)
    papers = train(splits, PAPERS)
    papers.run_epoch()
    with pytest.raises(ValueError, match="not the state of a training"):
        train(splits).load_state(papers.save_state())


def test_what_is_evaluated_is_the_average_and_not_what_is_trained(digit_splits: Splits) -> None:
    training = train(small(digit_splits, 256), replace(STRONG, epochs=20))
    training.run_epoch()
    trained = [tensor.detach() for tensor in training._network.parameters()]
    averaged = [*training.model.parameters()]
    assert not any(tensor.requires_grad for tensor in averaged)
    assert not all(torch.equal(*pair) for pair in zip(trained, averaged, strict=True))
    assert train(small(digit_splits, 64), PAPERS)._network.training  # the paper's has one network


def test_an_average_follows_the_weights_and_their_statistics(digit_splits: Splits) -> None:
    network = train(small(digit_splits, 64), PAPERS).model
    averages = AveragedWeights(network, steps=200)  # over the last ten
    for step in range(200):
        with torch.no_grad():
            network.classifier.bias.fill_(float(step))
            network.norm.running_mean.fill_(float(step))
        averages.update(step)
    weight, expected = 1 / 10, 0.0
    for step in range(200):
        share = 1 - min(1 - weight, step / (10 + step))
        expected += share * (step - expected)
    kept = averages.network
    assert kept.classifier.bias.tolist() == pytest.approx([expected] * 10, rel=1e-4)
    assert kept.norm.running_mean[0].item() == pytest.approx(expected, rel=1e-4)
    assert 185 < expected < 195


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine() -> None:
    shares = [warmed_up_cosine(step, 100) for step in range(100)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    expected = [(1 + math.cos(math.pi * step / 95)) / 2 for step in range(95)]
    assert shares[5:] == pytest.approx(expected)
    assert warmed_up_cosine(0, 1) == 1.0


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_image_that_nothing_is_done_to_stays_what_it_is(channels: int) -> None:
    pixels = torch.randint(256, (4, channels, 8, 8), generator=generator(), dtype=torch.uint8)
    changed = change_images(pixels, NEUTRAL.expand(4, 2, 3), torch.ones(4, 3))
    torch.testing.assert_close(changed, pixels.float(), atol=1e-2, rtol=0)


def test_each_colour_changes_what_it_says() -> None:
    pixels = torch.randint(50, 150, (1, 3, 8, 8), generator=generator(), dtype=torch.uint8)
    images, places = pixels.float(), NEUTRAL[None]

    def changed(*factors: float) -> torch.Tensor:
        return change_images(pixels, places, torch.tensor([factors]))

    torch.testing.assert_close(changed(1.5, 1, 1), 1.5 * images, atol=0.05, rtol=0)
    flat = changed(1, 0, 1)  # all of one grey
    assert float(flat.std()) < 1e-2
    grey = changed(1, 1, 0)
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    assert float(changed(9, 1, 1).max()) == 255.0


def test_a_quarter_turn_turns_and_what_comes_from_outside_is_black() -> None:
    pixels = torch.randint(1, 256, (1, 1, 8, 8), generator=generator(), dtype=torch.uint8)
    turn = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    turned = change_images(pixels, turn, torch.ones(1, 3))
    torch.testing.assert_close(turned, pixels.float().rot90(1, (2, 3)), atol=0.05, rtol=0)
    shifted = change_images(
        pixels, NEUTRAL[None] + torch.tensor([[0, 0, 1.0], [0, 0, 0]]), torch.ones(1, 3)
    )
    assert float(shifted[..., 4:].abs().max()) == 0.0


def test_changes_are_of_all_kinds_alike_and_within_their_bounds() -> None:
    changes = draw_changes(20_000, 3, generator(), CPU)
    places, factors, erased = changes[slice(None)]
    is_moved = (places - NEUTRAL).abs().amax((1, 2)) > 0
    shares = [*(factors != 1).float().mean(0).tolist(), float(is_moved.float().mean())]
    assert shares == pytest.approx([1 / 7] * 3 + [3 / 7], abs=0.02)
    assert 0.5 <= float(factors.min()) < 0.55
    assert 1.45 < float(factors.max()) <= 1.5
    assert float((places - NEUTRAL).abs().max()) <= math.sin(math.radians(15)) + 1e-6
    area = (erased[:, 1] - erased[:, 0]) * (erased[:, 3] - erased[:, 2])
    has_hole = area > 0
    assert float(has_hole.float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(area[has_hole].min()) > 0.019
    assert float(area.max()) < 0.201
    assert float(erased.min()) >= 0
    assert float(erased.max()) <= 1 + 1e-6
    grey = draw_changes(1000, 1, generator(), CPU)
    assert bool((grey.factors[:, 2] == 1).all())


def test_a_rectangle_is_erased_and_nothing_beside_it() -> None:
    images = torch.ones(2, 3, 8, 8)
    erased = torch.tensor([[0.25, 0.5, 0.0, 1.0], [0.3, 0.3, 0.3, 0.3]])
    found = erase(images, erased)
    assert (found[0] == 0).nonzero()[:, 1].unique().tolist() == [2, 3]
    assert float(found[0].sum()) == 3 * 6 * 8
    assert torch.equal(found[1], images[1])


def test_labels_are_smoothed_in_the_strong_recipe_alone(digit_splits: Splits) -> None:
    logits, labels = torch.randn(5, 10, generator=generator()), torch.arange(5)
    for config, smoothing in ((STRONG, 0.1), (PAPERS, 0.0)):
        loss = train(small(digit_splits, 64), config)._loss(logits, labels)
        expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        assert torch.equal(loss, expected)


def test_balanced_weights_are_inverse_to_the_counts_and_1_on_the_mean() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    weights = balanced_weights(labels, 2)
    assert float(weights[1] / weights[0]) == pytest.approx(9)
    assert float(weights[labels].mean()) == pytest.approx(1)
    assert balanced_weights(torch.tensor([0, 1, 2, 2, 2, 2]), 3).tolist() == [2.0, 2.0, 0.5]


def test_a_weighed_loss_is_the_mean_of_the_weighed_images(digit_splits: Splits) -> None:
    config = replace(PAPERS, class_weights="balanced")
    splits = small(digit_splits, 64)
    logits, labels = torch.randn(5, 10, generator=generator()), torch.arange(5)
    loss = train(splits, config)._loss(logits, labels)
    counts = np.bincount(splits.train.labels, minlength=10)
    of_each = torch.tensor(64 / (10 * counts[:5]), dtype=torch.float32)
    expected = (of_each * functional.cross_entropy(logits, labels, reduction="none")).mean()
    assert float(loss) == pytest.approx(float(expected))


def test_weighed_classes_find_more_of_a_rare_one(digit_splits: Splits) -> None:
    """Of 95 to 5, of the two digits that are mixed up most."""

    def two_of(images: np.ndarray, labels: np.ndarray, rare: int) -> tuple[np.ndarray, np.ndarray]:
        frequent, few = np.flatnonzero(labels == 1), np.flatnonzero(labels == 8)[:rare]
        rows = np.concatenate([frequent, few])
        return images[rows], (labels[rows] == 8).astype(np.int64)

    train_part, validation = digit_splits.train, digit_splits.validation
    images, labels = two_of(train_part.images, train_part.labels, 6)
    shown, wanted = two_of(validation.images, validation.labels, 100)
    splits = replace(
        digit_splits,
        train=replace(train_part, images=images, labels=labels),
        validation=replace(validation, images=shown, labels=wanted),
        num_classes=2,
        class_names=("one", "eight"),
    )
    recalls = {}
    for name in ("none", "balanced"):
        config = ProxyConfig(epochs=6, batch_size=16, learning_rate=0.05, class_weights=name)
        training = train(splits, config)
        results = [training.run_epoch() for _ in range(config.epochs)]
        counts = class_counts(results[-1].confusion)
        assert [result.confusion is None for result in results] == [True] * 5 + [False]
        assert results[-1].val_accuracy == judge("val_accuracy", counts)
        recalls[name] = counts.right[1] / counts.images[1]
    assert recalls["balanced"] > recalls["none"] + 0.1
