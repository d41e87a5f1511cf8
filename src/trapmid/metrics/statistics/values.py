"""What statistics take: numbers that are there and finite."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def finite(values: npt.ArrayLike) -> Numbers:
    """The values (N,) as float64; ValueError: there is none, or one that is not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError("statistics: needs numbers, all of them finite")
    return numbers
