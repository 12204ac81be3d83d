"""What queueing theory says of other locks than the usual one: a lock for each entry, and a lock over the whole work.

Where flows arrive as a Poisson process and each takes the lock once, every lock is an M/G/1 queue. Its service S is what is
done while it is held: the hold of a merge, all parts of a transaction, or all that a flow does from there to its end; in each
case with the release after a commit. With arrivals at rate lambda, its utilisation is lambda E[S], rate x work, and the mean
wait by Pollaczek and Khinchine is lambda E[S^2] / (2 (1 - lambda E[S])).

One lock for the store file is one queue. A lock for each entry makes as many queues as there are sessions, each with its
session's share of the arrivals; what arrives meets each of them in proportion to that share.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simlib.case.discipline import Discipline, Lock
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.model.queueing_theory import Queue, sums_of_parts, unlike_theory
from simlib.workload.distributions import Constant, Distribution
from simlib.workload.traffic import session_shares
from simlib.workload.workload import Flow, Workload

ASSUMPTIONS = (
    "Arrivals are Poisson.",
    "One gateway, whose locks are FIFO queues; nobody is refused at once.",
    "All locks are of one scope, and each flow takes one once, so that what comes to it is Poisson too.",
    "No guard rejects anything, so that each flow is served once.",
    "All parts are independent of everything else.",
    "The queues are stationary: utilisation is below 1, and a run is long against a busy period.",
)
"""What `locked` needs of a workload and a discipline."""
_WIDEST_FIRST = ("flow", "transaction", "merge")


@dataclass(frozen=True)
class LockTheory:
    """What theory says of the locks of a discipline.

    Attributes:
        utilisation: share of the time that the busiest of them is held.
        mean_wait: mean wait of whoever asks for one, seconds.
    """

    utilisation: float
    mean_wait: float


def violations(workload: Workload, discipline: Discipline) -> list[str]:
    """Which of the ASSUMPTIONS are broken, one sentence each; none: the theory is exact."""
    broken = list(_broken(workload, discipline))
    if not broken and (load := _busiest(workload, discipline)) >= 1:
        broken.append(f"a lock is wanted {load:.2f} of the time; theory needs less than 1.")
    return broken


def _broken(workload: Workload, discipline: Discipline) -> Iterator[str]:
    yield from unlike_theory(workload, chains=True)
    if workload.store.gateways > 1:
        yield f"{workload.store.gateways} gateways poll a lock file; theory needs FIFO queues."
    if len({lock.scope for lock in discipline.locks}) > 1:
        yield "there are locks of the store and of entries; theory needs one scope."
    if any(lock.timeout == 0 for lock in discipline.locks):
        yield "who finds a lock taken is refused; theory needs one who waits."
    if any(discipline.guards):
        yield "a guard may reject what it serves; theory needs none."
    taken = [list(_taken(flow, discipline)) for flow in workload.traffic.values()]
    for name, places in zip(workload.traffic, taken, strict=True):
        if len(places) > 1 and places[0][1].span != "flow":
            yield f"{name} takes the lock {len(places)} times; theory needs once."
    if not any(taken):
        yield "nobody takes a lock."


def _taken(flow: Flow, discipline: Discipline) -> Iterator[tuple[int, Lock]]:
    """The steps that are named by a lock, each with the widest that names it."""
    locks = sorted(discipline.locks, key=lambda lock: _WIDEST_FIRST.index(lock.span))
    for step, site in enumerate(flow.steps):
        for lock in (lock for lock in locks if site in lock.sites):
            yield step, lock
            break


def _served(workload: Workload, flow: Flow, step: int, lock: Lock, discipline: Discipline) -> list[Distribution]:
    """The parts of what a flow does with the lock that it takes at that step."""
    sites, release = list(flow.steps), Constant(value=workload.store.release)
    if lock.span == "merge":
        times = workload.times[sites[step]]
        return [times.hold, release, *[times.compute] * (sites[step] in discipline.in_lock)]
    parts: list[Distribution] = []
    for number, site in enumerate(sites[step:] if lock.span == "flow" else sites[step : step + 1]):
        times = workload.times[site]
        parts += [times.prepare, times.compute, times.hold, release, *[times.after] * (number > 0)]
    return parts


def make_queue(workload: Workload, discipline: Discipline) -> Queue:
    """All that is asked of the locks as one queue; its holds are what is served.

    Of locks of entries, each is the same queue with its session's share of the rate.
    """
    asked = [
        (flow.rate, sums_of_parts(_served(workload, flow, *places[0], discipline)))
        for flow in workload.traffic.values()
        if (places := list(_taken(flow, discipline)))
    ]
    rates = np.array([rate for rate, _ in asked])
    served = np.concatenate([parts for _, parts in asked])
    return Queue(
        float(rates.sum()), served, np.repeat(rates / rates.sum(), served.size // rates.size) * rates.size / served.size
    )


def _shares(workload: Workload, discipline: Discipline) -> Floats:
    """(locks,) of all that is asked for a lock, what goes to each."""
    return session_shares(workload) if discipline.locks[0].scope == "entry" else np.ones(1)


def _busiest(workload: Workload, discipline: Discipline) -> float:
    return make_queue(workload, discipline).utilisation * float(_shares(workload, discipline).max())


def locked(workload: Workload, discipline: Discipline) -> LockTheory:
    """Utilisation and mean wait of a discipline's locks; arguments as of `violations`.

    Raises:
        InputError: an assumption is broken.
    """
    if broken := violations(workload, discipline):
        raise InputError(f"workload {workload.workload}: theory does not apply: {' '.join(broken)}")
    whole, shares = make_queue(workload, discipline), _shares(workload, discipline)
    each = np.array([Queue(whole.rate * share, whole.holds, whole.weight).mean_wait() for share in shares])
    return LockTheory(whole.utilisation * float(shares.max()), float(shares @ each))
