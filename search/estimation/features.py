"""The features of a network for the accuracy model: numbers that are known before any training."""

import numpy as np

from hgcnet.arrays import Floats, Ints
from hgcnet.complexity import count_many
from space.search_space import SearchSpace

TREND = 2  # the last columns of the features: log FLOPs and log params


def features_of(space: SearchSpace, points: Ints) -> Floats:
    """The features of points (N, axes): (N, F), in their own units, the trend's columns last."""
    arrays = space.arrays_of(points)
    flops, num_params = count_many(arrays, space.task)
    chosen = {axis.name for axis in space.free_axes}
    # Columns of their own only where these vary, so that other spaces keep their columns.
    of_larger = [np.log2(arrays.stem_stride)] if "stem_stride" in chosen else []
    of_larger += [(arrays.depth > 0).sum(axis=1)] if "stages" in chosen else []
    columns = [
        *of_larger,
        arrays.is_hgc,
        np.log2(arrays.stem_channels),
        np.log2(arrays.bottleneck),
        arrays.compression,
        np.log2(arrays.se_reduction),
        *arrays.depth.T,
        *np.log2(np.maximum(1, arrays.growth)).T,  # 0 in a stage that is not there, as groups are
        *np.log2(arrays.groups).T,
        *arrays.se.T,
        np.log(flops),
        np.log(num_params),
    ]
    return np.column_stack(columns).astype(np.float64)
