"""Fitted arrivals and popularity against the sources that drew them, and against hand computation."""

import numpy as np

from simlib.calibrate.arrivals import fit_arrivals, fit_popularity
from simlib.workload.traffic import Streams, arrivals
from simlib.workload.workload import Bursty, Flow


def test_burstiness_against_the_on_off_source_that_drew_it() -> None:
    flow = Flow(rate=2.0, arrivals=Bursty(kind="bursty", busy=20, idle=80), steps={"patch": []})
    fits = [fit_arrivals(arrivals(flow, 20_000, "x", Streams(seed, 0)), 20_000) for seed in range(5)]
    assert all(fit.bursty for fit in fits)
    for name, expected in (("rate", 2.0), ("busy", 20.0), ("idle", 80.0)):
        values = np.array([getattr(fit, name) for fit in fits])
        assert abs(values.mean() - expected) < 5 * values.std(ddof=1) / np.sqrt(values.size)


def test_poisson_arrivals_and_equal_popularity_are_recognised() -> None:
    flow = Flow(rate=2.0, steps={"patch": []})
    assert not any(fit_arrivals(arrivals(flow, 2000, "x", Streams(seed, 0)), 2000).bursty for seed in range(10))
    assert fit_popularity(np.sort(np.random.default_rng(1).multinomial(2000, [0.1] * 10))[::-1]).exponent == 0
