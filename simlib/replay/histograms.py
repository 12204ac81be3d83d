"""Histograms of times: how they are binned, and what quantile they show."""

from typing import Any

import numpy as np

from simlib.common.arrays import Floats, Ints
from simlib.common.compilation import inlined, lean

EDGES = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 721)])
"""Bins for times in seconds, some 4 % wide; under a microsecond counts as zero, over a million seconds as a million."""
_CELL = 46
"""Bits of a time that say where in its cell it is; the others say which cell. A cell is 1.6 % wide at most: no bin fits in."""
_FIRST, _LAST = (int(edge.view(np.int64)) >> _CELL for edge in EDGES[[1, -1]])
_STARTS = (np.arange(_FIRST, _LAST + 1) << _CELL).view(np.float64)
_BINS = np.searchsorted(EDGES[1:-1], _STARTS, side="right")
"""The bin in which each cell starts, from the cell of the second edge to that of the last."""


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
    """Count a time as `np.histogram(min(time, edges[-1]), edges)` would: its cell says in which bin, or the next one."""
    if not time >= edges[0]:
        return
    place = 0
    if time >= edges[1]:
        time = min(time, edges[-1])
        place = _BINS[(np.float64(time).view(np.int64) >> _CELL) - _FIRST]
        place = min(place + (time >= edges[place + 1]), histogram.size - 1)
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
