"""What queueing theory says of stale snapshots, for the workloads that meet its assumptions.

One gateway with Poisson arrivals and its FIFO lock is an M/G/1 queue. A transaction reads, prepares for D, waits, and holds the
lock for B; its snapshot is stale when another commit of its session falls between its read and its lock. Those commits
are the ones of the transactions that it finds in the system when it reads, and of those that join while it prepares. The
first are, by the distributional form of Little's law (Keilson and Servi 1988), as many as arrive during the time T = wait + B
that a transaction spends in the system. So with W = D + T, and the session's own rate of commits lambda,

    P(stale) = 1 - E[exp(-lambda W)] = 1 - D*(lambda) T*(lambda),

exactly, with the Pollaczek-Khinchine transform T*(s) = (1 - rho) s B*(s) / (s - Lambda + Lambda S*(s)), Lambda being the
rate of all sessions, S = B + release what the lock is occupied for, and rho = Lambda E[S]: commits keep the order of
arrival, so that the law holds for the time until the commit as well as for the one until the release. It bounds the share
of transactions that clobber by a race from above: not every stale snapshot clobbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simlib.case.case import Case
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.workload.distributions import Constant, Distribution
from simlib.workload.streams import Streams
from simlib.workload.traffic import session_shares
from simlib.workload.workload import Poisson, Workload

ASSUMPTIONS = (
    "Arrivals are Poisson.",
    "One gateway, whose lock is a FIFO queue.",
    "Each flow is one transaction, so that what joins the queue is Poisson too.",
    "The transaction reads its own snapshot, from a cache that shows every commit.",
    "Preparation and hold are independent of everything else, and nothing is computed in the lock.",
    "The queue is stationary: utilisation is below 1, and a run is long against a busy period.",
)
"""What `stale_snapshots` needs of a workload."""

_LATTICE, _MULTIPLIER = 2**16, 3021
_GRID = (np.arange(100_000) + 0.5) / 100_000


@dataclass(frozen=True)
class Queue:
    """The lock as an M/G/1 queue: arrivals a second, and the holds as equally likely values in seconds.

    Attributes:
        rate: of all transactions, a second.
        holds: (m,) a fine grid of the hold's quantiles.
        weight: (m,) their probabilities.
        release: seconds from the commit until the lock is free.
    """

    rate: float
    holds: Floats
    weight: Floats
    release: float = 0.0

    @property
    def utilisation(self) -> float:
        """Share of the time that the lock is held."""
        return float(self.rate * (self.weight @ self.holds + self.release))

    def mean_wait(self) -> float:
        """Mean wait for the lock in seconds, by Pollaczek and Khinchine."""
        return float(self.rate * (self.weight @ (self.holds + self.release) ** 2) / (2 * (1 - self.utilisation)))

    def transform(self, s: float) -> float:
        """E[exp(-s T)] of the time T until the commit."""
        hold = float(self.weight @ np.exp(-s * self.holds))
        occupied = hold * float(np.exp(-s * self.release))
        return (1 - self.utilisation) * s * hold / (s - self.rate + self.rate * occupied) if s else 1.0

    def waits(self, size: int, seed: int = 0) -> Floats:
        """(size,) successive waits in seconds by the Lindley recursion, for what has no closed form (quantiles)."""
        streams = Streams(seed, 0)
        gaps = -np.log1p(-streams.uniform("theory.gaps", size)) / self.rate
        cumulative = np.cumsum(self.weight)
        holds = self.holds[np.minimum(np.searchsorted(cumulative, streams.uniform("theory.holds", size)), self.holds.size - 1)]
        return lindley(gaps, holds + self.release)


def lindley(gaps: Floats, holds: Floats) -> Floats:
    """(n,) waits of customers that come `gaps` (n,) apart: the n-th waits max(0, wait + hold - gap) of the one before."""
    walk = np.concatenate([[0.0], np.cumsum(holds[:-1] - gaps[1:])])
    return np.asarray(walk - np.minimum.accumulate(walk), dtype=np.float64)


@dataclass(frozen=True)
class Theory:
    """What theory says of one write site's snapshots.

    Attributes:
        stale: share of its transactions whose snapshot another commit overtakes.
        mean_wait: mean wait for the lock, seconds.
        utilisation: share of the time that the lock is held.
    """

    stale: float
    mean_wait: float
    utilisation: float


def violations(workload: Workload, case: Case, site: str | None = None) -> list[str]:
    """Which of the ASSUMPTIONS the workload breaks, one sentence each; none: the theory is exact.

    Args:
        workload: what is to be judged.
        case: its case.
        site: whose snapshots are asked about; None: the first one with a snapshot of its own.
    """
    site, broken = site or _first_own(case), list(unlike_theory(workload))
    if workload.store.gateways > 1:
        broken.append(f"{workload.store.gateways} gateways poll one lock file; theory needs one FIFO queue.")
    if site not in case.sites or case.snapshots[case.sites.index(site)] != "own":
        broken.append(f"{site} has no snapshot of its own.")
    elif not any(site in flow.steps for flow in workload.traffic.values()):
        broken.append(f"no flow has the write site {site}.")
    elif make_queue(workload).utilisation >= 1:
        broken.append(f"the lock is wanted {make_queue(workload).utilisation:.2f} of the time; theory needs less than 1.")
    return broken


def unlike_theory(workload: Workload, chains: bool = False) -> Iterator[str]:
    """What no theory here covers of the traffic, one sentence each; `chains`: whether a flow may be several transactions."""
    for name, flow in workload.traffic.items():
        if not isinstance(flow.arrivals, Poisson):
            yield f"{name} has {flow.arrivals.kind} arrivals; theory needs Poisson ones."
        if flow.sessions == "all":
            yield f"{name} arrives for all sessions at once; theory needs one after the other."
        if len(flow.steps) > 1 and not chains:
            yield f"{name} is a chain of {len(flow.steps)} transactions; theory needs single ones."


def sums_of_parts(parts: Sequence[Distribution]) -> Floats:
    """(2^16,) equally likely values of a sum of independent parts, in seconds.

    Their quantiles at the points of a lattice (Korobov 1959), which in each coordinate are evenly spread.

    >>> from simlib.workload.distributions import Constant
    >>> float(sums_of_parts([Constant(value=0.5), Constant(value=0.25)]).mean())
    0.75
    """
    total, points = np.zeros(_LATTICE), np.arange(_LATTICE)
    for part in parts:
        if isinstance(part, Constant):
            total += part.value
        else:
            total += part.quantile((points + 0.5) / _LATTICE)
            points = points * _MULTIPLIER % _LATTICE
    return total


def make_queue(workload: Workload) -> Queue:
    """The lock of a workload as a queue."""
    rates = [(flow.rate, workload.times[site].hold) for flow in workload.traffic.values() for site in flow.steps]
    total = sum(rate for rate, _ in rates)
    holds = np.concatenate([hold.quantile(_GRID) for _, hold in rates])
    weight = np.repeat([rate / total / _GRID.size for rate, _ in rates], _GRID.size)
    return Queue(total, holds, weight, workload.store.release)


def _first_own(case: Case) -> str:
    return next((site for site, own in zip(case.sites, case.reads_own, strict=True) if own), case.sites[0])


def stale_snapshots(workload: Workload, case: Case, site: str | None = None) -> Theory:
    """P(at least one commit of the session between read and lock), averaged over the sessions; arguments as of `violations`.

    Raises:
        InputError: the workload breaks an assumption.
    """
    if broken := violations(workload, case, site):
        raise InputError(f"workload {workload.workload}: theory does not apply: {' '.join(broken)}")
    site, queue = site or _first_own(case), make_queue(workload)
    prepares: list[Distribution] = [workload.times[site].prepare, workload.times[site].compute]
    shares = session_shares(workload)
    fresh = [
        queue.transform(share * queue.rate)
        * np.prod([np.exp(-share * queue.rate * prepare.quantile(_GRID)).mean() for prepare in prepares])
        for share in shares
    ]
    return Theory(float(1 - shares @ np.array(fresh)), queue.mean_wait(), queue.utilisation)
