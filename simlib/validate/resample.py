"""Replicates of an observed half: what was offered and how long it took, resampled in blocks of time.

A workload draws all times independently. In a real store slow transactions follow each other, and requests pile up behind them.
A block of the source keeps both, so that a prediction from blocks has the long waits that a workload does not have.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from simlib.calibrate.evidence import Evidence, Step, calibrate_evidence
from simlib.calibrate.from_history import history_evidence, pauses
from simlib.calibrate.locking import Locking
from simlib.case.case import Case
from simlib.case.snapshots import sources, steps_back
from simlib.common.arrays import Floats, Ints
from simlib.common.errors import InputError
from simlib.model.history import History
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Recorded, Workload

BLOCKS = 20
"""Blocks that a source is cut into. A slow spell that lasts longer than a block is not kept whole."""
BUSY = 0.4
"""Share of the blocks in which something must arrive: a source that is silent for longer has no replicates like itself."""


@dataclass(frozen=True)
class Part:
    """A part of a history that replicates are made of.

    Attributes:
        rows: (n,) its rows, flow by flow in order of arrival.
        first: (flows + 1,) where each flow's rows begin in `rows`.
        arrive, kind: (flows,) seconds from the start; number of the kind in the workload's order.
        stand_ins: kind -> its complete flows. A flow that the cut took steps from is replaced by one of those.
    """

    history: History
    evidence: Evidence
    locking: Locking
    rows: Ints
    first: Ints
    arrive: Floats
    kind: Ints
    stand_ins: tuple[Ints, ...]


def make_part(history: History, case: Case, source: str) -> Part:
    """Cut `history` into flows.

    Raises:
        InputError: it is too short, is silent for most of its time, or holds no complete flow of some kind.
    """
    evidence, locking = history_evidence(history, case, source)
    rows = np.lexsort((history.read, history.flow))
    changes = np.flatnonzero(np.diff(history.flow[rows])) + 1
    first = np.concatenate([[0], changes, [rows.size]])
    arrive = history.read[rows[first[:-1]]]
    kinds = list(evidence.steps)
    kind = np.array([kinds.index(history.kinds[number]) for number in history.kind[rows[first[:-1]]]], dtype=np.int64)
    sizes = np.array([len(steps) for steps in evidence.steps.values()])
    complete = np.diff(first) == sizes[kind]
    stand_ins = tuple(np.flatnonzero(complete & (kind == number)) for number in range(len(kinds)))
    for name, flows in zip(kinds, stand_ins, strict=True):
        if not flows.size:
            raise InputError(f"{source}: no complete flow of kind '{name}' in one half; the source is too short")
    arrive = arrive - arrive.min()
    _check_traffic(arrive, source)
    return Part(history, evidence, locking, rows, first, arrive, kind, stand_ins)


def _check_traffic(arrive: Floats, source: str) -> None:
    """Refuse a source in which hardly ever something arrives: most of its blocks would be empty."""
    span = float(arrive.max())
    if span <= 0:
        raise InputError(f"{source}: everything arrives at one time; a prediction needs times that differ")
    busy = np.unique(np.minimum(arrive / span * BLOCKS, BLOCKS - 1).astype(np.int64)).size
    if busy < BUSY * BLOCKS:
        longest = float(np.diff(np.sort(arrive)).max())
        raise InputError(
            f"{source}: something arrives in {busy} of {BLOCKS} equal parts of its {span:,.0f} s; "
            f"allowed: {BUSY * BLOCKS:.0f} or more; nothing arrives for {longest:,.0f} s"
        )


def resampled(part: Part, case: Case, duration: float, seed: int, replicate: int) -> tuple[Workload, Traffic, Floats]:
    """The workload and the draws of one replicate of `duration` seconds.

    Arrivals and times are the source's, in blocks; sessions, requests and values are drawn as the calibrated workload says,
    whose shapes of requests are resampled one by one.

    Returns:
        The workload, the draws, and for each transaction drawn how long it takes to get the lock when it is free.
    """
    rng = np.random.default_rng([seed, replicate])
    times, flows = _blocks(part, duration, rng)
    steps = {kind: [_redrawn(step, rng) for step in steps] for kind, steps in part.evidence.steps.items()}
    workload = calibrate_evidence(replace(part.evidence, steps=steps), case).workload
    traffic_of = {
        name: flow.model_copy(update={"arrivals": Recorded(kind="recorded", times=times[part.kind[flows] == number].tolist())})
        for number, (name, flow) in enumerate(workload.traffic.items())
    }
    workload = workload.model_copy(update={"traffic": traffic_of, "duration": duration})
    traffic = draw(workload, case, seed, replicate)
    rows = np.concatenate([part.rows[part.first[flow] : part.first[flow + 1]] for flow in flows])
    history, locking = part.history, part.locking
    traffic = replace(
        traffic,
        after=np.nan_to_num(pauses(history)[rows]),
        prepare=(locking.began_in(history) - history.read)[rows],
        hold=locking.hold_in(history)[rows],
    )
    return workload, traffic, locking.acquire[rows]


def repeated(part: Part, case: Case) -> tuple[Workload, Traffic, Floats, Ints]:
    """The part as it is, in the form that the model takes: its own flows, requests and times, in its own value codes.

    Returns:
        as `resampled`, and for each transaction the row of the part that it is.
    """
    history, locking = part.history, part.locking
    flows = np.argsort(part.arrive, kind="stable")
    rows = np.concatenate([part.rows[part.first[flow] : part.first[flow + 1]] for flow in flows])
    first = np.concatenate([[0], np.cumsum(np.diff(part.first)[flows])])
    begins = rows[first[:-1]]
    workload = calibrate_evidence(part.evidence, case).workload
    sessions = workload.sessions.model_copy(update={"count": history.initial.shape[0]})  # those that nobody used, too
    workload = workload.model_copy(update={"sessions": sessions})
    traffic = Traffic(
        kinds=history.kinds,
        kind=history.kind[begins],
        arrive=part.arrive[flows],
        session=history.session[begins],
        gateway=history.gateway[begins],
        first=first,
        site=history.site[rows],
        inherits=steps_back(history.site[rows], first, sources(case.snapshots, case.sites)),
        after=np.nan_to_num(pauses(history)[rows]),
        prepare=(locking.began_in(history) - history.read)[rows],
        compute=np.zeros(rows.size),
        hold=locking.hold_in(history)[rows],
        request=history.request[rows],
        initial=history.initial,
    )
    return workload, traffic, locking.acquire[rows], rows


def _blocks(part: Part, duration: float, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Times of arrival, and the flow of the source that arrives, in the order that `draw` has."""
    span = float(part.arrive.max())
    length = span / BLOCKS
    starts = rng.uniform(0, span - length, int(np.ceil(duration / length)))
    picked = [np.flatnonzero((part.arrive >= start) & (part.arrive < start + length)) for start in starts]
    flows = np.concatenate(picked)
    if not flows.size:
        raise InputError(f"blocks of {length:.3g} s: nothing arrives in all that were drawn; the source is silent for too long")
    times = np.concatenate(
        [part.arrive[chosen] - start + k * length for k, (start, chosen) in enumerate(zip(starts, picked, strict=True))]
    )
    inside = times < duration
    times, flows = times[inside], flows[inside]
    for number, complete in enumerate(part.stand_ins):
        cut = (part.kind[flows] == number) & ~np.isin(flows, complete)
        flows[cut] = rng.choice(complete, int(cut.sum()))
    order = np.lexsort((part.kind[flows], times))
    return times[order], flows[order]


def _redrawn(step: Step, rng: np.random.Generator) -> Step:
    counts = np.array(list(step.shapes.values()), dtype=np.int64)
    if not counts.size:
        return step
    drawn = rng.multinomial(counts.sum(), counts / counts.sum())
    return Step(step.site, Counter({shape: int(n) for shape, n in zip(step.shapes, drawn, strict=True) if n}))


def drawn_rows(timeline: History, traffic: Traffic) -> Ints:
    """(n,) the transaction of `traffic` that each row of its history is."""
    order = np.argsort(timeline.flow, kind="stable")
    flows = timeline.flow[order]
    rank = np.arange(flows.size) - np.searchsorted(flows, flows)
    rows = np.empty(flows.size, dtype=np.int64)
    rows[order] = traffic.first[flows] + rank
    return rows
