"""`import hgcnas`: what `search` gives, also beside files of yours that are called search.py or space.py.

    import hgcnas

    trials = hgcnas.run_study("studies/quickstart.toml")

The command `hgcnas` and `python -m hgcnas` begin here, too. Python looks for `search` in the folder of a notebook or
script first, so that a file of this name there hides the package; whoever imports this file gets the three packages
that lie beside it.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search import *  # noqa: F403

_FOLDER = Path(__file__).resolve().parent


def _load_own() -> None:
    """Puts the packages beside this file in the place of whatever else has their names.

    Raises:
        ImportError: another module of such a name is in use already.
    """
    for name in ("hgcnet", "space", "search"):
        own = _FOLDER / name / "__init__.py"
        if (loaded := sys.modules.get(name)) is not None:
            place = getattr(loaded, "__file__", None)
            if place is None or Path(place).resolve() != own:
                raise ImportError(
                    f"hgcnas has a package {name}, but this Python has loaded {place or loaded} by that name: "
                    "import hgcnas first, or rename that file"
                )
            continue
        found = PathFinder.find_spec(name)
        if found is not None and found.origin is not None and Path(found.origin).resolve() == own:
            continue  # as Python would load it
        spec = spec_from_file_location(name, own, submodule_search_locations=[str(own.parent)])
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


_load_own()


def main() -> None:
    """The console command."""
    import_module("search.cli.start").main()


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("search"), name)


def __dir__() -> list[str]:
    return sorted(import_module("search").__all__)


if __name__ == "__main__":
    main()
