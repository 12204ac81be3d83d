"""Prediction: the model, calibrated on one part of a recording, against the rest of it.

A history is cut into short pieces by time, which make up two halves by turns. From each half a workload is calibrated; the
model then predicts what the other half shows, for every strategy that does not change timing. Each half is judged by itself:
pooled, a prediction too high for one half and too low for the other would look right, as each half predicts the other.

The prediction interval comes from replicates as long as the half that they predict. Each has its own calibration, on a
resample (in blocks) of what was seen, so the interval holds the noise of the observation, which clusters, as well as the
uncertainty of the calibration.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from simlib.calibrate.locking import ENOUGH
from simlib.case.case import Case, Strategy
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.errors import InputError
from simlib.model.compiled_model import simulate
from simlib.model.history import History
from simlib.replay.figures import Count, tally
from simlib.replay.replay import Outcomes, replay_strategy
from simlib.replay.time_slices import glued, pieces
from simlib.validate.resample import Part, drawn_rows, make_part, repeated, resampled
from simlib.validate.scores import Condition
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

LEVEL = 0.95
REPLICATES = 39
"""With so many, the least and the greatest of them are a distribution-free 95 % prediction interval."""
GROUPS = 20
"""Of the rows of a half; an observation's own sampling variance is estimated from how they differ."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Shown:
    """What one half of a history, or one replicate of it, shows: counts, and the seconds waited for the lock."""

    counts: dict[tuple[str, str], Count]
    waits: Floats


@dataclass(frozen=True)
class Half:
    """One half of a history, and what predicts it.

    Attributes:
        name: of the source, and which half.
        case, strategies: those with the timing of the strategy that was at work, which is named by `rule`.
        observed: what it shows.
        groups: what each of GROUPS successive groups of its rows shows.
        driven: what the model shows there when it is given the very arrivals and times of the history.
        entries: for each strategy, (sessions, fields) value codes as they stand when the half begins.
        duration: seconds.
        others: the other half, from which it is predicted.
    """

    name: str
    case: Case
    rule: str
    strategies: tuple[Strategy, ...]
    observed: Shown
    groups: tuple[dict[tuple[str, str], Count], ...]
    driven: Shown
    entries: tuple[Codes, ...]
    duration: float
    others: Part


Change = Callable[[Workload, Traffic], tuple[Workload, Traffic]]
"""A change to the workload and the draws of a replicate: what another assumption would have made of them."""


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
    return [
        condition
        for number, half in enumerate(halves(history, case, source, rule))
        for condition in compare(half, [replicate_of(half, seed, number * replicates + n) for n in range(replicates)])
    ]


def halves(history: History, case: Case, source: str, rule: str | None = None) -> list[Half]:
    """The two halves of a history, which take turns; arguments as of `predict`.

    Raises:
        InputError: the history is too short.
    """
    at_work = case.strategy(rule or case.baseline)
    strategies = tuple(strategy for strategy in case.strategies.values() if strategy.discipline == at_work.discipline)
    outcomes = [replay_strategy(case, strategy, history) for strategy in strategies]
    piece = pieces(history)
    rows = [np.flatnonzero(piece % 2 == parity) for parity in (0, 1)]
    if any(history.ok[kept].sum() < ENOUGH for kept in rows):
        raise InputError(f"{source}: {history.ok.sum()} commits; each half needs at least {ENOUGH}")
    parts = [make_part(glued(history, kept), case, source) for kept in rows]
    whole = make_part(history, case, source)
    found = []
    for name, kept, own, others in zip(("odd half", "even half"), rows, parts, parts[::-1], strict=True):
        counted = _chosen(kept, history)
        waits = (history.lock - others.locking.began_in(history))[counted & history.ok]
        found.append(
            Half(
                name=f"{source}, {name}",
                case=case,
                rule=at_work.name,
                strategies=strategies,
                observed=Shown(tally(case, outcomes, counted), waits),
                groups=tuple(tally(case, outcomes, _chosen(some, history)) for some in np.array_split(kept, GROUPS)),
                driven=_driven(whole, others, case, strategies, counted),
                entries=tuple(_standing(outcome, kept[0]) for outcome in outcomes),
                duration=float(np.ptp(own.history.read)),
                others=others,
            )
        )
    return found


def _driven(whole: Part, others: Part, case: Case, strategies: Sequence[Strategy], counted: Bools) -> Shown:
    """What the model shows of the `counted` rows when it is given the whole history's own arrivals and times.

    How the lock and the caches work (when a commit is seen, how long the lock is held after it, how it is polled) is not taken
    from these rows, but from the other half.
    """
    evidence = replace(whole.evidence, store={**others.evidence.store, "gateways": whole.evidence.store["gateways"]})
    locking = replace(whole.locking, early=others.locking.early)
    workload, traffic, acquire, rows = repeated(replace(whole, evidence=evidence, locking=locking), case)
    timeline = replace(simulate(workload, case, traffic, strategies[0].discipline), values=whole.history.values)
    step = drawn_rows(timeline, traffic)
    here = counted[rows[step]] & timeline.ok
    waits = timeline.lock - locking.began_in(timeline) + acquire[step]
    return Shown(tally(case, [replay_strategy(case, strategy, timeline) for strategy in strategies], here), waits[here])


