"""What a fresh Python loads: what needs no torch loads no torch, and so on."""

import pytest

from tests.parts.processes import Processes

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
