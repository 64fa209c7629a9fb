"""Types of NumPy arrays."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Images = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
