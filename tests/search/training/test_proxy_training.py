import gc
import math
import pickle
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from hgcnet.architecture import Architecture, Stage
from search.data.splits import Splits
from search.training.proxy_config import Precision
from search.training.proxy_training import (
    Diverged,
    EpochResult,
    ProxyConfig,
    ProxyTraining,
    evaluate,
    to_device,
)

CPU = torch.device("cpu")
TINY = Architecture(
    stem_channels=8, stages=tuple(Stage(depth=1, growth=8, groups=2) for _ in range(3))
)
TWO_EPOCHS = ProxyConfig(epochs=2, batch_size=64)


def train(splits: Splits, config: ProxyConfig = TWO_EPOCHS, seed: int = 0) -> ProxyTraining:
    return ProxyTraining(TINY, splits, config, seed=seed, device=CPU)


def curve(training: ProxyTraining, epochs: int = 2) -> list[EpochResult]:
    """Results without their times, which are never the same twice."""
    return [replace(training.run_epoch(), seconds=0.0) for _ in range(epochs)]


def small(splits: Splits, size: int) -> Splits:
    train = replace(
        splits.train, images=splits.train.images[:size], labels=splits.train.labels[:size]
    )
    return replace(splits, train=train)


def test_two_epochs_on_digits_beat_chance_clearly(digit_splits: Splits) -> None:
    config = ProxyConfig(epochs=2, batch_size=32)
    first, second = curve(train(digit_splits, config))
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.val_accuracy > 0.5
    assert second.train_loss < first.train_loss


def test_the_same_seed_gives_the_same_curve_and_another_one_another(digit_splits: Splits) -> None:
    splits = small(digit_splits, 256)
    assert curve(train(splits)) == curve(train(splits))
    assert curve(train(splits)) != curve(train(splits, seed=1))


def test_a_saved_training_continues_to_the_same_curve(digit_splits: Splits) -> None:
    splits = small(digit_splits, 256)
    whole = train(splits)
    first, second = curve(whole)
    halted = train(splits)
    assert curve(halted, epochs=1) == [first]
    continued = train(splits, seed=7)
    continued.load_state(halted.save_state())
    assert continued.epoch == 1
    assert curve(continued, epochs=1) == [second]


def test_the_global_random_state_is_neither_used_nor_changed(digit_splits: Splits) -> None:
    splits = small(digit_splits, 128)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].tolist()  # noqa: NPY002
    result = curve(train(splits), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002
    torch.manual_seed(6)
    assert curve(train(splits), epochs=1) == result


def test_read_only_arrays_are_taken_and_left_as_they_are(digit_splits: Splits) -> None:
    splits = small(digit_splits, 128)
    for part in (splits.train, splits.validation):
        part.images.flags.writeable = part.labels.flags.writeable = False
    before = splits.train.images.copy()
    train(splits).run_epoch()
    assert np.array_equal(splits.train.images, before)


def test_an_epoch_takes_full_batches_and_one_of_all_where_there_are_too_few(
    digit_splits: Splits,
) -> None:
    for size, batch_size, batches in ((100, 30, [30] * 3), (100, 50, [50] * 2), (20, 64, [20])):
        training = train(small(digit_splits, size), ProxyConfig(epochs=1, batch_size=batch_size))
        seen: list[int] = []
        training.model.stem.register_forward_pre_hook(
            lambda module, inputs, seen=seen, training=training: (
                seen.append(len(inputs[0])) if training.model.training else None
            )
        )
        training.run_epoch()
        assert seen == batches


def test_the_learning_rate_falls_as_a_cosine_by_steps(digit_splits: Splits) -> None:
    config = ProxyConfig(epochs=2, batch_size=32, learning_rate=0.2)
    training = train(small(digit_splits, 128), config)
    rates: list[float] = []
    training._optimizer.register_step_post_hook(
        lambda optimizer, args, kwargs: rates.append(float(optimizer.param_groups[0]["lr"]))
    )
    curve(training)
    assert rates == pytest.approx([0.1 * (1 + math.cos(math.pi * t / 8)) for t in range(8)])


def test_the_network_is_built_for_the_data(digit_splits: Splits) -> None:
    task = train(small(digit_splits, 64)).model.task
    assert (task.in_channels, task.num_classes, task.resolution) == (1, 10, 8)


def test_a_training_that_diverges_says_so(digit_splits: Splits) -> None:
    config = ProxyConfig(epochs=1, batch_size=64, learning_rate=1e18)
    training = train(small(digit_splits, 256), config)
    with pytest.raises(Diverged, match=r"loss is (nan|inf) in epoch 1"):
        training.run_epoch()
    assert training.epoch == 0


def test_more_epochs_than_agreed_are_refused(digit_splits: Splits) -> None:
    training = train(small(digit_splits, 64), ProxyConfig(epochs=1))
    training.run_epoch()
    with pytest.raises(RuntimeError, match="all 1 epochs of this training are done"):
        training.run_epoch()


def test_everything_is_freed_when_a_training_is_dropped(digit_splits: Splits) -> None:
    gc.collect()
    gc.disable()
    try:
        training = train(small(digit_splits, 64))
        training.run_epoch()
        refs = [weakref.ref(training.model), weakref.ref(next(training.model.parameters()))]
        refs.append(weakref.ref(training._train.pixels))
        del training
        assert [ref() for ref in refs] == [None] * 3
    finally:
        gc.enable()


def test_evaluation_counts_every_image_once(digit_splits: Splits) -> None:
    training = train(digit_splits)
    result = evaluate(training.model, to_device(digit_splits.train, digit_splits, CPU))
    mean, std = digit_splits.mean[0], digit_splits.std[0]
    images = torch.tensor((digit_splits.train.images / 255 - mean) / std, dtype=torch.float32)
    labels = torch.tensor(digit_splits.train.labels)
    with torch.no_grad():
        logits = training.model.eval()(images)
    assert result.accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    expected = float(torch.nn.functional.cross_entropy(logits, labels))
    assert result.loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_training_and_validation_compute_in_the_precision_that_is_asked_for(
    digit_splits: Splits, precision: Precision, dtype: torch.dtype
) -> None:
    config = ProxyConfig(epochs=1, batch_size=64, precision=precision)
    training = train(small(digit_splits, 64), config)
    seen: list[tuple[bool, torch.dtype]] = []
    training.model.register_forward_hook(
        lambda module, inputs, logits: seen.append((module.training, logits.dtype))
    )
    training.run_epoch()
    assert set(seen) == {(True, dtype), (False, dtype)}


def test_on_a_cpu_the_images_of_rays_store_are_read_where_they_lie(
    digit_splits: Splits, recwarn: pytest.WarningsRecorder
) -> None:
    """So all workers of a machine share them, and what is read-only there may stay so."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(digit_splits, protocol=5, buffer_callback=buffers.append)
    stored = [memoryview(bytes(buffer.raw())) for buffer in buffers]  # read-only, as Ray's
    splits: Splits = pickle.loads(data, buffers=stored)
    assert not splits.train.images.flags.writeable
    for part in (splits.train, splits.validation):
        pixels = to_device(part, splits, CPU, padding=1).pixels.numpy()
        assert np.shares_memory(pixels, part.images)
        assert np.array_equal(pixels.transpose(0, 3, 1, 2), part.images)
    assert curve(train(splits)) == curve(train(digit_splits))
    assert not recwarn.list
