"""Evidence to workload: against the samples that it was made from, and against evidence written by hand."""

import numpy as np
import pytest

from simlib.calibrate.evidence import empirical
from simlib.workload.distributions import Empirical


def test_empirical_distribution_against_the_sample_it_is_made_from() -> None:
    sample = np.random.default_rng(1).lognormal(0.0, 1.0, 20_000)
    drawn = Empirical.model_validate(empirical(sample)).quantile((np.arange(100_000) + 0.5) / 100_000)
    error = sample.std() / np.sqrt(sample.size)
    assert abs(drawn.mean() - sample.mean()) < 2 * error  # the median of 20,000 is not the question, its grid of 200 is
    assert np.quantile(drawn, [0.1, 0.5, 0.9, 0.99]) == pytest.approx(np.quantile(sample, [0.1, 0.5, 0.9, 0.99]), rel=0.02)
