"""What each assumption of the model does to its answer, and what else could have answered: a workload alone, and theory.

Everything here is about one half of a history, predicted from the other one, with the same replicates throughout.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simlib.calibrate.evidence import calibrate_evidence
from simlib.common.arrays import Floats
from simlib.model.history import History
from simlib.model.queueing_theory import stale_snapshots, violations
from simlib.validate.predict import Half, Shown, replicate_of, simulated
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Poisson, Workload

CLOSE = 0.002
"""Seconds; gaps between requests below this are counted: a blocked event loop lets requests start together."""


@dataclass(frozen=True)
class Answer:
    """What some way of predicting says of one half, or what was observed there.

    Attributes:
        clobber_rate, stale: shares of units of work and of snapshots; NaN where there is none.
        waits: quantiles 0.5 and 0.99 of the wait for the lock in seconds; empty if it says nothing of them.
    """

    clobber_rate: float
    stale: float
    waits: tuple[float, ...] = ()


def answer(rule: str, runs: Sequence[Shown]) -> Answer:
    """What runs say together of the strategy that was at work: of the model, or the one that was observed."""

    def share(name: str, figure: str) -> float:
        hits, trials = np.array([run.counts[name, figure] for run in runs]).sum(axis=0)
        return float(hits / trials) if trials else float("nan")

    waits = np.median([np.quantile(run.waits, [0.5, 0.99]) for run in runs], axis=0)
    return Answer(share(rule, "clobber_rate"), share("", "stale_snapshots"), tuple(waits.tolist()))


def workload_alone(half: Half, replicates: int, seed: int, first: int = 0) -> Answer:
    """What the model says with the workload that is calibrated from the other half, in which all times are independent."""
    workload = _calibrated(half)
    runs = []
    for number in range(first, first + replicates):
        traffic = draw(workload, half.case, seed, number)
        acquire = np.random.default_rng([seed, number]).choice(half.others.locking.acquire, traffic.site.size)
        runs.append(simulated(half, workload, traffic, acquire))
    return answer(half.rule, runs)


def theoretical(half: Half) -> Answer | None:
    """What queueing theory says of the same workload with Poisson arrivals; None where it does not apply (several gateways)."""
    workload = _calibrated(half)
    flows = {name: flow.model_copy(update={"arrivals": Poisson(kind="poisson")}) for name, flow in workload.traffic.items()}
    workload = workload.model_copy(update={"traffic": flows})
    if violations(workload, half.case):
        return None
    return Answer(float("nan"), stale_snapshots(workload, half.case).stale)


def _calibrated(half: Half) -> Workload:
    return calibrate_evidence(half.others.evidence, half.case).workload.model_copy(update={"duration": half.duration})


# ---- one assumption at a time ------------------------------------------------------------------------------------------------


def _free_at_commit(workload: Workload, traffic: Traffic) -> tuple[Workload, Traffic]:
    return _released(workload, 0.0), traffic


def _seen_at_release(workload: Workload, traffic: Traffic) -> tuple[Workload, Traffic]:
    return _released(workload, 0.0), replace(traffic, hold=traffic.hold + workload.store.release)


def _released(workload: Workload, seconds: float) -> Workload:
    return workload.model_copy(update={"store": workload.store.model_copy(update={"release": seconds})})


def _mixed_times(workload: Workload, traffic: Traffic) -> tuple[Workload, Traffic]:
    rng = np.random.default_rng(traffic.site.size)
    prepare, hold = traffic.prepare.copy(), traffic.hold.copy()
    for site in np.unique(traffic.site):
        rows = np.flatnonzero(traffic.site == site)
        prepare[rows], hold[rows] = prepare[rng.permutation(rows)], hold[rng.permutation(rows)]
    return workload, replace(traffic, prepare=prepare, hold=hold)


def _poisson(workload: Workload, traffic: Traffic) -> tuple[Workload, Traffic]:
    rng = np.random.default_rng(traffic.site.size)
    arrive = np.sort(rng.uniform(0, workload.duration, traffic.arrive.size))
    return _mixed_times(workload, replace(traffic, arrive=arrive))


def _equal_sessions(workload: Workload, traffic: Traffic) -> tuple[Workload, Traffic]:
    rng = np.random.default_rng(traffic.site.size)
    return workload, replace(traffic, session=rng.integers(workload.sessions.count, size=traffic.session.size))


CHANGES: Mapping[str, Callable[[Workload, Traffic], tuple[Workload, Traffic]] | None] = {
    "as predicted": None,
    "the lock is free as soon as a commit is seen": _free_at_commit,
    "a commit is seen only when the lock is free": _seen_at_release,
    "times that know nothing of each other": _mixed_times,
    "likewise, and Poisson arrivals": _poisson,
    "all sessions equally popular": _equal_sessions,
}
"""What is assumed instead -> the change to the workload and the draws of each replicate that makes it so."""


def variants(half: Half, replicates: int, seed: int, first: int = 0) -> dict[str, Answer]:
    """The prediction of a half under each of CHANGES."""
    return {
        name: answer(half.rule, [replicate_of(half, seed, first + number, change) for number in range(replicates)])
        for name, change in CHANGES.items()
    }


# ---- what is not in the model ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unmodelled:
    """What a history shows that a workload does not have.

    Attributes:
        together: gaps between requests below CLOSE, as a multiple of what Poisson arrivals of that rate have.
        following: correlation of each hold with the one before, 0 if times were independent.
        drift: median hold of the second half over that of the first.
        release: seconds for which a lock is held after its commit is seen, the mean of what the halves tell.
    """

    together: float
    following: float
    drift: float
    release: float


def unmodelled(history: History, halves: Sequence[Half]) -> Unmodelled:
    """How far a history, cut into `halves`, is from what a workload assumes."""
    arrive = np.sort(np.concatenate([half.others.arrive + number * 1e6 for number, half in enumerate(halves)]))
    gaps = np.diff(arrive)
    gaps = gaps[gaps < 1e5]
    hold = (history.end - history.lock)[history.ok]
    middle = len(hold) // 2
    return Unmodelled(
        together=float((gaps < CLOSE).mean() / -np.expm1(-CLOSE / gaps.mean())),
        following=_correlation(hold),
        drift=float(np.median(hold[middle:]) / np.median(hold[:middle])),
        release=float(np.mean([half.others.locking.release for half in halves])),
    )


def _correlation(values: Floats) -> float:
    return float(np.corrcoef(values[:-1], values[1:])[0, 1])
