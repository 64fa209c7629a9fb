"""A run as the first format wrote it: gone on with, and simulated on."""

import shutil
from pathlib import Path
from typing import Any

from search.workers.resources import Resources
from tests.parts.commands import hgcnas
from tests.parts.old_run import OLD_RUN, change_stored_file


def test_an_old_study_goes_on_though_there_are_new_keys(
    tmp_path: Path, ray_here: Resources
) -> None:
    shutil.copytree(OLD_RUN, tmp_path / "old")

    def without_a_key(document: dict[str, Any]) -> None:
        del document["proxy"]["precision"]

    change_stored_file(tmp_path / "old/runs/old", without_a_key)
    more = hgcnas("run", "old.toml", "--trials", "13", "--json", cwd=tmp_path / "old").json
    assert (more["trained"], more["running"], more["nothing_to_do"]) == (13, 0, False)


def test_an_old_front_is_confirmed_and_what_is_not_known_is_named(
    tmp_path: Path, ray_here: Resources
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(OLD_RUN, folder)
    change_stored_file(folder / "runs/old", lambda document: document["proxy"].pop("precision"))
    options = ("--epochs", "1", "--seeds", "1", "--select", "best", "--json")
    ended = hgcnas("confirm", "old", *options, cwd=folder)
    assert "hgcnas:" not in ended.errors
    assert len([row for row in ended.json["networks"] if row["trial"] is not None]) == 1
    change_stored_file(folder / "runs/old", lambda document: document["proxy"].update(ema=0.9))
    again = hgcnas("confirm", "old", *options, cwd=folder)
    assert again.json == ended.json
    (line,) = again.errors.splitlines()
    assert line.startswith(
        "hgcnas: runs/old: the study has settings of a newer hgcnas, which are ignored: proxy.ema"
    )


def test_an_old_table_is_simulated_on(tmp_path: Path) -> None:
    shutil.copytree(OLD_RUN, tmp_path / "old")
    options = ("--table", "table.parquet", "--seeds", "1", "--samplers", "random", "--json")
    found = hgcnas("simulate", "old.toml", *options, "--trials", "8", cwd=tmp_path / "old").json
    assert [row["sampler"] for row in found["samplers"]] == ["random"]
