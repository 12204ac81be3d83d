"""Conditional Monte Carlo: a clobber rate too small to be counted, with the sessions integrated out.

On one gateway a timeline does not depend on which session a flow belongs to: all sessions share the lock, and each flow draws
its session by itself. So a turn need not wait for another flow of its own session to commit while it is under way. Take the
flows J that did commit meanwhile, whatever their sessions, and let p be the share of the turn's session. Then, everything but
the sessions of J being given, the probability that the turn clobbers is

    (1 - p)^|J| c(none of J) + sum over j in J of p (1 - p)^(|J| - 1) c(only j) + P(clobbers, two or more of J),

where c is 0 or 1: the turn is replayed with exactly these flows in its session. The last term is left to what was drawn, so
the estimate is unbiased, and as a rare clobber needs one such flow and hardly ever two, next to nothing is left to chance but
the times. (Asmussen and Glynn, Stochastic Simulation, ch. V.4.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simlib.case import Case, Strategy
from simlib.distributions import Floats
from simlib.estimate import Rate
from simlib.gateway import INHERITED, OWN, READS
from simlib.history import History
from simlib.kernel import simulate
from simlib.replay import replay
from simlib.tally import turn_rows
from simlib.traffic import Ints, draw, session_shares
from simlib.workload import Workload

PIECE = 500_000
"""Rows that are replayed at a time."""
MOST = 40
"""With more replayed rows than this for each row of the history, it is cheaper to count."""


@dataclass(frozen=True)
class Overlaps:
    """The turns of a history, and the flows that committed while each of them was under way; n pairs of the two.

    Attributes:
        turn, last: (turns,) number of the flow, and its last row.
        of: (n,) the turn's position in `turn`.
        other: (n,) number of the other flow.
    """

    turn: Ints
    last: Ints
    of: Ints
    other: Ints


def conditional_rate(workload: Workload, case: Case, strategy: Strategy, seed: int, replicates: Sequence[int]) -> Rate | None:
    """The clobber rate of `strategy`, from the same replicates that an experiment counts.

    Returns:
        the rate; None where the argument does not hold (several gateways), or where so much overlaps that counting is cheaper.
    """
    found = []
    for replicate in replicates:
        one = conditional_replicate(workload, case, strategy, seed, replicate)
        if one is None:
            return None
        found.append(one)
    expected, turns = np.array(found, dtype=np.float64).T
    return Rate(expected, turns)


def conditional_replicate(
    workload: Workload, case: Case, strategy: Strategy, seed: int, replicate: int
) -> tuple[float, int] | None:
    """The expected number of clobbered turns of one replicate, and how many turns it has; None as above."""
    if workload.store.gateways > 1:
        return None
    history = simulate(workload, case, draw(workload, case, seed, replicate), strategy.in_lock)
    overlaps = find_overlaps(case, history)
    if _rows_to_replay(history, overlaps) > MOST * len(history):
        return None
    chances = turn_chances(case, strategy, history, overlaps, session_shares(workload))
    return float(chances.sum()), chances.size


def find_overlaps(case: Case, history: History) -> Overlaps:
    """The pairs; which there are depends on times only, and not on sessions."""
    flows = np.unique(history.flow[turn_rows(case, history)])
    mine = np.flatnonzero(np.isin(history.flow, flows))
    position = np.searchsorted(flows, history.flow[mine])
    began, last = np.full(flows.size, np.inf), np.zeros(flows.size, dtype=np.int64)
    np.minimum.at(began, position, history.read[mine])
    np.maximum.at(last, position, mine)
    start = np.searchsorted(history.end, began, side="right")
    of, rows = _ranges(start, last)
    pairs = np.unique(np.stack([of, history.flow[rows]], axis=1)[history.flow[rows] != flows[of]], axis=0)
    return Overlaps(flows, last, *pairs.T)


def turn_chances(case: Case, strategy: Strategy, history: History, overlaps: Overlaps, shares: Floats) -> Floats:
    """(turns,) the probability that each turn clobbers, given all but the sessions of the flows that overlap it.

    `history` is of one gateway, `overlaps` are its pairs, and `shares` (sessions,) is each session's share of the flows.
    """
    clobbers = replay(case, strategy, history).clobbers
    culprits = clobbers.culprit[turn_rows(case, history)[clobbers.culprit]]
    drawn = np.isin(overlaps.turn, history.flow[culprits])
    size = np.bincount(overlaps.of, minlength=overlaps.turn.size)
    session = history.session[overlaps.last]
    session_of = np.zeros(int(history.flow.max(initial=0)) + 1, dtype=np.int64)
    session_of[history.flow] = history.session
    together = np.bincount(overlaps.of[session_of[overlaps.other] == session[overlaps.of]], minlength=overlaps.turn.size)

    share = shares[session]
    chances = np.where(size == 0, drawn, drawn & (together >= 2)).astype(np.float64)
    # Each turn that anything overlaps, with none of those flows in its session, and with each of them alone.
    turns = np.flatnonzero(size)
    if not turns.size:
        return chances
    of, other = np.concatenate([turns, overlaps.of]), np.concatenate([np.full(turns.size, -1), overlaps.other])
    weight = np.where(other < 0, (1 - share[of]) ** size[of], share[of] * (1 - share[of]) ** (size[of] - 1))
    clobbered = _replayed(case, strategy, history, overlaps, of, other)
    np.add.at(chances, of, weight * clobbered)
    return chances


def _replayed(case: Case, strategy: Strategy, history: History, overlaps: Overlaps, of: Ints, other: Ints) -> Floats:
    """(scenes,) 1 where turn `of` clobbers if `other`, and no other flow that overlaps it, is in its session; else 0."""
    rows_of = _Rows(history)
    clobbered = np.zeros(of.size)
    sizes = rows_of.before(history.session[overlaps.last[of]], overlaps.last[of])
    pieces = np.searchsorted(np.cumsum(sizes), np.arange(PIECE, sizes.sum() + PIECE, PIECE)) + 1
    for scenes in np.split(np.arange(of.size), pieces[:-1]):
        scene, row = rows_of.cast(overlaps, of[scenes], other[scenes])
        staged = _stage(case, history, scene, row, scenes.size, overlaps.last[of[scenes]])
        clobbers = replay(case, strategy, staged).clobbers
        guilty = clobbers.culprit[turn_rows(case, staged)[clobbers.culprit]]
        guilty = guilty[staged.flow[guilty] == overlaps.turn[of[scenes]][staged.session[guilty]]]
        clobbered[scenes[np.unique(staged.session[guilty])]] = 1.0
    return clobbered


class _Rows:
    """The rows of a history by session and by flow, ascending."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_session = np.argsort(history.session, kind="stable")
        self._by_flow = np.argsort(history.flow, kind="stable")
        size = len(history) + 1
        self._session_key = history.session[self._by_session] * size + self._by_session
        self._flow_key = history.flow[self._by_flow] * size + self._by_flow

    def before(self, session: Ints, last: Ints) -> Ints:
        """How many rows of a session there are up to row `last`."""
        start, stop = self._span(self._session_key, session, last)
        return stop - start

    def cast(self, overlaps: Overlaps, of: Ints, other: Ints) -> tuple[Ints, Ints]:
        """Scene and row of everything that is on stage: the session so far without the flows that overlap, and `other`."""
        last = overlaps.last[of]
        scene, place = _ranges(*self._span(self._session_key, self._history.session[last], last))
        row = self._by_session[place]
        flows = int(self._history.flow.max()) + 1
        overlapping = np.isin(of[scene] * flows + self._history.flow[row], overlaps.of * flows + overlaps.other)
        scene, row = scene[~overlapping], row[~overlapping]
        guests = np.flatnonzero(other >= 0)
        guest, place = _ranges(*self._span(self._flow_key, other[guests], last[guests]))
        scene, row = np.concatenate([scene, guests[guest]]), np.concatenate([row, self._by_flow[place]])
        order = np.lexsort((row, scene))
        return scene[order], row[order]

    def _span(self, keys: Ints, group: Ints, last: Ints) -> tuple[Ints, Ints]:
        size = len(self._history) + 1
        return np.searchsorted(keys, group * size), np.searchsorted(keys, group * size + last, side="right")


