"""Prediction: the model, calibrated on one part of a recording, against the rest of it.

A history is cut into two halves by time. From each half a workload is calibrated; the model then predicts what the other half
shows, for every strategy that does not change timing. Each half is judged by itself: pooled, what is too much in the one and
too little in the other would cancel, as the same data would stand on both sides.

The prediction interval comes from replicates as long as the half that they predict. Each has its own calibration, on a
resample (in blocks) of what was seen, so the interval holds the noise of the observation, which clusters, as well as the
uncertainty of the calibration.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from simlib.calibrate_history import part
from simlib.case import Case, Strategy
from simlib.distributions import Floats
from simlib.history import Bools, History
from simlib.kernel import simulate
from simlib.observed import Count, tally
from simlib.replay import Outcomes, replay
from simlib.resample import Part, drawn_rows, make_part, resampled
from simlib.traffic import Codes
from simlib.workload import Workload

LEVEL = 0.95
REPLICATES = 39
"""With so many, the least and the greatest of them are a distribution-free 95 % prediction interval."""
BLOCKS = 20
"""Pieces of time from which an observation's own sampling variance is estimated."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Condition:
    """One figure, observed and predicted. Rates are shares; waits are seconds.

    Attributes:
        source, rule, figure: which recording, which strategy, and which figure of it.
        low, high: the 95 % prediction interval, the observation's own noise included.
        n: how many turns, writes or transactions were observed.
        variance: the observation's own sampling variance.
    """

    source: str
    rule: str
    figure: str
    observed: float
    predicted: float
    low: float
    high: float
    inside: bool
    n: int
    variance: float


