"""A trained network on the test split, and in its model folder."""

from pathlib import Path

import torch

import hgcnet
from hgcnet.architecture import Architecture, Stage
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_test
from search.training.proxy_config import ProxyConfig
from search.training.proxy_training import ProxyTraining, evaluate, to_device

CPU = torch.device("cpu")
NETWORK = Architecture(stem_channels=8, stages=(Stage(depth=1, growth=4, groups=2),))


def test_a_loaded_network_is_as_accurate_on_the_test_images_as_its_folder_says(
    digit_splits: Splits, tmp_path: Path
) -> None:
    config = ProxyConfig(epochs=1, batch_size=64, precision="bf16")
    training = ProxyTraining(NETWORK, digit_splits, config, seed=0, device=CPU)
    training.run_epoch()
    data = DataConfig(dataset="digits", resolution=8)
    test = to_device(load_test(data, resolution=8), digit_splits, CPU)

    tested = evaluate(training.model, test)
    hgcnet.save_model(
        tmp_path / "model",
        training.model,
        metrics={"seed": 0, "test_accuracy": tested.accuracy, "test_loss": tested.loss},
        mean=digit_splits.mean,
        std=digit_splits.std,
        provenance={"study": "digits"},
    )

    record = hgcnet.read_record(tmp_path / "model")
    again = evaluate(hgcnet.load(tmp_path / "model"), test)
    assert again == tested
    assert again.confusion.tolist() == tested.confusion.tolist()
    assert record.metrics == {
        "seed": 0,
        "test_accuracy": tested.accuracy,
        "test_loss": tested.loss,
    }
    assert (record.mean, record.std) == (digit_splits.mean, digit_splits.std)
    assert record.file.provenance["study"] == "digits"
    assert record.class_names == digit_splits.class_names == tuple("0123456789")
