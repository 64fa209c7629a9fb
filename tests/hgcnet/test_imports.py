"""What needs no torch loads no torch, and the package's lazy names are there."""

import subprocess
import sys

import pytest

import hgcnet


@pytest.mark.parametrize(
    "statement",
    [
        "import hgcnet",
        "import hgcnet.architecture",
        "import hgcnet.complexity",
        "import hgcnet.structure",
        "import hgcnet.presets",
        "import hgcnet; hgcnet.count(hgcnet.preset('hgcnet_42_g4'), hgcnet.Task())",
    ],
)
def test_counting_loads_no_torch(statement: str) -> None:
    heavy = "{'torch', 'tomli_w', 'pydantic', 'optuna', 'ray', 'space', 'search'}"
    code = f"{statement}\nimport sys\nprint(sorted({heavy} & set(sys.modules)))"

    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (finished.stdout.strip(), finished.stderr) == ("[]", "")


@pytest.mark.parametrize("name", sorted(hgcnet._HOMES))
def test_every_public_name_loads(name: str) -> None:
    assert getattr(hgcnet, name) is not None
    assert name in dir(hgcnet)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'hgcnet' has no attribute 'nothing'"):
        hgcnet.nothing  # noqa: B018
