"""The states of a small scope, and the moves from one to the next; `prove` says what counts as a state, and why.

`breadth_first` goes through them. What is compiled here is plain Python when `NUMBA_DISABLE_JIT=1`.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from simlib.case import snapshots
from simlib.case.case import Case, Scope
from simlib.case.discipline import Discipline
from simlib.common.arrays import Ints
from simlib.common.compilation import compiled
from simlib.common.errors import InputError
from simlib.replay.judging import NONE
from simlib.search.dependencies import END, SKIPPED, Commits, Cone
from simlib.search.reliance import rely

CACHED, NEWEST = -1, -2
"""In place of a slot. CACHED: the snapshot is read through the cache when the lock is granted. NEWEST: it is the fresh one."""

THROUGH_CACHE, PAST_CACHE = 1, 2
"""How a step reads; 0: it is a commit."""

LOCKS = ("store", "entry")
"""Scopes of locks; in a search there is one entry, and so one lock of each."""

FLOW, SITE, READS, AGE, REQUEST, FINDING, COST = range(7)
"""Columns of a move: number of the flow and of the site, 1 for a read and 0 for a commit, how many commits old the snapshot is;
and of a commit the number of its request, how it is judged, and what the request costs."""


class System(NamedTuple):
    """A scope with one cone and one strategy, as tables.

    A state is a row of digits: for each flow how many steps it has made; for each flow how many commits old an entry it
    may still be shown; the newest entry and the `stale_reads` before it; and the slots that hold snapshots.
    """

    stale_reads: int
    length: Ints
    """(flows,): steps."""
    site: Ints
    """(flows, steps)."""
    reads: Ints
    """(flows, steps): THROUGH_CACHE or PAST_CACHE where the step is a read, else 0."""
    slot: Ints
    """(flows, steps): the slot that a read fills or a commit uses, CACHED or NEWEST."""
    frees: Ints
    """(flows, steps): whether this is the last step that uses the slot."""
    asks_cache: Ints
    """(flows, steps + 1): whether this step or a later one of the flow reads through the cache."""
    commits: Commits
    images: Ints
    """(renamings, entries)."""
    alike: Ints
    """(slots, entries): for each snapshot the least of those that no later commit tells apart from it."""
    radix: Ints
    """(digits,)."""
    needs: Ints
    """(flows, steps + 1, LOCKS): whether the step waits until no other flow holds the lock."""
    holds: Ints
    """(flows, steps + 1, LOCKS): whether the flow holds the lock once it has made so many steps."""


def make_system(
    case: Case, scope: Scope, stale_reads: int, cone: Cone, commits: Commits, discipline: Discipline | None = None
) -> System:
    """The tables of one search.

    Args:
        case: the case of the scope.
        scope: the flows.
        stale_reads: how many commits old an entry from the cache may be.
        cone: the field, and what decides about it.
        commits: what each commit can do to the cone, from `tabulate`.
        discipline: the strategy's; None: a lock around each merge, and nothing else.

    Raises:
        InputError: a step inherits the snapshot of a site that reads nothing before the lock, or there are too many states.
    """
    discipline = discipline or case.plain()
    flows, users = lay_out(case, scope, discipline)
    length = [len(steps) for steps in flows]
    shape = (len(flows), max(length))
    site, reads, slot, frees = np.zeros((4, *shape), dtype=np.int64)
    asks_cache = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    for number, steps in enumerate(flows):
        for position, step in enumerate(steps):
            site[number, position], reads[number, position], slot[number, position] = step
            frees[number, position] = step[2] >= 0 and step[2] not in [later[2] for later in steps[position + 1 :]]
            asks_cache[number, position] = any(later[1] == THROUGH_CACHE or later[2] == CACHED for later in steps[position:])
    alike = np.array([_alike(commits, sites) for sites in users], dtype=np.int64)
    digits = [steps + 1 for steps in length] + [stale_reads + 1] * len(flows) + [cone.entries] * (1 + stale_reads + len(users))
    if math.prod(digits) >= 2**63:
        raise InputError(
            f"scope {scope.name} with {stale_reads} stale reads has up to 2^{math.log2(math.prod(digits)):.0f} states; "
            "allowed: under 2^63. Ask for fewer stale reads, or for a scope of fewer flows"
        )
    return System(
        stale_reads, np.array(length), site, reads, slot, frees, asks_cache, commits,
        cone.images, alike.reshape(len(users), cone.entries), np.array(digits), *_locks(case, discipline, flows, max(length)),
    )  # fmt: skip


Steps = list[tuple[int, int, int]]
"""Of a flow: for each step the site, how it reads, and the slot."""


def lay_out(case: Case, scope: Scope, discipline: Discipline) -> tuple[list[Steps], list[list[int]]]:
    """The steps of every flow, and for every slot the sites that commit with it.

    A replica that lags and a process's memory are read as a cache is: they show an older entry. Where a guard or a lock sees to
    it that the snapshot is up to date, its read may as well be right before the commit, and is no step of its own.
    """
    up_to_date = {site for site in case.sites if rely(case, discipline, site).same.issuperset(case.fields)}
    flows: list[Steps] = []
    users: list[list[int]] = []
    kinds = snapshots.kinds(discipline.snapshots)
    for name, sites in scope.flows:
        steps: Steps = []
        slots: dict[str, int] = {}
        for site in sites:
            number = case.sites.index(site)
            kind, snapshot = kinds[number], discipline.snapshots[number]
            if site in up_to_date and not any(discipline.snapshots[case.sites.index(other)] == site for other in sites):
                slots[site] = NEWEST
            elif kind in snapshots.READ_BEFORE:
                slots[site] = len(users)
                users.append([number])
                steps.append((number, PAST_CACHE if kind == snapshots.DIRECT else THROUGH_CACHE, slots[site]))
            elif kind != snapshots.INHERITED:
                slots[site] = CACHED if kind == snapshots.IN_LOCK else NEWEST
            elif slots[snapshot] >= 0:
                slots[site] = slots[snapshot]
                users[slots[site]].append(number)
            else:
                raise InputError(
                    f"scope {scope.name}: {site} of {name} inherits from {snapshot}, which reads nothing before the lock"
                )
            steps.append((number, 0, slots[site]))
        flows.append(steps)
    return flows, users


def _locks(case: Case, discipline: Discipline, flows: list[Steps], most: int) -> tuple[Ints, Ints]:
    """`System.needs` and `System.holds`. Who may go on without a lock is taken to do so."""
    needs, holds = np.zeros((2, len(flows), most + 1, len(LOCKS)), dtype=np.int64)
    for number, steps in enumerate(flows):
        for position, (site, reads, _) in enumerate(steps):
            for lock in discipline.locks:
                if lock.late == "go_on" or case.sites[site] not in lock.sites or (reads and lock.span == "merge"):
                    continue
                needs[number, position, LOCKS.index(lock.scope)] = 1
                until = {"merge": position, "transaction": position + bool(reads), "flow": len(steps) - 1}[lock.span]
                holds[number, position + 1 : until + 1, LOCKS.index(lock.scope)] = 1
    return needs, holds


def _alike(commits: Commits, sites: list[int]) -> Ints:
    """For each snapshot the first one under which the commits of these sites have the same effects, findings and prices."""
    skips = commits.request[sites] == SKIPPED
    effects = np.stack([commits.entry[sites], commits.finding[sites], commits.cost[sites], skips])
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(effects[:, :, stale].tobytes(), stale) for stale in range(effects.shape[2])], dtype=np.int64
    )


# ---- moves -----------------------------------------------------------------------------------------------------------------


@compiled
def room_for_moves(system: System) -> tuple[Any, Any]:
    """What `moves` fills in, with a row for each move that a state can have: the states after, and (rows, 7) the moves."""
    most = system.length.size * (system.stale_reads + 1) * system.commits.entry.shape[3]
    return np.empty((most, system.radix.size), dtype=np.int64), np.empty((most, 7), dtype=np.int64)


@compiled
def moves(system: System, state: Any, after: Any, move: Any) -> int:
    """Every step that some flow can take next: fills rows of `after` and `move` (`room_for_moves`), and returns how many."""
    flows, ages = system.length.size, system.stale_reads
    newest = 2 * flows
    first_slot = newest + 1 + ages
    count = 0
    for flow in range(flows):
        step = state[flow]
        if step == system.length[flow]:
            continue
        if _waits(system, state, flow):
            continue
        site, slot, oldest = system.site[flow, step], system.slot[flow, step], state[flows + flow]
        if system.reads[flow, step]:
            for age in range(oldest + 1 if system.reads[flow, step] == THROUGH_CACHE else 1):
                after[count] = state
                after[count, flow] = step + 1
                after[count, flows + flow] = age if system.asks_cache[flow, step + 1] else 0
                after[count, first_slot + slot] = state[newest + age]
                _forget(system, after[count])
                move[count] = (flow, site, 1, age, 0, NONE, 0)
                count += 1
            continue
        for age in range(oldest + 1 if slot == CACHED else 1):
            stale = state[first_slot + slot] if slot >= 0 else state[newest + age]
            for choice in range(system.commits.entry.shape[3]):
                place = (site, stale, state[newest], choice)
                if system.commits.entry[place] == END:
                    break
                after[count] = state
                after[count, flow] = step + 1
                if system.frees[flow, step]:
                    after[count, first_slot + slot] = 0
                move[count] = (flow, site, 0, age, *_rest(system.commits, place))
                if system.commits.request[place] == SKIPPED:
                    count += 1
                    continue
                for older in range(ages, 0, -1):
                    after[count, newest + older] = state[newest + older - 1]
                after[count, newest] = system.commits.entry[place]
                for other in range(flows):
                    asks = system.asks_cache[other, after[count, other]]
                    after[count, flows + other] = min(ages, state[flows + other] + 1) if asks and other != flow else 0
                _forget(system, after[count])
                count += 1
    return count


@compiled
def _waits(system: System, state: Any, flow: int) -> bool:
    """Whether the flow's next step waits for a lock that another flow holds."""
    for lock in range(system.needs.shape[2]):
        if system.needs[flow, state[flow], lock]:
            for other in range(system.length.size):
                if other != flow and system.holds[other, state[other], lock]:
                    return True
    return False


