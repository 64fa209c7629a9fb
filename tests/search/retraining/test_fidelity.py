"""Proxies that people type for `hgcnas fidelity`."""

from pathlib import Path

import pytest

from tests.parts.commands import hgcnas
from tests.parts.retrained_study import write_networks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch=2", "'epoch=2' is not KEY=NUMBER with a KEY of epochs,"),
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
