"""Versions: of the programs behind a result, of stored formats, and of changed libraries."""

import hashlib
import platform
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from hgcnet import __version__
from hgcnet.errors import RunError, shown


def versions() -> dict[str, str]:
    """The versions behind a result."""
    others = {name: version(name) for name in ("torch", "optuna", "ray")}
    return {
        "python": platform.python_version(),
        "hgcnas": __version__,
        "code": code_digest(),
    } | others


def own_packages() -> tuple[ModuleType, ...]:
    """The packages of hgcnas, as this process has imported them."""
    return tuple(map(import_module, ("hgcnet", "space", "search")))


@cache
def code_digest() -> str:
    """The digest of hgcnas's sources at the first call: processes with equal digests run the same code."""
    return digest_of_sources()


def digest_of_sources() -> str:
    """The digest of hgcnas's sources now."""
    digest = hashlib.sha256()
    for package in own_packages():
        [folder] = map(Path, package.__path__)
        for path in sorted(folder.rglob("*.py")):
            name, source = path.relative_to(folder).as_posix(), path.read_bytes()
            digest.update(f"{package.__name__}/{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:12]


class VersionWarning(UserWarning):
    """A library, or stored data, has a version that is only known in part."""


def warn_moved(library: str, name: str, seen: str, instead: str) -> None:
    """Says in one line that a library has changed inside.

    Args:
        name: what is used beyond its public interface, and is now missing.
        seen: the versions that had it.
        instead: what happens without it.
    """
    warnings.warn(
        f"{library} {version(library)} has no {name} (seen in {seen}): {instead}",
        VersionWarning,
        stacklevel=3,
    )


def check_format(found: object, known: int, place: object) -> None:
    """Refuses what a newer program stored in a newer format.

    Args:
        found: the number stored with it. The first format has none.
        place: what was read, for the message.

    Raises:
        RunError: it is above `known`.
    """
    if found is None or (isinstance(found, int) and 1 <= found <= known):
        return
    raise RunError(
        f"{place}: format {shown(found)} is from a newer hgcnas; this one reads formats up to {known}"
    )


def warn_unknown(unknown: Sequence[str], what: str) -> None:
    """Warns in one line of settings of a newer program, which are ignored in reading."""
    if unknown:
        names = ", ".join(unknown)
        warnings.warn(
            f"{what} has settings of a newer hgcnas, which are ignored: {names}",
            VersionWarning,
            stacklevel=3,
        )


def check_known(unknown: Sequence[str], what: str) -> None:
    """Refuses to continue what has settings of a newer program.

    Raises:
        RunError: there are any; it names them.
    """
    if unknown:
        raise RunError(
            f"{what} has settings of a newer hgcnas: {', '.join(unknown)}; continue it with that version"
        )
