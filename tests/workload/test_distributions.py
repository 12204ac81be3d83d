"""The distributions of a workload: means against their draws, and those whose numbers overflow are refused at load."""

from typing import Any

import numpy as np
import pytest

from simlib.workload.workload import load_workload

GRID = (np.arange(200_000) + 0.5) / 200_000


@pytest.mark.parametrize(
    "value",
    [
        "0.25",
        "{dist: exponential, mean: 0.4}",
        "{dist: lognormal, median: 0.4, sigma: 0.8}",
        "{dist: gamma, mean: 0.4, shape: 0.7}",
        "{dist: empirical, values: [0.1, 0.7, 0.2, 0.2]}",
        "{dist: empirical, values: [0.3]}",
    ],
)
def test_the_mean_against_the_mean_of_the_quantiles(value: str) -> None:
    hold = load_workload("quiet", [f"times.patch.hold={value}"]).times["patch"].hold
    assert hold.expected == pytest.approx(hold.quantile(GRID).mean(), rel=1e-3)


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        ("0.25", True),
        ("{dist: exponential, mean: 0.4}", True),
        ("{dist: lognormal, median: 0.4, sigma: 0.8}", True),
        ("{dist: gamma, mean: 0.4, shape: 0.7}", False),
        ("{dist: gamma, mean: 0.4, shape: 70}", False),
        ("{dist: empirical, values: [0.1, 0.7, 0.2, 0.2]}", True),
    ],
)
def test_the_greatest_draw_against_the_quantile_at_the_greatest_uniform(value: str, exact: bool) -> None:
    hold = load_workload("quiet", [f"times.patch.hold={value}"]).times["patch"].hold
    greatest = float(hold.quantile(np.array([1 - 2.0**-53]))[0])
    assert hold.longest == pytest.approx(greatest) if exact else greatest <= hold.longest <= 1.7 * greatest


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.0e+300", "its mean is 1e+300 s; allowed: at most 1e+12 s"),
        ("{dist: exponential, mean: 1.0e+300}", "its mean is 1e+300 s"),
        ("{dist: exponential, mean: 1.0e+12}", "its greatest draw is 3.67e+13 s"),
        ("{dist: lognormal, median: 1, sigma: 100}", "its mean is inf s"),
        ("{dist: lognormal, median: 1, sigma: 1.0e+308}", "its mean is inf s"),
        ("{dist: lognormal, median: 1, sigma: 4}", "its greatest draw is "),
        ("{dist: gamma, mean: 1, shape: 1.0e-300}", "shape: "),
        ("{dist: empirical, values: [0, 1.0e+308, 1.0e+308]}", "its mean is inf s"),
    ],
)
def test_a_distribution_whose_mean_or_draws_overflow_is_refused_at_load(value: str, message: str, refused: Any) -> None:
    line = refused(load_workload, "quiet", [f"times.patch.hold={value}"])
    assert message in line
    assert "times.patch.hold" in line
