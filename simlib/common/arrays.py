"""The arrays that pass between the rooms: shapes stand in the docstring of each dataclass and function."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
"""Times are in seconds, unless a name says otherwise."""
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
"""Value codes: see `case.rules.UNDEFINED` and `ABSENT`; above zero, the number of a value in its domain."""
