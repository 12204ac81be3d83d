"""Calibration from a history: a recording of a real store, a testbed run, or a run of the model itself.

A history says when a snapshot was read, when the lock was had, and when a commit was noted. Three things it does not say are
inferred from pairs of transactions:

- `gap`: from a noted commit to the next transaction's lock, when that one had been waiting.
- `acquire`: from the moment when the lock could be taken to the moment when the transaction noted that it had it.
- `early`: how long before its noted time a commit is seen by readers (a build notes it after the rename, and after what
  follows). The lock is free `early + gap - acquire` after readers see the commit.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from simlib.calibrate import Calibration, Evidence, Shape, Step, calibrate_evidence
from simlib.case import Case
from simlib.distributions import Floats
from simlib.errors import InputError
from simlib.history import Bools, History
from simlib.rules import UNDEFINED
from simlib.traffic import Ints

ENOUGH = 20
"""Fewer pairs than this say nothing."""
FEW = 5
"""Fewer waits for another process than this say nothing: they are long, and much alike."""


@dataclass(frozen=True)
class Locking:
    """How the lock works in a history of n transactions. Times in seconds.

    Attributes:
        known: (sites,) whether the history tells when a transaction of that site began to wait.
        acquire: (n,) from the moment when the lock was free and the transaction wanted it until it noted that it had it.
        gap: from a noted commit to the next lock, somebody waiting.
        early: how long before its noted time a commit is seen.
        release: from the commit (as seen by readers) until the lock is free.
        poll: how long a process waits before it tries again for a lock that another process has; None: hardly ever seen.
    """

    known: tuple[bool, ...]
    acquire: Floats
    gap: float
    early: float
    release: float
    poll: float | None

    def began_in(self, history: History) -> Floats:
        """(n,) when each transaction began to wait; where its site does not tell, when it read."""
        return np.where(np.array(self.known)[history.site], history.queued, history.read)

    def hold_in(self, history: History) -> Floats:
        """(n,) the model's hold: from the moment when the lock could be taken until readers see the commit."""
        return np.maximum(history.end - history.lock - self.early, 0.0) + self.acquire


def part(history: History, start: int, stop: int) -> History:
    """Rows `start` to `stop` - 1 for themselves; what was committed before them counts as there from the start."""
    columns = ("flow", "kind", "site", "session", "gateway", "read", "queued", "lock", "end", "ok", "request")
    return replace(
        history,
        snapshot=np.maximum(history.snapshot[start:stop] - start, -1),
        **{name: getattr(history, name)[start:stop] for name in columns},
    )


def previous_commits(history: History) -> Ints:
    """(n,) row of the session's commit before each row; -1: none. What an up-to-date snapshot would have shown."""
    newest = np.full(history.initial.shape[0], -1)
    rows = np.empty(len(history), dtype=np.int64)
    for row, (session, ok) in enumerate(zip(history.session.tolist(), history.ok.tolist(), strict=True)):
        rows[row] = newest[session]
        if ok:
            newest[session] = row
    return rows


def find_locking(history: History, case: Case) -> Locking:
    """Infer how the lock works; see the top of this file."""
    sites = range(len(history.sites))
    known = tuple(bool((history.queued > history.read)[history.site == site].any()) for site in sites)
    began = np.where(np.array(known)[history.site], history.queued, history.read)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(history.end)[:-1]])
    alone = history.ok & (began > before)
    same = np.concatenate([[False], history.gateway[1:] == history.gateway[:-1]])
    waited = history.ok & same & (began < before - 0.25 * np.median(history.end - history.lock))
    free = float(np.median((history.lock - began)[alone])) if alone.any() else 0.0
    gap = float(np.median((history.lock - before)[waited])) if waited.sum() >= ENOUGH else free
    # A waiting process polls the lock file of another one: how long it then takes to get the lock is the poll's doing.
    acquire = history.lock - np.maximum(began, before + gap - free)
    acquire = np.where(alone | same, np.maximum(acquire, 0.0), free)
    # More than half of a hold would be the doing of a few odd reads.
    own = np.array([snapshot == "own" for snapshot in case.snapshots])
    early = min(0.5 * float(np.median(history.end - history.lock)), _early(history, own))
    return Locking(known, acquire, gap, early, max(0.0, early + gap - free), _poll(history, began, before, same, free))


def _poll(history: History, began: Floats, before: Floats, same: Bools, free: float) -> float | None:
    """The wait of those who found the lock with another process, and nobody before them in their own."""
    own_end = np.full(len(history), -np.inf)
    for gateway in np.unique(history.gateway):
        rows = np.flatnonzero(history.gateway == gateway)
        own_end[rows[1:]] = np.maximum.accumulate(history.end[rows])[:-1]
    found_taken = history.ok & ~same & (began < before - free) & (own_end <= began)
    return float(np.median((history.lock - began)[found_taken])) - free if found_taken.sum() >= FEW else None