@compiled
def _rest(commits: Commits, place: Any) -> tuple[int, int, int]:
    return commits.request[place], commits.finding[place], commits.cost[place]


@compiled
def _forget(system: System, state: Any) -> None:
    """Clear the older entries that no flow can be shown any more."""
    flows = system.length.size
    oldest = state[flows : 2 * flows].max()
    state[2 * flows + 1 + oldest : 2 * flows + 1 + system.stale_reads] = 0


@compiled
def number_of(system: System, state: Any) -> int:
    """The number under which a state is known; states with the same number have the same future.

    It is the least number of all states that differ from this one only in how values are named, or in which of several
    snapshots without a difference they hold.
    """
    newest = 2 * system.length.size
    first_slot = newest + 1 + system.stale_reads
    least = -1
    for image in system.images:
        number = 0
        for digit in range(state.size):
            value = state[digit]
            if digit >= newest:
                value = image[value]
            if digit >= first_slot:
                value = system.alike[digit - first_slot, value]
            number = number * system.radix[digit] + value
        if least < 0 or number < least:
            least = number
    return least


@compiled
def state_of(system: System, number: int, state: Any) -> None:
    """Fill in `state` from its number."""
    for digit in range(state.size - 1, -1, -1):
        state[digit] = number % system.radix[digit]
        number //= system.radix[digit]
