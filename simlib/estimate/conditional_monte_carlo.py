"""Conditional Monte Carlo: a clobber rate too small to be counted, with the sessions integrated out.

On one gateway a timeline does not depend on which session a flow belongs to: all sessions share the lock, and each flow draws
its session by itself. So a unit of work need not wait for another flow of its own session to commit while it is under way. Take
the flows J that did commit meanwhile, whatever their sessions, and let p be the share of the unit's session. Then, everything
but the sessions of J being given, the probability that the unit clobbers is

    (1 - p)^|J| c(none of J) + sum over j in J of p (1 - p)^(|J| - 1) c(only j) + P(clobbers, two or more of J),

where c is 0 or 1: the unit is replayed with exactly these flows in its session. The last term is left to what was drawn, so
the estimate is unbiased; and as a *rare* clobber needs one such flow and hardly ever two, next to nothing is left to chance but
the times. For frequent ones it is no better than counting. Where a read and another flow's commit fall on the same instant, it
cannot be told which came first, and there is no estimate. (Asmussen and Glynn, Stochastic Simulation, ch. V.4.)

A *scene* is a unit of work and one choice of the flows that are let into its session; it is replayed as a session of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.discipline import Discipline
from simlib.case.snapshots import INHERITED, NO_COMMIT, OWN, ended_by, kinds, readers, sources
from simlib.common.arrays import Floats, Ints
from simlib.estimate.intervals import Rate
from simlib.model.history import History
from simlib.replay.counts import unit_rows
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import Traffic, draw, session_shares
from simlib.workload.workload import Workload

PIECE = 500_000
"""Rows that are replayed at a time."""
MOST = 10
"""Where more rows than this would be replayed, or more overlaps looked at, for each row of the history, counting is cheaper."""


Simulate = Callable[[Workload, Case, Traffic, Discipline], History]


@dataclass(frozen=True)
class Overlaps:
    """The units of work of a history, and the flows that committed while each of them was under way; n pairs of the two.

    Attributes:
        unit, last: (units,) number of the flow, and its last row.
        of: (n,) the unit's position in `unit`.
        other: (n,) number of the other flow.
    """

    unit: Ints
    last: Ints
    of: Ints
    other: Ints


def conditional_rates(
    workload: Workload, case: Case, strategies: Sequence[Strategy], seed: int, replicates: int, simulate: Simulate
) -> dict[str, Rate]:
    """Clobber rates from the same replicates that an experiment counts.

    Args:
        workload: the traffic.
        case: the strategies' case.
        strategies: those whose rates are wanted.
        seed: the experiment's.
        replicates: the experiment's.
        simulate: the engine, one of `experiment.ENGINES`.

    Returns:
        strategy name -> its rate. Empty where the argument does not hold (several gateways, ties, arrivals for all sessions),
        or where so much overlaps that counting is cheaper.
    """
    found: list[dict[str, tuple[float, int]]] = []
    for replicate in range(replicates if strategies else 0):
        one = conditional_replicate(workload, case, strategies, seed, replicate, simulate)
        if not one:
            return {}
        found.append(one)
    counts = {strategy.name: np.array([one[strategy.name] for one in found], dtype=np.float64) for strategy in strategies}
    return {name: Rate(*count.T) for name, count in counts.items()}


def conditional_replicate(
    workload: Workload, case: Case, strategies: Sequence[Strategy], seed: int, replicate: int, simulate: Simulate
) -> dict[str, tuple[float, int]]:
    """Strategy name -> the expected number of clobbered units of one replicate, and how many units it has; empty as above."""
    if workload.store.gateways > 1 or any(flow.sessions == "all" for flow in workload.traffic.values()):
        return {}
    traffic, found = draw(workload, case, seed, replicate), {}
    for discipline in dict.fromkeys(strategy.discipline for strategy in strategies):
        history = simulate(workload, case, traffic, discipline)
        overlaps = find_overlaps(case, history)
        if overlaps is None or _ties(case, history) or _rows_to_replay(history, overlaps) > MOST * len(history):
            return {}
        for strategy in strategies:
            if strategy.discipline == discipline:
                chances = unit_chances(case, strategy, history, overlaps, session_shares(workload))
                found[strategy.name] = float(chances.sum()), chances.size
    return found


def find_overlaps(case: Case, history: History) -> Overlaps | None:
    """The pairs, which depend on times only, and not on sessions. None if there are more than MOST for each row."""
    flows = np.unique(history.flow[unit_rows(case, history)])
    mine = np.flatnonzero(np.isin(history.flow, flows))
    position = np.searchsorted(flows, history.flow[mine])
    began, last = np.full(flows.size, np.inf), np.zeros(flows.size, dtype=np.int64)
    np.minimum.at(began, position, history.read[mine])
    np.maximum.at(last, position, mine)
    start = np.searchsorted(history.end, began, side="right")
    if np.maximum(last - start, 0).sum() > MOST * len(history):
        return None
    of, rows = _ranges(start, last)
    keys = int(history.flow.max(initial=0)) + 1
    others = history.flow[rows] != flows[of]
    of, other = np.divmod(np.unique((of * keys + history.flow[rows])[others]), keys)
    return Overlaps(flows, last, of, other)


def _ties(case: Case, history: History) -> bool:
    """Whether somewhere a snapshot was read at the very instant at which another flow's write was committed."""
    rows = np.flatnonzero(case.reads_own[history.site])
    first, last = (np.searchsorted(history.end, history.read[rows], side=side) for side in ("left", "right"))
    met = np.minimum(first, len(history) - 1)
    return bool(((last - first > 1) | ((last > first) & (history.flow[met] != history.flow[rows]))).any())


