"""Work on many files at once, and who is told how far it is."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from hgcnet.decoding import without_warnings
from hgcnet.machine import usable_cpus

T = TypeVar("T")
R = TypeVar("R")

# Is given how many files are done, and of how many.
ObserveFiles = Callable[[int, int], None]

# Images are read far below the commands that show it, in Ray's midst and in functions that have other
# things to tell; so it does not go through all of their signatures.
_observer: ContextVar[ObserveFiles | None] = ContextVar("observer", default=None)


@contextmanager
def observing_files(observe: ObserveFiles) -> Iterator[None]:
    """Tells `observe` of all files that are read inside, in this thread."""
    token = _observer.set(observe)
    try:
        yield
    finally:
        _observer.reset(token)


def map_files(function: Callable[[T], R], files: Sequence[T]) -> Iterator[R]:
    """The function's results in order, from threads: Pillow lets them work while it decodes."""
    observe = _observer.get()
    # Not all at once: after an error, or Ctrl-C, nothing is to be waited for but what was begun.
    with ThreadPoolExecutor(usable_cpus()) as pool, without_warnings():
        try:
            for done, result in enumerate(pool.map(function, files), start=1):
                if observe is not None:
                    observe(done, len(files))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
