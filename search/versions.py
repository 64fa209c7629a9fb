"""Versions: what a result was made with, whether this program can read it, whether a library has moved."""

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
    """What a result was made with."""
    others = {name: version(name) for name in ("torch", "optuna", "ray")}
    return {
        "python": platform.python_version(),
        "hgcnas": __version__,
        "code": code_digest(),
    } | others


def own_packages() -> tuple[ModuleType, ...]:
    """The packages that are hgcnas, as this process has them."""
    return tuple(map(import_module, ("hgcnet", "space", "search")))


@cache
def code_digest() -> str:
    """Of the sources of hgcnas when this process first asked: where two agree, the same code runs."""
    return digest_of_sources()


def digest_of_sources() -> str:
    """Of the sources of hgcnas as they lie now."""
    digest = hashlib.sha256()
    for package in own_packages():
        [folder] = map(Path, package.__path__)
        for path in sorted(folder.rglob("*.py")):
            name, source = path.relative_to(folder).as_posix(), path.read_bytes()
            digest.update(f"{package.__name__}/{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:12]


class VersionWarning(UserWarning):
    """A library, or what a program stored, is of a version that is only known in part."""


def warn_moved(library: str, name: str, seen: str, instead: str) -> None:
    """Says in one line that a library has changed inside.

    Args:
        name: what is used beyond its public interface, and is not there any more.
        seen: the versions in which it was.
        instead: what happens without it.
    """
    warnings.warn(
        f"{library} {version(library)} has no {name} (seen in {seen}): {instead}",
        VersionWarning,
        stacklevel=3,
    )


def check_format(found: object, known: int, place: object) -> None:
    """Refuses what a newer program stored in a way that is not known here.

    Args:
        found: the number stored with it. The first format has none.
        place: what was read, for the message.

    Raises:
        RunError: it is above `known`.
    """
    if found is None or (isinstance(found, int) and 1 <= found <= known):
        return
    raise RunError(
        f"{place}: format {shown(found)}, but this hgcnas reads {known} and below: a newer one wrote it"
    )


def warn_unknown(unknown: Sequence[str], what: str) -> None:
    """Says in one line that what is only read has settings that are not known here."""
    if unknown:
        names = ", ".join(unknown)
        warnings.warn(
            f"{what} has {names}, which this hgcnas does not know: a newer one wrote it; they are left out",
            VersionWarning,
            stacklevel=3,
        )


def check_known(unknown: Sequence[str], what: str) -> None:
    """Refuses to go on with what a newer program began with settings that are not known here.

    Raises:
        RunError: there are any; it names them.
    """
    if unknown:
        raise RunError(
            f"{what} has {', '.join(unknown)}, which this hgcnas does not know: a newer one wrote it and "
            "can go on with it"
        )