def unit_chances(case: Case, strategy: Strategy, history: History, overlaps: Overlaps, shares: Floats) -> Floats:
    """(units,) the probability that each unit clobbers, given all but the sessions of the flows that overlap it.

    `history` is of one gateway, `overlaps` are its pairs, and `shares` (sessions,) is each session's share of the flows.
    """
    clobbers = replay_strategy(case, strategy, history).clobbers
    culprits = clobbers.culprit[unit_rows(case, history)[clobbers.culprit]]
    drawn = np.isin(overlaps.unit, history.flow[culprits])
    size = np.bincount(overlaps.of, minlength=overlaps.unit.size)
    session = history.session[overlaps.last]
    session_of = np.zeros(int(history.flow.max(initial=0)) + 1, dtype=np.int64)
    session_of[history.flow] = history.session
    together = np.bincount(overlaps.of[session_of[overlaps.other] == session[overlaps.of]], minlength=overlaps.unit.size)

    share = shares[session]
    chances = np.where(size == 0, drawn, drawn & (together >= 2)).astype(np.float64)
    # Each unit of work that anything overlaps, with none of those flows in its session, and with each of them alone.
    units = np.flatnonzero(size)
    if not units.size:
        return chances
    of, other = np.concatenate([units, overlaps.of]), np.concatenate([np.full(units.size, -1), overlaps.other])
    weight = np.where(other < 0, (1 - share[of]) ** size[of], share[of] * (1 - share[of]) ** (size[of] - 1))
    clobbered = _replayed(case, strategy, history, overlaps, of, other)
    np.add.at(chances, of, weight * clobbered)
    return chances


def _replayed(case: Case, strategy: Strategy, history: History, overlaps: Overlaps, of: Ints, other: Ints) -> Floats:
    """(scenes,) 1 where unit `of` clobbers if `other`, and no other flow that overlaps it, is in its session; else 0."""
    rows_of = _Rows(history)
    clobbered = np.zeros(of.size)
    sizes = rows_of.before(history.session[overlaps.last[of]], overlaps.last[of])
    pieces = np.searchsorted(np.cumsum(sizes), np.arange(PIECE, sizes.sum() + PIECE, PIECE)) + 1
    for scenes in np.split(np.arange(of.size), pieces[:-1]):
        scene, row = rows_of.of_scenes(overlaps, of[scenes], other[scenes])
        staged = _stage(case, history, scene, row, scenes.size, overlaps.last[of[scenes]])
        clobbers = replay_strategy(case, strategy, staged).clobbers
        culprits = clobbers.culprit[unit_rows(case, staged)[clobbers.culprit]]
        culprits = culprits[staged.flow[culprits] == overlaps.unit[of[scenes]][staged.session[culprits]]]
        clobbered[scenes[np.unique(staged.session[culprits])]] = 1.0
    return clobbered


