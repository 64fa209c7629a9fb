"""What can be read of a training's saved state without its network."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def read_progress(state: bytes) -> tuple[list[float], float]:
    """What a saved training had reached: the accuracy of every finished epoch, and their seconds.

    Raises:
        ValueError: it cannot be read.
    """
    with unreadable_state():
        values = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        return [float(accuracy) for accuracy in values["curve"]], float(values["seconds"])


@contextmanager
def unreadable_state() -> Iterator[None]:
    """Says in one way that a state is damaged.

    Raises:
        ValueError: in place of whatever reading it raised.
    """
    try:
        yield
    except Exception as error:  # torch's reader of damaged files raises whatever it runs into
        raise ValueError(f"no state of a training: {error}") from error
