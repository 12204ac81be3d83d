"""Histograms of times against numpy's, and quantiles against interpolation by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlib.replay.histograms import EDGES, binned, quantile


@given(
    st.lists(st.floats(-1, 1e7) | st.sampled_from([*EDGES.tolist(), np.inf, np.nan, -0.0]) | st.floats(0, 1e-5), max_size=40)
)
def test_times_are_binned_as_numpy_does_it_also_on_the_edges_and_for_what_is_not_known(times: list[float]) -> None:
    array = np.array(times, dtype=np.float64)
    assert binned(array).tolist() == np.histogram(np.minimum(array, EDGES[-1]), EDGES)[0].tolist()


def test_every_edge_and_its_neighbours_are_binned_as_numpy_does_it() -> None:
    times = np.concatenate([EDGES, np.nextafter(EDGES, 0), np.nextafter(EDGES, np.inf)])
    assert binned(times).tolist() == np.histogram(np.minimum(times, EDGES[-1]), EDGES)[0].tolist()


def test_the_bins_are_equally_wide_on_a_logarithmic_scale_from_a_microsecond_to_a_million_seconds() -> None:
    assert EDGES[0] == 0
    assert (EDGES[1], EDGES[-1]) == pytest.approx((1e-6, 1e6), rel=1e-12)
    assert EDGES[2:] / EDGES[1:-1] == pytest.approx(10 ** (1 / 60))  # 60 bins a decade, so 3.9 % each


def histogram(counts: dict[int, int]) -> Any:
    found = np.zeros(len(EDGES) - 1, dtype=np.int64)
    for number, count in counts.items():
        found[number] = count
    return found


@pytest.mark.parametrize(
    ("counts", "share", "position", "within"),
    [
        ({10: 4}, 0.5, 10, 0.5),
        ({10: 4}, 1.0, 10, 1.0),
        ({10: 1, 20: 3}, 0.25, 10, 1.0),
        ({10: 1, 20: 3}, 0.5, 20, 1 / 3),
        ({0: 2, 20: 3}, 0.8, 20, 2 / 3),
        ({5: 2, 6: 2, 7: 4}, 0.75, 7, 0.5),
    ],
)
def test_a_quantile_is_interpolated_inside_its_bin(counts: dict[int, int], share: float, position: int, within: float) -> None:
    low, high = EDGES[position], EDGES[position + 1]
    assert quantile(histogram(counts), share) == pytest.approx(low + within * (high - low))


def test_a_quantile_among_the_times_under_a_microsecond_is_zero_and_of_no_times_is_not_there() -> None:
    assert quantile(histogram({0: 3, 9: 3}), 0.5) == 0
    assert np.isnan(quantile(histogram({}), 0.5))
