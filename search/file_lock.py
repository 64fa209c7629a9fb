"""The lock that keeps other processes out of a folder; it is released when its holder dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hgcnet.errors import RunError


@contextmanager
def hold_lock(path: Path, refusal: Callable[[], str]) -> Iterator[None]:
    """Holds the lock of a file, which is made if it is missing.

    Args:
        refusal: The message if another process holds it.

    Raises:
        RunError: another process holds it, or it cannot be locked; both name the folder.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"{path.parent}: {refusal()}") from None
    except OSError as error:
        raise RunError(f"{path.parent}: cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