def _chosen(rows: Ints, history: History) -> Bools:
    chosen = np.zeros(len(history), dtype=np.bool_)
    chosen[rows] = True
    return chosen


def compare(half: Half, runs: Sequence[Shown]) -> list[Condition]:
    """Every figure of a half, predicted by replicates of it."""
    return [*_rates(half, runs), *_wait_figures(half, runs)]


def _standing(outcomes: Outcomes, row: int) -> Codes:
    """The entries as they stand before `row`."""
    history = outcomes.history
    entries = history.initial.copy()
    rows = np.flatnonzero(history.ok[:row])
    newest = dict(zip(history.session[rows].tolist(), rows.tolist(), strict=True))
    for session, commit in newest.items():
        entries[session] = outcomes.entries[commit]
    return entries


def replicate_of(half: Half, seed: int, replicate: int, change: Change | None = None) -> Shown:
    """One replicate of the prediction of a half: the other half is resampled, simulated and replayed.

    Args:
        half: what is predicted.
        seed: root of the random streams.
        replicate: its number.
        change: what is assumed otherwise; None: nothing.
    """
    workload, traffic, acquire = resampled(half.others, half.case, half.duration, seed, replicate)
    if change:
        workload, traffic = change(workload, traffic)
    return simulated(half, workload, traffic, acquire)


def simulated(half: Half, workload: Workload, traffic: Traffic, acquire: Floats) -> Shown:
    """What the model shows of such traffic; `acquire` (transactions,) is how long it takes to get a free lock, in seconds."""
    case, others = half.case, half.others
    timeline = simulate(workload, case, traffic, half.strategies[0].discipline)
    outcomes = [
        replay_strategy(case, strategy, replace(timeline, initial=_recoded(standing, others.history, workload, case)))
        for strategy, standing in zip(half.strategies, half.entries, strict=True)
    ]
    waits = timeline.lock - others.locking.began_in(timeline)
    return Shown(tally(case, outcomes, timeline.ok), (waits + acquire[drawn_rows(timeline, traffic)])[timeline.ok])


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


def _rates(half: Half, runs: Sequence[Shown]) -> list[Condition]:
    """Every figure that is a share. Its interval is that of a count whose mean and variance are the replicates': negative
    binomial, or Poisson where the counts vary no more than that.
    """
    conditions = []
    for (rule, figure), (count, n) in half.observed.counts.items():
        hits, trials = np.array([run.counts[rule, figure] for run in runs], dtype=np.float64).T
        if not n or (not hits.any() and not count and figure != "clobber_rate"):
            continue  # nothing to predict: no such write, in the recording or in the model
        rate = float(hits.sum() / trials.sum())
        low, high = _count_interval(rate * n, float((hits / trials).var(ddof=1)) * n**2, hits.size)
        variance = _ratio_variance(np.array([group[rule, figure] for group in half.groups], dtype=np.float64))
        same, of = half.driven.counts[rule, figure]
        conditions.append(
            Condition(
                half.name, rule, figure, count / n, rate, low / n, high / n, low <= count <= high, n, variance,
                driven=same / of if of else None,
            )
        )  # fmt: skip
    return conditions


def _count_interval(mean: float, variance: float, replicates: int) -> tuple[float, float]:
    """Where a count of that mean and variance falls with probability LEVEL; the mean is known from so many replicates."""
    mean = max(mean, 0.5 / replicates)
    variance = max(variance, mean) * (1 + 1 / replicates)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    distribution = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    low, high = distribution.ppf(tails)
    return float(low), float(high)


def _ratio_variance(groups: Floats) -> float:
    """Sampling variance of sum(hits) / sum(trials) from (groups, 2), groups being independent (the ratio estimator's)."""
    hits, trials = groups.T
    if not trials.sum():
        return 0.0
    residuals = hits - trials * hits.sum() / trials.sum()
    return float(residuals.var(ddof=1) * hits.size / trials.sum() ** 2)


def _wait_figures(half: Half, runs: Sequence[Shown]) -> list[Condition]:
    """Quantiles of the lock wait in seconds. Their interval reaches from the least to the greatest of the replicates: a wait
    behind a polled lock file has a gap in its distribution, and no quantile near it is anything like normal.
    """
    conditions, waits = [], half.observed.waits
    for name, share in QUANTILES.items():
        seen = float(np.quantile(waits, share))
        expected = np.array([np.quantile(run.waits, share) for run in runs])
        low, high, middle = float(expected.min()), float(expected.max()), float(np.median(expected))
        conditions.append(
            Condition(
                half.name, half.rule, f"lock_wait.{name}", seen, middle, low, high, low <= seen <= high, waits.size, 0.0,
                driven=float(np.quantile(half.driven.waits, share)),
            )
        )  # fmt: skip
    return conditions
