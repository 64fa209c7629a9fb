"""What a result was made with."""

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """What a result was made with."""
    packages = ("hgcnas", "torch", "optuna", "ray")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
