"""Proxies that people type for `hgcnas fidelity`, and those that are tried by default."""

from dataclasses import replace
from pathlib import Path

import pytest

from search.data.data_config import DataConfig
from search.retraining.fidelity import default_proxies
from search.training.proxy_config import ProxyConfig
from search.training.recipe import Recipe, with_options
from tests.parts.commands import hgcnas, refused
from tests.parts.retrained_study import write_networks
from tests.parts.small_study import write_study


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch=2", "'epoch=2' is not KEY=NUMBER, with KEY one of epochs,"),
        ("epochs=2,", "'' is not KEY=NUMBER"),
        ("epochs=two", "'epochs=two' is not KEY=NUMBER"),
        ("epochs=0", "epochs: 0 is not between 1 and"),
        ("resolution=99999999", "resolution: 99999999 is not between 8 and 1024"),
        ("train_images=1000000", "train_images: 1000000 is more than the"),
    ],
)
def test_a_wrong_proxy_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    write_networks(tmp_path)
    command = ("fidelity", "study.toml", "--proxy", text, "--networks", "3", "--json")
    ended = hgcnas(*command, cwd=tmp_path, code=2)
    lines = [line for line in ended.errors.splitlines() if line.startswith("hgcnas: ")]
    assert len(lines) == 1
    assert said in lines[0]


def test_the_proxies_that_are_tried_by_default_cost_half_of_the_studys_or_the_same() -> None:
    proxy = ProxyConfig(epochs=8, train_images=1000)
    base = with_options(Recipe(data=DataConfig(dataset="digits", resolution=16), proxy=proxy))

    def spent(recipe: Recipe) -> tuple[int, int | None, int]:
        return recipe.proxy.epochs, recipe.proxy.train_images, recipe.resolution

    assert [spent(recipe) for recipe in default_proxies(base)] == [
        (8, 1000, 16),
        (4, 1000, 16),
        (8, 1000, 12),
        (8, 500, 16),
        (16, 500, 16),
    ]
    all_images = replace(base, proxy=replace(base.proxy, epochs=1, train_images=None))
    assert [spent(recipe) for recipe in default_proxies(all_images)] == [
        (1, None, 16),
        (1, None, 12),
    ]


def test_a_proxy_of_the_default_that_is_too_small_for_the_space_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    study = write_study(
        tmp_path, space__stem_stride=4, space__stages=5, data__resolution=64, proxy__resolution=64
    )
    said = refused(tmp_path, "fidelity", study.name, "--networks", "3")
    assert said == (
        "hgcnas: small.toml: one of the default proxies is too small: 48 px are too few "
        "for 5 stages with space.stem_stride = 4; 63 or more are needed; give others by --proxy\n"
    )
