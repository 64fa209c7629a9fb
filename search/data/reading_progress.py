"""Work on many files at once, and its progress."""

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

# Images are read far below the commands that show the progress; so the observer does not go through
# all signatures in between.
_observer: ContextVar[ObserveFiles | None] = ContextVar("observer", default=None)


@contextmanager
def observing_files(observe: ObserveFiles) -> Iterator[None]:
    """Calls `observe` for all files that are read inside, in this thread."""
    token = _observer.set(observe)
    try:
        yield
    finally:
        _observer.reset(token)


def map_files(function: Callable[[T], R], files: Sequence[T]) -> Iterator[R]:
    """The function's results in order, from threads: Pillow releases Python's lock while it decodes."""
    observe = _observer.get()
    # Not all at once: after an error or Ctrl-C, only the files that were begun are waited for.
    with ThreadPoolExecutor(usable_cpus()) as pool, without_warnings():
        try:
            for done, result in enumerate(pool.map(function, files), start=1):
                if observe is not None:
                    observe(done, len(files))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