@dataclass(frozen=True)
class Validation:
    """All figures of some recordings."""

    figures: tuple[Condition, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The headline: clobber rates, one for each source and strategy, and in gateway races the share of losses."""
        return tuple(figure for figure in self.figures if figure.figure == "clobber_rate" or figure.figure.startswith("lost."))

    @property
    def rmse(self) -> float:
        """Root mean square error of the predicted rates, the observations' own sampling variance taken off.

        Turns weigh alike: a recording counts by how many it has. NaN without any condition.
        """
        rows = self.conditions
        if not rows:
            return float("nan")
        errors = [(row.predicted - row.observed) ** 2 - row.variance for row in rows]
        return float(np.sqrt(max(0.0, np.average(errors, weights=[row.n for row in rows]))))

    @property
    def coverage(self) -> float:
        """Share of all figures that are inside their prediction interval."""
        return float(np.mean([figure.inside for figure in self.figures]))


def validation_json(validation: Validation) -> dict[str, Any]:
    """The validation as JSON: `conditions` are clobber rates, `figures` all the others."""

    def row(condition: Condition) -> dict[str, Any]:
        return {name: value for name, value in asdict(condition).items() if name != "variance"}

    return {
        "conditions": [row(condition) for condition in validation.conditions],
        "figures": [row(figure) for figure in validation.figures if figure not in validation.conditions],
        "rmse": validation.rmse,
        "coverage": validation.coverage,
    }


@dataclass(frozen=True)
class _Half:
    """What one half of a history, or one replicate of it, shows: counts, and the seconds waited for the lock."""

    counts: dict[tuple[str, str], Count]
    waits: Floats


def predict(
    history: History, case: Case, source: str, replicates: int = REPLICATES, seed: int = 1, rule: str | None = None
) -> list[Condition]:
    """Predicted against observed figures of a history.

    Args:
        history: what was observed.
        case: its case.
        source: its name in the result.
        replicates: of the model, for each half.
        seed: of the model.
        rule: the strategy that was at work; strategies with another timing class are left out. None: the case's baseline.

    Raises:
        InputError: the history is too short.
    """
    at_work = case.strategy(rule or case.baseline)
    strategies = [strategy for strategy in case.strategies.values() if strategy.in_lock == at_work.in_lock]
    outcomes = [replay(case, strategy, history) for strategy in strategies]
    middle, size = len(history) // 2, len(history)
    conditions = []
    halves = [("1st half", (0, middle), (middle, size)), ("2nd half", (middle, size), (0, middle))]
    for number, (half, here, there) in enumerate(halves):
        others = make_part(part(history, *there), case, source)
        counted = _rows(here, size)
        waits = (history.lock - others.locking.began_in(history))[counted & history.ok]
        observed = _Half(tally(case, outcomes, counted), waits)
        blocks = [tally(case, outcomes, _rows(block, size)) for block in _blocks(*here)]
        reads = history.read[counted]
        duration = float(reads.max() - reads.min())
        entries = [_standing(outcome, here[0]) for outcome in outcomes]
        runs = [
            _simulated(case, strategies, others, duration, entries, seed, number * replicates + replicate)
            for replicate in range(replicates)
        ]
        name = f"{source}, {half}"
        conditions += [*_rates(name, observed, runs, blocks), *_wait_figures(name, at_work.name, observed, runs)]
    return conditions


def _rows(span: tuple[int, int], size: int) -> Bools:
    rows = np.arange(size)
    return (rows >= span[0]) & (rows < span[1])


def _blocks(start: int, stop: int) -> list[tuple[int, int]]:
    edges = np.linspace(start, stop, BLOCKS + 1).astype(int).tolist()
    return list(itertools.pairwise(edges))


def _standing(outcomes: Outcomes, row: int) -> Codes:
    """The entries as they stand before `row`."""
    history = outcomes.history
    entries = history.initial.copy()
    rows = np.flatnonzero(history.ok[:row])
    newest = dict(zip(history.session[rows].tolist(), rows.tolist(), strict=True))
    for session, commit in newest.items():
        entries[session] = outcomes.entries[commit]
    return entries


def _simulated(
    case: Case,
    strategies: Sequence[Strategy],
    others: Part,
    duration: float,
    entries: Sequence[Codes],
    seed: int,
    replicate: int,
) -> _Half:
    """What one replicate of the model shows."""
    workload, traffic, acquire = resampled(others, case, duration, seed, replicate)
    timeline = simulate(workload, case, traffic, strategies[0].in_lock)
    outcomes = [
        replay(case, strategy, replace(timeline, initial=_recoded(standing, others.history, workload, case)))
        for strategy, standing in zip(strategies, entries, strict=True)
    ]
    waits = timeline.lock - others.locking.began_in(timeline)
    return _Half(tally(case, outcomes, timeline.ok), (waits + acquire[drawn_rows(timeline, traffic)])[timeline.ok])


def _recoded(entries: Codes, history: History, workload: Workload, case: Case) -> Codes:
    """`entries` in the value codes of the workload; values of a `many` domain become ones that are hardly ever drawn."""
    out = np.zeros((max(len(entries), workload.sessions.count), entries.shape[1]), dtype=np.int32)
    for number, name in enumerate(case.fields):
        domain = case.domains[name]
        names = workload.values.get(domain)
        codes = entries[:, number]
        if isinstance(names, list):
            known = {value: code for code, value in enumerate(names, start=1)}
            codes = np.array([code and known.get(history.values.name(domain, code), code) for code in codes.tolist()])
        out[: len(entries), number] = codes
    return out


def _rates(
    source: str, observed: _Half, runs: Sequence[_Half], blocks: Sequence[dict[tuple[str, str], Count]]
) -> list[Condition]:
    """Every figure that is a share. Its interval is that of a count whose mean and variance are the replicates': negative
    binomial, or Poisson where the counts vary no more than that.
    """
    conditions = []
    for (rule, figure), (count, n) in observed.counts.items():
        hits, trials = np.array([run.counts[rule, figure] for run in runs], dtype=np.float64).T
        if not n or (not hits.any() and not count):
            continue  # nothing to predict: no such write, in the recording or in the model
        rate = float(hits.sum() / trials.sum())
        low, high = _count_interval(rate * n, float((hits / trials).var(ddof=1)) * n**2, hits.size)
        variance = _ratio_variance(np.array([block[rule, figure] for block in blocks], dtype=np.float64))
        conditions.append(
            Condition(source, rule, figure, count / n, rate, low / n, high / n, low <= count <= high, n, variance)
        )
    return conditions


def _count_interval(mean: float, variance: float, replicates: int) -> tuple[float, float]:
    """Where a count of that mean and variance falls with probability LEVEL; the mean is known from so many replicates."""
    mean = max(mean, 0.5 / replicates)
    variance = max(variance, mean) * (1 + 1 / replicates)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    distribution = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    low, high = distribution.ppf(tails)
    return float(low), float(high)


def _ratio_variance(blocks: Floats) -> float:
    """Sampling variance of sum(hits) / sum(trials) from (blocks, 2), blocks being independent (the ratio estimator's)."""
    hits, trials = blocks.T
    if not trials.sum():
        return 0.0
    residuals = hits - trials * hits.sum() / trials.sum()
    return float(residuals.var(ddof=1) * hits.size / trials.sum() ** 2)


def _wait_figures(source: str, rule: str, observed: _Half, runs: Sequence[_Half]) -> list[Condition]:
    """Quantiles of the lock wait in seconds. Their interval reaches from the least to the greatest of the replicates: a wait
    behind a polled lock file has a gap in its distribution, and no quantile near it is anything like normal.
    """
    conditions = []
    for name, share in QUANTILES.items():
        seen = float(np.quantile(observed.waits, share))
        expected = np.array([np.quantile(run.waits, share) for run in runs])
        low, high, middle = float(expected.min()), float(expected.max()), float(np.median(expected))
        conditions.append(
            Condition(source, rule, f"lock_wait.{name}", seen, middle, low, high, low <= seen <= high, observed.waits.size, 0.0)
        )
    return conditions
