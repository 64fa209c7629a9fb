"""Checkpoints of unfinished trainings in a run folder, from which retried trials resume."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from hgcnet.atomic_write import make_folder, replace_file, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state of `ProxyTraining.save_state`, and what it shows without a network."""

    state: bytes
    curve: tuple[float, ...]  # val_accuracy of every finished epoch
    seconds: float


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """`checkpoints/<fingerprint>`: at most one for each network of a study, the latest."""

    folder: Path

    def save(self, fingerprint: str, state: bytes) -> None:
        """Replaces the checkpoint of a network.

        Raises:
            RunError: it cannot be written.
        """
        with writing(self.folder):
            make_folder(self.folder)
            replace_file(self.folder / fingerprint, state)

    def load(self, fingerprint: str) -> Checkpoint | None:
        """The checkpoint of a network; None where there is none that can be read."""
        try:
            state = (self.folder / fingerprint).read_bytes()
            curve, seconds = read_progress(state)
        except (OSError, ValueError):
            return None  # the training begins anew
        return Checkpoint(state=state, curve=tuple(curve), seconds=seconds)

    def keep_only(self, fingerprints: Collection[str]) -> None:
        """Deletes the checkpoints of all other networks."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.name not in fingerprints:
                    path.unlink(missing_ok=True)

    def drop(self, fingerprint: str) -> None:
        """Deletes the checkpoint of a network, if there is one."""
        (self.folder / fingerprint).unlink(missing_ok=True)


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
    """Turns every error of reading a state into one.

    Raises:
        ValueError: the state is damaged.
    """
    try:
        yield
    except Exception as error:  # torch's reader of damaged files raises whatever it runs into
        raise ValueError(f"not the state of a training: {error}") from error
