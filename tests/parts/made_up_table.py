"""A table of trained networks, of a made-up truth."""

from typing import Any

import numpy as np
import pandas as pd

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import count
from search.optuna_space import OptunaSpace
from search.study_file.reading import parse_study_file
from space.search_space import SearchSpace

EPOCHS = 3
NOISE = 0.01
DOCUMENT: dict[str, Any] = {
    "name": "tiny",
    "budget": {"trials": 12},
    "data": {"dataset": "digits", "resolution": 8},
    "space": {
        "operator": {"choice": ["hgc", "sgc"]},
        "stem_channels": 4,
        "bottleneck": {"choice": [1, 2]},
        "depth": {"low": 1, "high": 3, "per_stage": True},
        "groups": {"choice": [1, 2, 4]},
        "growth": {"base": {"low": 4, "high": 8, "step": 4}, "schedule": "linear"},
    },
    "objectives": ["val_accuracy", "flops"],
    "sampler": {"kind": "random"},
    "early_stopping": {"kind": "none"},
    "proxy": {"epochs": EPOCHS, "batch_size": 32, "train_images": 200, "val_images": 100},
}
FILE = parse_study_file(DOCUMENT, "tiny.toml")
TASK = Task(in_channels=1, num_classes=10, resolution=8)
SPACE = OptunaSpace(SearchSpace(FILE.parameters, FILE.limits, TASK))


def accuracy_of(network: Architecture) -> float:
    return 0.1 * float(np.log10(count(network, TASK).flops)) + 0.02 * network.stages[1].depth


def made_up_table() -> pd.DataFrame:
    """As `train_table` makes it, of a made-up truth: networks with known accuracy and noise."""
    rng = np.random.default_rng(0)
    rows = []
    for point in SPACE.space.draw_points(rng, 150):
        network = SPACE.space.architecture_at(point)
        flops = count(network, TASK).flops
        for repetition in (0, 1):
            end = accuracy_of(network) + rng.normal(0, NOISE)
            rows.append(
                {
                    "fingerprint": network.fingerprint,
                    "repetition": repetition,
                    "curve": [0.5 * end, 0.8 * end, end],
                    "seconds": EPOCHS * flops / 1e5,
                    **SPACE.encode(network),
                }
            )
    return pd.DataFrame(rows)
