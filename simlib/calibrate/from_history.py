"""Calibration from a history: a recording of a real store, a testbed run, or a run of the model itself."""

from collections import Counter

import numpy as np

from simlib.calibrate.evidence import Calibration, Evidence, Shape, Step, calibrate_evidence
from simlib.calibrate.locking import ENOUGH, Locking, find_locking
from simlib.case.case import Case
from simlib.case.rules import UNDEFINED
from simlib.common.arrays import Floats, Ints
from simlib.common.errors import InputError
from simlib.model.history import History


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
    assumed = [] if history.ok.all() else ["The lock's time-out: the shortest wait that was given up."]
    assumed += [
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
            **({"mtime_tick": round(locking.tick, 5)} if locking.tick is not None else {}),
            **({} if history.ok.all() else {"lock_timeout": _timeout(history, locking)}),
        },
        assumed=assumed,
        seen=[
            f"Lock: {1e3 * float(np.median(locking.acquire)):.3g} ms to take it when it is free, {1e3 * locking.gap:.3g} ms "
            f"from a noted commit to the next lock, a commit seen {1e3 * locking.early:.3g} ms before it is noted."
        ],
    ), locking


def _timeout(history: History, locking: Locking) -> float:
    """The shortest wait that was given up; the time-out is up to one poll shorter."""
    gave_up = ~history.ok
    return round(float((history.end - locking.began_in(history))[gave_up].min()), 6)


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
