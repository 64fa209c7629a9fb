"""Starting weights of a training from another model folder: those that fit its network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from hgcnet.architecture import Architecture, Task
from hgcnet.errors import RunError
from hgcnet.model import HGCNet
from hgcnet.model_folder import load, weights_sha256
from hgcnet.networks import network_kind
from search.training.recipe import StartingWeights

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """The weights that one network takes from another."""

    source: StartingWeights
    tensors: Mapping[str, Tensor]
    fresh: tuple[str, ...]  # names of the tensors that are initialised

    @property
    def text(self) -> str:
        """One line for people."""
        total = len(self.tensors) + len(self.fresh)
        said = f"{self.source.model}: {len(self.tensors)} of {total} tensors are taken"
        if not self.fresh:
            return said
        names, more = ", ".join(self.fresh[:_MOST_NAMED]), len(self.fresh) - _MOST_NAMED
        return f"{said}; fresh are {names}" + (f" and {more} more" if more > 0 else "")


def take_weights(model: str, architecture: Architecture, task: Task) -> Taken:
    """The weights of a model folder's layers that a network for a task also has, in name and shapes.

    A layer is taken as a whole or not at all: a classifier's bias is useless without its weights. So a
    classifier for another number of classes is left out, and a stem for other channels.

    Raises:
        ArchitectureError: the model folder is incomplete.
        RunError: it is not a model folder, or none of its layers fits.
    """
    if network_kind(model) != "model folder":
        raise RunError(
            f"--from {model}: is not a model folder, as `hgcnas train` writes; an architecture has "
            "no weights to start from"
        )
    given, own = (_weights(network) for network in (load(model), HGCNet(architecture, task)))
    different = {
        _layer(name)
        for name, tensor in own.items()
        if name not in given or given[name].shape != tensor.shape
    }
    tensors = {name: given[name] for name in own if _layer(name) not in different}
    if not tensors:
        raise RunError(
            f"--from {model}: none of its layers has the name and the shapes of one of {architecture}; "
            "leave --from out, or start from a more similar network"
        )
    source = StartingWeights(model=str(model), sha256=weights_sha256(Path(model)))
    fresh = tuple(name for name in own if name not in tensors)
    return Taken(source=source, tensors=tensors, fresh=fresh)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _weights(network: HGCNet) -> dict[str, Tensor]:
    """The trained tensors, without the counts of batches, which any two networks share."""
    state = network.state_dict()
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
