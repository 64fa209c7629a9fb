"""The weights of another model folder that a training begins with: those that have a place in its network."""

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
    """What one network has of another one's weights."""

    source: StartingWeights
    tensors: Mapping[str, Tensor]
    fresh: tuple[str, ...]  # names of those that begin as they do without

    @property
    def text(self) -> str:
        """For reading."""
        total = len(self.tensors) + len(self.fresh)
        said = f"{self.source.model}: {len(self.tensors)} of {total} tensors are taken"
        if not self.fresh:
            return said
        names, more = ", ".join(self.fresh[:_MOST_NAMED]), len(self.fresh) - _MOST_NAMED
        return f"{said}; fresh are {names}" + (f" and {more} more" if more > 0 else "")


def take_weights(model: str, architecture: Architecture, task: Task) -> Taken:
    """The weights of the layers of a model folder that a network has just so for a task.

    A layer is taken whole or not at all: the bias of a classifier is of no use beside other weights. A
    classifier of another number of classes is left out, and so is a stem for other channels.

    Raises:
        ArchitectureError: it is no whole model folder.
        RunError: it is none at all, or none of its weights has a place.
    """
    if network_kind(model) != "model folder":
        raise RunError(
            f"--from {model}: is not a model folder, as `hgcnas train` writes; an architecture has "
            "no weights to begin with"
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
            "leave --from out, or begin with a network like this one"
        )
    source = StartingWeights(model=str(model), sha256=weights_sha256(Path(model)))
    fresh = tuple(name for name in own if name not in tensors)
    return Taken(source=source, tensors=tensors, fresh=fresh)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _weights(network: HGCNet) -> dict[str, Tensor]:
    """What a training makes: not the counts of batches, which agree in any two networks."""
    state = network.state_dict()
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