def _early(history: History, own: Bools) -> float:
    """The time before a noted commit from which on readers saw it: the threshold that most reads during a hold agree with."""
    ahead, seen = [], []
    for session in range(history.initial.shape[0]):
        rows = np.flatnonzero((history.session == session) & history.ok)
        reads = rows[own[history.site[rows]]]
        next_commit = np.searchsorted(history.end[rows], history.read[reads])
        holder = rows[np.minimum(next_commit, rows.size - 1)]
        during = (next_commit < rows.size) & (holder != reads) & (history.lock[holder] < history.read[reads])
        ahead.append((history.end[holder] - history.read[reads])[during])
        seen.append((history.snapshot[reads] >= holder)[during])
    before, saw = np.concatenate(ahead), np.concatenate(seen)
    if not saw.any():
        return 0.0
    # `before` itself and 0 are all the thresholds that matter; a read counts against one that it contradicts.
    thresholds = np.sort(np.append(before, 0.0))
    wrong = [int((saw != (before <= threshold)).sum()) for threshold in thresholds]
    best = np.flatnonzero(np.array(wrong) == min(wrong))
    low = thresholds[best[0]]
    high = thresholds[min(best[-1] + 1, thresholds.size - 1)]
    return float((low + high) / 2)


def history_evidence(history: History, case: Case, source: str) -> tuple[Evidence, Locking]:
    """What `history` tells, with times counted from its first arrival.

    Raises:
        InputError: the history is too short.
    """
    if len(history) < ENOUGH:
        raise InputError(f"{source}: {len(history)} transactions; a calibration needs at least {ENOUGH}")
    history.check(case)
    locking = find_locking(history, case)
    firsts = first_rows(history)
    start = float(history.read[firsts].min())
    kinds = {name: firsts[history.kind[firsts] == number] for number, name in enumerate(history.kinds)}
    kinds = {name: rows for name, rows in kinds.items() if rows.size}
    assumed = [
        "The event loop of a process: it delays nobody.",
        "Times that follow each other are independent; in the source slow ones come together now and then.",
    ]
    return Evidence(
        source=source,
        duration=float(history.read[firsts].max()) - start,
        arrivals={name: np.sort(history.read[rows] - start) for name, rows in kinds.items()},
        steps={name: _steps(history, rows) for name, rows in kinds.items()},
        sessions={
            history.session_names[session]: count for session, count in Counter(history.session[firsts].tolist()).items()
        },
        values=_values(history, case),
        times={history.sites[site]: _times(history, locking, site) for site in np.unique(history.site).tolist()},
        store={
            "gateways": int(history.gateway.max()) + 1,
            "release": round(locking.release, 7),
            **({"lock_poll": round(max(1e-4, locking.poll), 6)} if locking.poll else {}),
        },
        assumed=assumed,
        seen=[
            f"Lock: {1e3 * float(np.median(locking.acquire)):.3g} ms to take it when it is free, {1e3 * locking.gap:.3g} ms "
            f"from a noted commit to the next lock, a commit seen {1e3 * locking.early:.3g} ms before it is noted."
        ],
    ), locking


def calibrate_history(history: History, case: Case, source: str, name: str = "calibrated") -> Calibration:
    """A workload from a history.

    Raises:
        InputError: the history is too short, or of another case.
    """
    return calibrate_evidence(history_evidence(history, case, source)[0], case, name)


def first_rows(history: History) -> Ints:
    """The row of each flow's first transaction."""
    order = np.lexsort((history.read, history.flow))
    return np.asarray(order[np.concatenate([[True], np.diff(history.flow[order]) > 0])], dtype=np.int64)


def _steps(history: History, first_rows: Ints) -> list[Step]:
    """The write sites of a kind of flow, in the order of its longest flow, with the shapes of all their requests."""
    rows = np.flatnonzero(np.isin(history.flow, history.flow[first_rows]))
    rows = rows[np.lexsort((history.read[rows], history.flow[rows]))]
    flows, counts = np.unique(history.flow[rows], return_counts=True)
    longest = rows[history.flow[rows] == flows[np.argmax(counts)]]
    steps = []
    for site in dict.fromkeys(history.site[longest].tolist()):
        shapes: Counter[Shape] = Counter()
        for request in history.request[rows[history.site[rows] == site]]:
            ask = tuple(history.request_keys[key] for key in np.flatnonzero(request > UNDEFINED))
            clear = tuple(history.request_keys[key] for key in np.flatnonzero(request == UNDEFINED))
            shapes[ask, clear] += 1
        steps.append(Step(history.sites[site], shapes if any(ask or clear for ask, clear in shapes) else Counter()))
    return steps


def _values(history: History, case: Case) -> dict[str, Counter[str]]:
    """How often each value was asked for, by domain, in the order of the value codes."""
    seen: dict[str, Counter[int]] = {}
    for number, key in enumerate(history.request_keys):
        codes, counts = np.unique(history.request[:, number], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            if code > UNDEFINED:
                seen.setdefault(case.domains[key], Counter())[code] += count
    return {
        domain: Counter({history.values.name(domain, code): counter[code] for code in sorted(counter)})
        for domain, counter in seen.items()
    }


def _times(history: History, locking: Locking, site: int) -> dict[str, Floats]:
    rows = np.flatnonzero((history.site == site) & history.ok)
    times = {
        "after": pauses(history)[rows],
        "prepare": locking.began_in(history)[rows] - history.read[rows],
        "hold": locking.hold_in(history)[rows],
    }
    times["after"] = times["after"][~np.isnan(times["after"])]
    return {name: values for name, values in times.items() if values.any()}


def pauses(history: History) -> Floats:
    """(n,) seconds from the end of the flow's previous step to the read; NaN for a flow's first step."""
    order = np.lexsort((history.read, history.flow))
    same = np.concatenate([[False], history.flow[order][1:] == history.flow[order][:-1]])
    pause = np.full(len(history), np.nan)
    pause[order] = np.where(same, history.read[order] - np.roll(history.end[order], 1), np.nan)
    return np.asarray(np.maximum(pause, 0.0), dtype=np.float64)