class _Rows:
    """The rows of a history by session and by flow, ascending."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_session = np.argsort(history.session, kind="stable")
        self._by_flow = np.argsort(history.flow, kind="stable")
        size = len(history)
        self._session_key = history.session[self._by_session] * size + self._by_session
        self._flow_key = history.flow[self._by_flow] * size + self._by_flow

    def before(self, session: Ints, last: Ints) -> Ints:
        """How many rows of a session there are up to row `last`."""
        start, stop = self._span(self._session_key, session, last)
        return stop - start

    def of_scenes(self, overlaps: Overlaps, of: Ints, other: Ints) -> tuple[Ints, Ints]:
        """The rows of each scene: its session so far without the flows that overlap the unit, and the flow `other`.

        Returns:
            two arrays of the same length: number of the scene, and row of the history.
        """
        last = overlaps.last[of]
        scene, place = _ranges(*self._span(self._session_key, self._history.session[last], last))
        row = self._by_session[place]
        flows = int(self._history.flow.max()) + 1
        overlapping = np.isin(of[scene] * flows + self._history.flow[row], overlaps.of * flows + overlaps.other)
        scene, row = scene[~overlapping], row[~overlapping]
        added = np.flatnonzero(other >= 0)
        addition, place = _ranges(*self._span(self._flow_key, other[added], last[added]))
        scene, row = np.concatenate([scene, added[addition]]), np.concatenate([row, self._by_flow[place]])
        order = np.lexsort((row, scene))
        return scene[order], row[order]

    def _span(self, keys: Ints, group: Ints, last: Ints) -> tuple[Ints, Ints]:
        size = len(self._history)
        return np.searchsorted(keys, group * size), np.searchsorted(keys, group * size + last, side="right")


def _stage(case: Case, history: History, scene: Ints, row: Ints, scenes: int, last: Ints) -> History:
    """A history with one session for each scene; what each snapshot shows there follows from when it was read."""
    size = len(history)
    key = scene * size + row
    reads = kinds(case.snapshots)[history.site[row]]
    # Rows that were committed when the snapshot was read; for one that is read in the lock, all before.
    seen = np.where(reads == OWN, ended_by(history.end, history.read[row]), row)
    snapshot = np.searchsorted(key, scene * size + seen) - 1
    snapshot[(snapshot < 0) | (scene[snapshot] != scene)] = NO_COMMIT
    takes = np.flatnonzero(reads == INHERITED)
    reader = readers(history.site, history.flow, sources(case.snapshots, case.sites))[row[takes]]
    shown = snapshot[np.searchsorted(key, scene[takes] * size + reader)]
    snapshot[takes] = np.where(reader < 0, NO_COMMIT, shown)
    columns = ("flow", "kind", "site", "gateway", "read", "queued", "lock", "end", "ok", "request")
    return replace(
        history,
        session=scene,
        snapshot=snapshot,
        initial=history.initial[history.session[last]],
        session_names=tuple(map(str, range(scenes))),
        **{name: getattr(history, name)[row] for name in columns},
    )


def _rows_to_replay(history: History, overlaps: Overlaps) -> int:
    before = _Rows(history).before(history.session[overlaps.last], overlaps.last)
    size = np.bincount(overlaps.of, minlength=overlaps.unit.size)
    return int((before * (size + (size > 0))).sum())


def _ranges(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """The numbers from start[k] to stop[k] - 1 for each k: which k, and the number."""
    sizes = np.maximum(stop - start, 0)
    of = np.repeat(np.arange(sizes.size), sizes)
    return of, np.arange(of.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + start[of]
