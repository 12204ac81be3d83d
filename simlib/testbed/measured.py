"""The workload of a testbed run with the times that its parts really took, as distributions site by site."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simlib.case.discipline import Discipline, Lock
from simlib.common.arrays import Bools, Floats, Ints
from simlib.model.history import TIMED_OUT
from simlib.model.plan import make_plan
from simlib.model.terms import Timetable
from simlib.testbed.run import TestbedRun
from simlib.testbed.stores import manner_of
from simlib.workload.distributions import Constant, Empirical
from simlib.workload.workload import Workload

MOST_VALUES = 2_000
"""That stand for a measured distribution."""
_POLL, _POLL_MAX = 0.001, 0.1
"""Seconds: how SQLite looks again for its lock, about; after 1, 2, 5, 10 ms and so on."""


class _Attempts(NamedTuple):
    """What took how long, of each of the (n,) attempts of a run; seconds.

    Attributes:
        first: whether it is the first attempt at its transaction, and was granted its locks: who waits in vain for one over the
            whole work prepares nothing.
        prepare: from the read until it queued, without the computing that is drawn.
        wide, merge: what it took to get the lock before the snapshot, or of the merge, if that was free; NaN if it was not,
            or there is none.
        compute: computing in the lock, as drawn.
        gap: between comparison and write, as drawn.
    """

    first: Bools
    prepare: Floats
    wide: Floats
    merge: Floats
    compute: Floats
    gap: Floats


def measured(run: TestbedRun) -> Workload:
    """The workload of a run, with the times that its parts really took; a site that never committed keeps its own."""
    workload, strategy = run.workload, run.case.strategy(run.strategy)
    attempts = _attempts(run, strategy.discipline)
    parts = {site: _parts(run, strategy.discipline, attempts, site) for site in workload.times}
    times = {site: each.model_copy(update=parts[site]) for site, each in workload.times.items()}
    store: dict[str, Any] = {} if run.store == "file" else {"cache_ttl": 0.0, "mtime_tick": 0.0}
    own_lock = manner_of(run.store, run.case, strategy).own_lock
    if strategy.discipline.locks and run.history.ok.any() and (not own_lock or workload.store.gateways == 1):
        store["release"] = float(np.maximum(run.released - run.history.end, 0.0)[run.history.ok].mean())
    if own_lock:
        store |= {"lock_poll": _POLL, "lock_poll_max": _POLL_MAX}
    return workload.model_copy(update={"times": times, "store": workload.store.model_copy(update=store)})


def _attempts(run: TestbedRun, discipline: Discipline) -> _Attempts:
    history, traffic, case = run.history, run.traffic, run.case
    number = np.ones(run.step.size, dtype=np.int64) if history.attempts is None else history.attempts.number
    granted = history.ok if history.attempts is None else history.attempts.outcome != TIMED_OUT
    inside = np.isin(history.site, [case.sites.index(site) for site in discipline.in_lock])
    compute, gap = traffic.compute[run.step], np.zeros(run.step.size)
    timetable = Timetable(run.workload, case, traffic, discipline, make_plan(case, traffic, discipline))
    for attempt in range(1, int(number.max(initial=0)) + 1):
        rows = number == attempt
        gap[rows] = timetable.attempt(attempt).gap[run.step[rows]]
    return _Attempts(
        first=(number == 1) & granted,
        prepare=history.queued - history.read - np.where(inside, 0.0, compute),
        wide=_acquire(run, [lock for lock in discipline.locks if lock.span != "merge"]),
        merge=_acquire(run, [lock for lock in discipline.locks if lock.span == "merge"]),
        compute=np.where(inside, compute, 0.0),
        gap=gap,
    )


def _parts(run: TestbedRun, discipline: Discipline, of: _Attempts, site: str) -> dict[str, Constant | Empirical]:
    """The measured parts of a site.

    Under a lock, the comparison comes first, and the rest is the hold. Without one the hold comes first; then the comparison,
    and what is left is the gap. Getting a free lock takes a part of the time for which it is held.
    """
    history, number = run.history, run.case.sites.index(site)
    here, guard = history.site == number, discipline.guards[number]
    done = here & history.ok
    if not done.any():
        return {}
    locks = any(site in lock.sites for lock in discipline.locks)
    before, within = _filled(of.wide, here), _filled(of.merge, here)
    parts = {"prepare": (of.prepare + before)[here & of.first], "check": np.zeros(1)}
    compared = run.compared - history.lock
    if locks and guard:
        parts["check"] = (within + compared)[here]
        parts["hold"] = (history.end - run.compared - of.gap - of.compute)[done]
    elif locks or not guard:
        parts["hold"] = (within + history.end - history.lock - of.compute)[done]
    elif guard.atomic:
        parts["hold"] = (history.end - history.lock - of.compute)[here]
    else:
        parts["hold"] = (compared - of.compute)[here]
        parts["gap"] = (history.end - run.compared)[done]
    return {name: _distribution(values) for name, values in parts.items()}


def _filled(acquire: Floats, here: Bools) -> Floats:
    """(n,) the same, with what is usual at a site where it is not known; 0 if it never is."""
    known = acquire[here & ~np.isnan(acquire)]
    return np.where(np.isnan(acquire), np.median(known) if known.size else 0.0, acquire)


def _distribution(values: Floats) -> Constant | Empirical:
    """The measured times as a distribution; a time below zero is an error of the clock."""
    least = np.maximum(values, 0.0)
    few = least if least.size <= MOST_VALUES else np.quantile(least, np.linspace(0, 1, MOST_VALUES))
    return Empirical(dist="empirical", values=few.tolist()) if few.size else Constant(value=0.0)


def _acquire(run: TestbedRun, locks: Sequence[Lock]) -> Floats:
    """(n,) how long each attempt took to get its one of these locks, where that was free when it asked; else NaN."""
    history = run.history
    acquire = np.full(len(history), np.nan)
    for lock in locks:
        rows = np.flatnonzero(np.isin(history.site, [run.case.sites.index(site) for site in lock.sites]))
        key = np.zeros(rows.size, dtype=np.int64) if lock.scope == "store" else history.session[rows]
        for one in np.unique(key).tolist():
            _fill_acquire(run, lock, rows[key == one], acquire)
    return acquire


def _fill_acquire(run: TestbedRun, lock: Lock, rows: Ints, acquire: Floats) -> None:
    """The same of those that take one lock; each holds it for an attempt, a transaction or a flow."""
    history, wide = run.history, lock.span != "merge"
    holder = {"merge": rows, "transaction": run.step[rows], "flow": history.flow[rows]}[lock.span]
    began = history.read if history.attempts is None else history.attempts.began
    asked, granted = (began, history.read) if wide else (history.queued, history.lock)
    ends = _last_ends(holder, history.end[rows])
    released = -np.inf
    seen: set[int] = set()
    for place in np.argsort(granted[rows], kind="stable").tolist():
        if (who := int(holder[place])) in seen:
            continue
        seen.add(who)
        row = rows[place]
        if released <= asked[row]:
            acquire[row] = granted[row] - asked[row]
        released = max(released, ends[who])


def _last_ends(holder: Sequence[int] | Ints, end: Floats) -> dict[int, float]:
    """When each holder's last attempt ended."""
    last: dict[int, float] = {}
    for who, time in zip(np.asarray(holder).tolist(), end.tolist(), strict=True):
        last[who] = max(time, last.get(who, -np.inf))
    return last
