"""What a fresh Python loads: what needs no torch loads no torch, and so on."""

import pytest

from tests.parts.processes import Processes
from tests.parts.small_study import write_study

NOT_FOR_COUNTING = "torch tomli_w pydantic optuna ray space search"
NOT_FOR_A_NAME = "torch ray optuna pandas numpy pydantic rich hgcnet space"
NOT_FOR_COMPLETION = "torch ray optuna pandas sqlalchemy sklearn scipy plotly"
NOT_FOR_TRAINING = "ray optuna pydantic sklearn torchvision PIL tomli_w"


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import hgcnet", NOT_FOR_COUNTING),
        ("import hgcnet.architecture", NOT_FOR_COUNTING),
        ("import hgcnet.complexity", NOT_FOR_COUNTING),
        ("import hgcnet.structure", NOT_FOR_COUNTING),
        ("import hgcnet.presets", NOT_FOR_COUNTING),
        (
            "import hgcnet; hgcnet.count(hgcnet.preset('hgcnet_42_g4'), hgcnet.Task())",
            NOT_FOR_COUNTING,
        ),
        ("import search", NOT_FOR_A_NAME),
        ("import search; dir(search)", NOT_FOR_A_NAME),
        ("import search.cli.app", NOT_FOR_COMPLETION),
        ("import search.training.proxy_training", NOT_FOR_TRAINING),
    ],
)
def test_what_is_heavy_is_not_loaded(statement: str, heavy: str, processes: Processes) -> None:
    code = f"{statement}\nimport sys\nprint(sorted({set(heavy.split())} & set(sys.modules)))"
    fresh = processes.python(code)
    assert (fresh.succeed(), fresh.errors) == ("[]\n", "")


@pytest.mark.long
def test_what_a_study_sets_in_its_process_is_as_before_when_it_is_done(
    processes: Processes,
) -> None:
    """What the libraries set when they are first used is theirs."""
    code = """
import logging, os
import optuna, plotly.subplots, ray, sklearn.gaussian_process, torch
from ray import tune

def settings():
    loggers = logging.root.manager.loggerDict.items()
    levels = {name: logger.level for name, logger in loggers if getattr(logger, "level", 0)}
    return dict(os.environ), levels, torch.get_num_threads()

optuna.storages.RDBStorage("sqlite:///used.db")
ray.init(address="local", logging_level=40, log_to_driver=False, include_dashboard=False)
ray.shutdown()
import search
before = settings()
print(len(search.run_study("small.toml")))
print([(old, new) for old, new in zip(before, settings()) if old != new])
"""
    write_study(processes.folder)
    fresh = processes.python(code, HGCNAS_STORAGE="", RAY_AIR_NEW_OUTPUT="mine")
    assert fresh.succeed() == "5\n[]\n"
