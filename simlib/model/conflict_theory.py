"""What probability theory says of a guard with attempts: how many it rejects, and how many transactions fail.

An attempt reads, works for W until the comparison, and is rejected if another commit of its entry falls in between. Where
those come as a Poisson process of rate lambda, an attempt is rejected with probability

    p = 1 - E[exp(-lambda W)],

and attempts are independent, as their windows do not overlap: all n fail with p^n, and (1 - p^n) / (1 - p) are made.

Where the guarded transactions are the traffic themselves, lambda depends on p, and commits are no Poisson process: one of them
dooms all attempts under way, so that the next of theirs is the first to end of those that begin after it. If attempts begin as
a Poisson process of rate a, of windows with distribution function F, and other commits come at rate b, then the times between
commits are independent, each longer than t with probability

    G(t) = exp(-b t - a integral of F from 0 to t),

a mean of I = integral of G (the first departure of an M/G/infinity queue that starts empty, against the other commits). An
attempt of window w sees no commit with the probability that such a process leaves a gap of w after a moment chosen at random,

    1 - p(w) = integral of G from w on / I,

exactly if there is one attempt; for a constant window and b = 0 that is 1 / (1 + a w). With retries, lambda0 transactions a
second make a = lambda0 (1 - p^n) / (1 - p) attempts, and lambda0 (1 - p^n) commit: a fixed point, found as the only root. Then
attempts are taken for Poisson, which those that follow at once on a rejection are not. The usual p = 1 - E[exp(-lambda W)] with
lambda = lambda0 (1 - p^n) is too low, the more so the more often they meet: 0.35 for a p of 0.40 (three attempts, a W = 0.8).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from simlib.case.case import Case
from simlib.case.discipline import Discipline, Guard
from simlib.case.snapshots import DIRECT, OWN, kinds
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.model.queueing_theory import sums_of_parts, unlike_theory
from simlib.workload.traffic import session_shares
from simlib.workload.workload import Times, Workload

ASSUMPTIONS = (
    "Arrivals are Poisson, and each flow is one transaction.",
    "One site is guarded by a version, and reads what the store holds.",
    "Nobody takes a lock, or a lock is never waited for; so nothing but the parts of an attempt makes up its window.",
    "All parts are independent, and runs are long against a transaction with all its attempts.",
    "Others commit much more often than the guarded site, or it makes one attempt; else the fixed point is an approximation.",
)
"""What `guarded` needs of a workload and a discipline; the last one is not checked."""


@dataclass(frozen=True)
class GuardTheory:
    """What theory says of a guarded site.

    Attributes:
        conflict: share of its attempts that are rejected.
        failed: share of its transactions whose attempts are used up.
        retries: attempts after the first, for each transaction.
        missed: share of what is let through that another commit overtakes all the same, between comparison and write.
    """

    conflict: float
    failed: float
    retries: float
    missed: float


@dataclass(frozen=True)
class Windows:
    """The windows of a guarded site, from snapshot to comparison, as equally likely values.

    Attributes:
        first, again: (m,) of attempt 1, and of each later one, in seconds; ascending.
        attempts: how many a transaction may make.
    """

    first: Floats
    again: Floats
    attempts: int

    def made(self, rejected: tuple[float, float]) -> tuple[float, float]:
        """Mean number of first (1) and later attempts of a transaction, if these shares of them are rejected."""
        first, again = rejected
        later = self.attempts - 1 if again == 1 else (1 - again ** (self.attempts - 1)) / (1 - again)
        return 1.0, first * later

    def used_up(self, rejected: tuple[float, float]) -> float:
        """Share of transactions whose attempts are all rejected."""
        return rejected[0] * rejected[1] ** (self.attempts - 1)


def conflict(rate: float, windows: Floats) -> float:
    """P(an attempt is rejected) = 1 - E[exp(-rate W)], of other commits that are Poisson.

    Args:
        rate: other commits of the entry, a second.
        windows: (m,) equally likely windows, seconds.

    >>> round(conflict(2.0, np.array([0.0, 0.5])), 3)  # (0 + 1 - exp(-1)) / 2
    0.316
    """
    return float(1 - np.exp(-rate * windows).mean())


def rejections(own: float, other: float, windows: Windows) -> tuple[float, float]:
    """Shares of first and of later attempts that are rejected.

    Args:
        own: guarded transactions of the entry, a second.
        other: its other commits, a second.
        windows: of the guarded site.

    >>> one = Windows(np.array([0.5]), np.array([0.5]), 1)
    >>> round(rejections(2.0, 0.0, one)[0], 3)  # constant window: a w / (1 + a w)
    0.5
    """
    if not own:
        return conflict(other, windows.first), conflict(other, windows.again)

    def follows(later: float) -> tuple[float, float]:
        return _given(own, own * later, other, windows)

    def excess(later: float) -> float:
        return windows.made(follows(later))[1] - later

    later = float(optimize.brentq(excess, 0.0, windows.attempts)) if windows.attempts > 1 else 0.0
    return follows(later)


def _given(first: float, again: float, other: float, windows: Windows) -> tuple[float, float]:
    """Shares rejected if first and later attempts begin at these rates.

    Between the possible windows F is constant, so that each piece of the integral of G is that of an exponential.
    """
    size = windows.first.size
    ends = np.concatenate([windows.first, windows.again])
    order = np.argsort(ends, kind="stable")
    is_first = order < size
    begun = np.stack([np.cumsum(is_first), np.cumsum(~is_first)]) / size  # F of both kinds, after each end
    slope = other + np.concatenate([[0.0], first * begun[0] + again * begun[1]])
    lengths = np.diff(ends[order], prepend=0.0)
    left = np.exp(-np.concatenate([[0.0], np.cumsum(slope[:-1] * lengths)]))
    pieces = left * _integral(slope, np.append(lengths, np.inf))
    accepted = begun @ pieces[1:] / pieces.sum()
    return float(1 - accepted[0]), float(1 - accepted[1])


def _integral(slope: Floats, lengths: Floats) -> Floats:
    """Of exp(-slope t) over the length, which may be inf where the slope is not 0."""
    steep = slope > 0
    return np.asarray(np.where(steep, -np.expm1(-slope * lengths) / np.where(steep, slope, 1.0), lengths), dtype=np.float64)


def violations(workload: Workload, case: Case, discipline: Discipline, site: str) -> list[str]:
    """Which of the ASSUMPTIONS are broken, one sentence each.

    Args:
        workload: the traffic.
        case: its case.
        discipline: locks and guards; theory needs no locks.
        site: the guarded one.
    """
    return list(_broken(workload, case, discipline, site))


def _broken(workload: Workload, case: Case, discipline: Discipline, site: str) -> Iterator[str]:
    yield from unlike_theory(workload)
    if not any(site in flow.steps for flow in workload.traffic.values()):
        yield f"no flow has the write site {site}."
    guards = dict(zip(case.sites, discipline.guards, strict=True))
    others = [name for name, guard in guards.items() if guard and name != site and name in workload.times]
    guard = guards.get(site)
    if guard is None:
        yield f"{site} is not guarded."
    elif guard.compared != "version":
        yield f"{site} compares {guard.compared}; theory needs a version."
    elif guard.used_up == "write":
        yield f"{site} writes although it is rejected; theory needs a guard that keeps it from that."
    if others:
        yield f"{others[0]} is guarded as well; theory needs one guarded site."
    if discipline.locks:
        yield "there is a lock to wait for; theory needs none."
    if discipline.stores == "store":
        yield "each commit writes the whole store; theory needs entries that stand for themselves."
    if site in case.sites:
        kind = kinds(discipline.snapshots)[case.sites.index(site)]
        if kind != DIRECT and (kind != OWN or workload.store.gateways > 1):
            yield f"{site} may read something older than the store; theory needs a direct snapshot."


def guarded(workload: Workload, case: Case, discipline: Discipline, site: str) -> GuardTheory:
    """What becomes of the attempts at one site, averaged over the sessions; arguments as of `violations`.

    Raises:
        InputError: an assumption is broken.
    """
    if broken := violations(workload, case, discipline, site):
        raise InputError(f"workload {workload.workload}: theory does not apply: {' '.join(broken)}")
    guard = discipline.guards[case.sites.index(site)]
    assert guard is not None
    windows, gap = _windows(workload.times[site], guard)
    own, other = (
        sum(flow.rate for flow in workload.traffic.values() if (site in flow.steps) == ours) for ours in (True, False)
    )
    shares = session_shares(workload) if guard.scope == "entry" else np.ones(1)
    totals = np.zeros(4)
    for share, sessions in zip(*np.unique(shares, return_counts=True), strict=True):
        rejected = rejections(share * own, share * other, windows)
        made, failed = windows.made(rejected), windows.used_up(rejected)
        commits = share * (other + own * (1 - failed))
        row = np.dot(made, rejected), failed, made[1], (1 - failed) * conflict(commits, gap)
        totals += share * sessions * np.array(row)
    conflicts, failed, retries, missed = totals.tolist()
    return GuardTheory(conflicts / (1 + retries), failed, retries, missed / (1 - failed) if failed < 1 else 0.0)


def _windows(times: Times, guard: Guard) -> tuple[Windows, Floats]:
    """The windows, and the gaps after them; (m,) each."""
    last = [times.check, times.hold]
    first = sums_of_parts([times.prepare, times.compute, *last])
    again = first if guard.again == "all" else sums_of_parts([times.compute, *last])
    gap = np.zeros(1) if guard.atomic else sums_of_parts([times.gap])
    return Windows(np.sort(first), np.sort(again), guard.attempts), gap
