"""Environment variables, log levels and threads of this process, changed for a while."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hgcnet.machine import usable_cpus


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Sets variables, or takes them out (None), until the end of the block."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def log_levels(levels: Mapping[str, int]) -> Iterator[None]:
    """Sets the levels of loggers by name. They are restored even if a library changed them inside."""
    before = {name: logging.getLogger(name).level for name in levels}
    try:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def threads_of_usable_cpus() -> Iterator[None]:
    """Limits torch to the CPUs that this process may use: by itself it respects affinities, but
    neither a container's quota nor SLURM's share, beyond which its threads wait for each other.
    OMP_NUM_THREADS has precedence."""
    import torch  # it takes seconds to load, and reading a study does not need it

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(before, usable_cpus()))
    try:
        yield
    finally:
        torch.set_num_threads(before)
