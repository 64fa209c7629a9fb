"""A quickstart that is cut down to seconds."""

import tomllib
from pathlib import Path

import tomli_w

QUICKSTART = Path(__file__).parents[2] / "studies" / "quickstart.toml"


def write_study(folder: Path, **changes: object) -> Path:
    """A quickstart of a few epochs; `proxy__epochs=2` sets a key of a table."""
    document = tomllib.loads(QUICKSTART.read_text(encoding="utf-8"))
    document["name"] = "small"
    document["proxy"] = {"epochs": 2, "batch_size": 128, "train_images": 400}
    document["early_stopping"] = {"kind": "moasha", "min_epochs": 1}
    document["budget"]["trials"] = 5
    document["limits"]["flops"] = 100e3
    for path, value in changes.items():
        table = document
        *parents, key = path.split("__")
        for parent in parents:
            table = table[parent]
        table[key] = value
    path = folder / "small.toml"
    path.write_text(tomli_w.dumps(document), encoding="utf-8")
    return path
