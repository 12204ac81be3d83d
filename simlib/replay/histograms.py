"""Histograms of times: how they are binned, and what quantile they show."""

import math
from typing import Any

import numpy as np

from simlib.common.arrays import Floats, Ints
from simlib.common.compilation import inlined, lean

EDGES = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 721)])
"""Bins for times in seconds, some 4 % wide; under a microsecond counts as zero, over a million seconds as a million."""
_PER_LOG = (EDGES.size - 2) / math.log(EDGES[-1] / EDGES[1])
"""Bins for each unit of the natural logarithm."""


def binned(times: Floats) -> Ints:
    """(bins,) how many of the times, in seconds, are in each bin of EDGES."""
    histogram = np.zeros(EDGES.size - 1, np.int64)
    _bin_all(times, EDGES, histogram)
    return histogram


@lean
def _bin_all(times: Any, edges: Any, histogram: Any) -> None:
    for number in range(times.size):
        add_to_bin(times[number], edges, histogram)


@inlined
def add_to_bin(time: float, edges: Any, histogram: Any) -> None:
    """Count a time as `np.histogram(min(time, edges[-1]), edges)` would: the logarithm says about where, the edges exactly."""
    if not time >= edges[0]:
        return
    place, last = 0, histogram.size - 1
    if time >= edges[1]:
        place = min(last, 1 + int(_PER_LOG * math.log(min(time, edges[-1]) / edges[1])))
        while time < edges[place]:
            place -= 1
        while place < last and time >= edges[place + 1]:
            place += 1
    histogram[place] += 1


def quantile(histogram: Ints, share: float) -> float:
    """A quantile of times that were counted over EDGES, in seconds; interpolated inside its bin.

    Args:
        histogram: (bins,) how many times fell into each bin.
        share: of the times that are shorter, 0 to 1.

    Returns:
        NaN if the histogram is empty.

    Examples:
        >>> histogram = np.histogram([0.010] * 99 + [3.0], EDGES)[0]
        >>> round(quantile(histogram, 0.5), 2), round(quantile(histogram, 1.0), 1)
        (0.01, 3.0)
    """
    total = histogram.sum()
    if not total:
        return float("nan")
    cumulative = np.cumsum(histogram)
    position = int(np.searchsorted(cumulative, share * total))
    if position == 0:
        return 0.0
    below = cumulative[position - 1]
    within = (share * total - below) / histogram[position]
    return float(EDGES[position] + within * (EDGES[position + 1] - EDGES[position]))
