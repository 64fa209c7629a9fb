"""HGCNets: networks of hierarchical group convolutions, their counts, and the files that describe them.

    import hgcnet

    network = hgcnet.create_model("hgcnet_42_g4", num_classes=100)
    network = hgcnet.load("best.toml")  # fresh weights
    network = hgcnet.load("trained/")   # a model folder
    network.predict(["cat.jpg"])[0].class_name

The names below load at first use, so that `import hgcnet` and `hgcnet.complexity` need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hgcnet.architecture import Architecture as Architecture
    from hgcnet.architecture import ArchitectureFile as ArchitectureFile
    from hgcnet.architecture import Stage as Stage
    from hgcnet.architecture import Task as Task
    from hgcnet.architecture import read_architecture as read_architecture
    from hgcnet.architecture import write_architecture as write_architecture
    from hgcnet.complexity import count as count
    from hgcnet.complexity import layer_table as layer_table
    from hgcnet.model import HGCNet as HGCNet
    from hgcnet.model import create_model as create_model
    from hgcnet.model_folder import load as load
    from hgcnet.model_folder import read_record as read_record
    from hgcnet.model_folder import save_model as save_model
    from hgcnet.onnx_graph import export_onnx as export_onnx
    from hgcnet.prediction import Prediction as Prediction
    from hgcnet.presets import PRESETS as PRESETS
    from hgcnet.presets import preset as preset

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "hgcnet.architecture",
    "ArchitectureFile": "hgcnet.architecture",
    "Stage": "hgcnet.architecture",
    "Task": "hgcnet.architecture",
    "read_architecture": "hgcnet.architecture",
    "write_architecture": "hgcnet.architecture",
    "count": "hgcnet.complexity",
    "layer_table": "hgcnet.complexity",
    "HGCNet": "hgcnet.model",
    "create_model": "hgcnet.model",
    "export_onnx": "hgcnet.onnx_graph",
    "Prediction": "hgcnet.prediction",
    "load": "hgcnet.model_folder",
    "read_record": "hgcnet.model_folder",
    "save_model": "hgcnet.model_folder",
    "PRESETS": "hgcnet.presets",
    "preset": "hgcnet.presets",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