def _stage(case: Case, history: History, scene: Ints, row: Ints, scenes: int, last: Ints) -> History:
    """A history with one session for each scene; what each snapshot shows there follows from when it was read."""
    size = len(history) + 1
    key = scene * size + row
    reads = np.array([READS.get(snapshot, INHERITED) for snapshot in case.snapshots])[history.site[row]]
    # Rows that were committed when the snapshot was read; for one that is read in the lock, all before.
    seen = np.where(reads == OWN, np.searchsorted(history.end, history.read[row], side="right"), row)
    snapshot = np.searchsorted(key, scene * size + seen) - 1
    snapshot[(snapshot < 0) | (scene[snapshot] != scene)] = -1
    for number, source in enumerate(case.snapshots):
        if source in case.sites:
            takes = np.flatnonzero(history.site[row] == number)
            there = _same_flow(case, history, source, row[takes])
            shown = snapshot[np.searchsorted(key, scene[takes] * size + there)]
            snapshot[takes] = np.where(there < 0, -1, shown)
    columns = ("flow", "kind", "site", "gateway", "read", "queued", "lock", "end", "ok", "request")
    return replace(
        history,
        session=scene,
        snapshot=snapshot,
        initial=history.initial[history.session[last]],
        session_names=tuple(map(str, range(scenes))),
        **{name: getattr(history, name)[row] for name in columns},
    )


def _same_flow(case: Case, history: History, site: str, rows: Ints) -> Ints:
    """For each row, the one at `site` of the same flow; -1 if there is none."""
    row_of = np.full(int(history.flow.max()) + 1, -1)
    at = np.flatnonzero(history.site == case.sites.index(site))
    row_of[history.flow[at]] = at
    return row_of[history.flow[rows]]


def _rows_to_replay(history: History, overlaps: Overlaps) -> int:
    before = _Rows(history).before(history.session[overlaps.last], overlaps.last)
    size = np.bincount(overlaps.of, minlength=overlaps.turn.size)
    return int((before * (size + (size > 0))).sum())


def _ranges(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """The numbers from start[k] to stop[k] - 1 for each k: which k, and the number."""
    sizes = np.maximum(stop - start, 0)
    of = np.repeat(np.arange(sizes.size), sizes)
    return of, np.arange(of.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + start[of]
