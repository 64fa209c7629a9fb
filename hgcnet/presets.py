"""The paper's networks by name: a reconstruction, since the paper names them but not their widths."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from hgcnet.architecture import Architecture, Operator, SEPlacement, Stage
from hgcnet.errors import ArchitectureError

_GROWTHS = (12, 24, 48)
_DEPTHS = {42: (7, 7, 6), 67: (11, 11, 10), 91: (15, 15, 14)}


def preset(name: str) -> Architecture:
    """The architecture of a preset.

    Raises:
        ArchitectureError: there is no such preset; lists all, and the one of a similar name.
    """
    if name in PRESETS:
        return PRESETS[name]
    close = get_close_matches(name, PRESETS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ArchitectureError(
        f"{name}: is neither a preset nor the path of a .toml file; {hint}presets are {', '.join(PRESETS)}"
    )


def _reference_network(
    operator: Operator, layers: int, groups: int, se: SEPlacement = "none"
) -> Architecture:
    """The most conventional reconstruction that divides evenly: see the table in `tests`."""
    return Architecture(
        operator=operator,
        stem_channels=24,
        bottleneck=4,
        compression=0.5,
        se_reduction=8,
        stages=tuple(
            Stage(depth=depth, growth=growth, groups=groups, se=se)
            for depth, growth in zip(_DEPTHS[layers], _GROWTHS, strict=True)
        ),
    )


PRESETS: Mapping[str, Architecture] = MappingProxyType(
    {
        "sgcnet_42_g1": _reference_network("sgc", 42, 1),
        "hgcnet_42_g2": _reference_network("hgc", 42, 2),
        "sgcnet_42_g2": _reference_network("sgc", 42, 2),
        "hgcnet_42_g4": _reference_network("hgc", 42, 4),
        "sgcnet_42_g4": _reference_network("sgc", 42, 4),
        "hgcnet_42_g6": _reference_network("hgc", 42, 6),
        "sgcnet_42_g6": _reference_network("sgc", 42, 6),
        "hgcnet_67_g4": _reference_network("hgc", 67, 4),
        "hgcnet_91_g4": _reference_network("hgc", 91, 4),
        "se_hgcnet_42_g4": _reference_network("hgc", 42, 4, se="all"),
    }
)

# Error on the test images in percent, by data set and preset: Xie, Zhou, Kung 2019, as printed there.
# With its own recipe: 300 epochs of SGD with Nesterov momentum 0.9, batch 128, a cosine from 0.1 to
# 0, weight decay 1e-4, all training images, padded by 4, cropped and mirrored.
PAPER_TEST_ERROR: Mapping[str, Mapping[str, float]] = {
    "cifar10": {
        "sgcnet_42_g1": 5.94,
        "hgcnet_42_g2": 6.21,
        "sgcnet_42_g2": 6.46,
        "hgcnet_42_g4": 6.36,
        "sgcnet_42_g4": 6.64,
        "hgcnet_42_g6": 6.52,
        "sgcnet_42_g6": 6.94,
        "hgcnet_67_g4": 5.61,
        "hgcnet_91_g4": 5.53,
        "se_hgcnet_42_g4": 5.81,
    },
    "cifar100": {"hgcnet_67_g4": 25.83, "hgcnet_91_g4": 24.42},
}
