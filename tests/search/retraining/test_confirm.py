"""What is read back of networks that were trained again, and when the paper's figures stand beside it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hgcnet.errors import RunError
from search.data.data_config import DataConfig
from search.retraining.compare import summarise_networks
from search.retraining.confirmations import read_confirmations
from search.training.proxy_config import ProxyConfig
from search.training.recipe import Recipe, StartingWeights, with_options

PAPERS = Recipe(
    data=DataConfig(dataset="cifar10", resolution=32), proxy=ProxyConfig(epochs=300, batch_size=128)
)
DEVIATIONS: dict[str, Recipe] = {
    "another data set": replace(PAPERS, data=DataConfig(dataset="digits", resolution=32)),
    "another resolution": replace(PAPERS, data=DataConfig(dataset="cifar10", resolution=24)),
    "smaller images": replace(PAPERS, proxy=replace(PAPERS.proxy, resolution=16)),
    "not mirrored": replace(PAPERS, data=replace(PAPERS.data, mirror=False)),
    "fewer epochs": replace(PAPERS, proxy=replace(PAPERS.proxy, epochs=299)),
    "fewer images": replace(PAPERS, proxy=replace(PAPERS.proxy, train_images=5000)),
    "another batch": replace(PAPERS, proxy=replace(PAPERS.proxy, batch_size=64)),
    "another rate": replace(PAPERS, proxy=replace(PAPERS.proxy, learning_rate=0.05)),
    "a strong recipe": replace(PAPERS, proxy=replace(PAPERS.proxy, recipe="strong")),
    "weighed classes": replace(PAPERS, proxy=replace(PAPERS.proxy, class_weights="balanced")),
    "balanced accuracy": replace(PAPERS, quality_metric="val_balanced_accuracy"),
    "another's weights": replace(PAPERS, start=StartingWeights(model="a", sha256="b")),
    "another decay": replace(PAPERS, proxy=replace(PAPERS.proxy, weight_decay=5e-4)),
}


def write(run: Path, recipe: Recipe, **changes: Any) -> Path:
    """A confirmation as `hgcnas confirm` leaves it."""
    folder = run / "confirm" / recipe.name
    folder.mkdir(parents=True)
    names = ("trial 3", "hgcnet_42_g4", "hgcnet_67_g4")
    document = {
        "recipe": recipe.text,
        "networks": [{"name": name, "mean": 0.93, "seconds": 60.0} for name in names],
        "chosen": "trial 3",
        "tested": [{"test_accuracy": 0.92}, {"test_accuracy": 0.94}],
    }
    (folder / "recipe.json").write_text(json.dumps(recipe.document()))
    (folder / "confirm.json").write_text(json.dumps(document | changes))
    return folder


def the_networks(run: Path) -> pd.DataFrame:
    (confirmed,) = read_confirmations(run).values()
    return confirmed.networks


def test_a_recipe_is_read_back() -> None:
    recipe = replace(PAPERS, hold_out=False)
    document = json.loads(json.dumps(recipe.document()))
    assert Recipe.from_document(document) == (recipe, [])
    del document["proxy"]["weight_decay"], document["format"]  # from before they were there
    document["proxy"]["warm_up"] = document["crop"] = 3  # by a newer program
    assert Recipe.from_document(document) == (recipe, ["crop", "proxy.warm_up"])


def test_a_recipe_takes_the_settings_that_are_given_and_keeps_the_others() -> None:
    strong = with_options(PAPERS, recipe="strong", epochs=60, train_images=None)
    assert (strong.proxy.recipe, strong.proxy.epochs) == ("strong", 60)
    assert strong.proxy.train_images == PAPERS.proxy.train_images
    assert strong.name == "60-epochs-32px-all-images-strong"  # a folder of its own
    assert strong.text == "60 epochs on all images of 32 px, recipe strong"
    assert with_options(PAPERS, recipe=None).name == PAPERS.name == "300-epochs-32px-all-images"


def test_the_papers_errors_stand_beside_its_recipe(tmp_path: Path) -> None:
    write(tmp_path, PAPERS)
    networks = the_networks(tmp_path)
    errors = networks.set_index("name")["paper_error"]
    assert errors.isna().tolist() == [True, False, False]
    assert errors["hgcnet_42_g4"] == 6.36
    hundred = replace(PAPERS, data=DataConfig(dataset="cifar100", resolution=32))
    write(tmp_path / "other", hundred)
    networks = the_networks(tmp_path / "other")
    assert networks["paper_error"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_the_papers_errors_stand_beside_no_other_recipe(deviation: str, tmp_path: Path) -> None:
    write(tmp_path, DEVIATIONS[deviation])
    networks = the_networks(tmp_path)
    assert networks["paper_error"].isna().all()


def test_only_the_chosen_network_has_a_test_accuracy(tmp_path: Path) -> None:
    write(tmp_path, PAPERS)
    networks = the_networks(tmp_path)
    accuracy = networks.set_index("name")["test_accuracy"]
    assert accuracy["trial 3"] == pytest.approx(0.93)
    assert accuracy.isna().sum() == 2


def test_nothing_is_tested_before_all_is_trained(tmp_path: Path) -> None:
    write(tmp_path, PAPERS, chosen=None, tested=[])
    networks = the_networks(tmp_path)
    assert networks["test_accuracy"].isna().all()


def test_the_front_of_the_means_is_by_the_costs_that_are_named() -> None:
    rows = [
        ("a", 1e6, 9e3, 0.90),
        ("b", 2e6, 5e3, 0.80),
        ("c", 3e6, 4e3, 0.95),
        ("d", 4e6, 9e3, 0.9),
    ]
    frame = pd.DataFrame(rows, columns=["name", "flops", "num_params", "val_accuracy"])
    frame = frame.assign(architecture=frame["name"], fingerprint=frame["name"], seconds=1.0)
    fronts = {
        costs: "".join(summarise_networks(frame, costs).query("on_front")["name"])
        for costs in [("flops",), ("num_params",), ("flops", "num_params")]
    }
    assert fronts == {("flops",): "ac", ("num_params",): "c", ("flops", "num_params"): "abc"}


def test_a_damaged_confirmation_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, PAPERS)
    (folder / "recipe.json").write_text("{}")
    with pytest.raises(RunError, match=r"confirm\.json: cannot be read"):
        read_confirmations(tmp_path)
