"""Everything random of one replicate, drawn up front into arrays.

Each quantity has its own stream, keyed by (seed, replicate, name), and takes one uniform a variate. Adding a stream, or
changing one distribution, therefore leaves every other draw unchanged, and two engines can be compared bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.case.snapshots import sources, steps_back
from simlib.common.arrays import Codes, Floats, Ints
from simlib.common.errors import InputError
from simlib.workload.distributions import Constant, Distribution
from simlib.workload.streams import Streams
from simlib.workload.workload import Bursty, Diurnal, Flow, Periodic, Recorded, Workload

TIMES = ("after", "prepare", "compute", "hold")
"""What is drawn for each transaction, see `Times`."""
MOST_PERIODS = 20_000_000
"""Busy periods of one kind of flow in a replicate; each takes some fifty bytes."""


@dataclass(frozen=True)
class Traffic:
    """The flows of one replicate in order of arrival, and the transactions each one is going to make.

    Flow f makes transactions `first[f]` to `first[f + 1] - 1`, in that order. Times in seconds.

    Attributes:
        kinds: names of the kinds of flow.
        kind, arrive, session, gateway: (flows,).
        first: (flows + 1,).
        site: (transactions,) write site number.
        inherits: (transactions,) how many steps back in its flow the snapshot comes from; 0: its own.
        after, prepare, compute, hold: (transactions,) see `Times`.
        request: (transactions, request keys) value codes, UNDEFINED to clear, ABSENT where not named.
        initial: (sessions, fields) value codes of the entries before the first transaction.
        streams: where `attempts` draws more; None: these were not drawn, and later attempts take as long as the first.
    """

    kinds: tuple[str, ...]
    kind: Ints
    arrive: Floats
    session: Ints
    gateway: Ints
    first: Ints
    site: Ints
    inherits: Ints
    after: Floats
    prepare: Floats
    compute: Floats
    hold: Floats
    request: Codes
    initial: Codes
    streams: Streams | None = None


def draw(workload: Workload, case: Case, seed: int, replicate: int) -> Traffic:
    """All draws of one replicate: the same arguments, the same arrays.

    Args:
        workload: who asks, how often, how long it takes.
        case: the write sites and the keys of a request.
        seed: the root of all random streams, at least 0.
        replicate: which replicate, from 0; each has streams of its own.

    Examples:
        >>> from simlib import load_case, load_workload
        >>> workload = load_workload("quiet")
        >>> one, other = (draw(workload, load_case(workload.case), seed=7, replicate=0) for _ in range(2))
        >>> bool((one.arrive == other.arrive).all())
        True
    """
    return draw_all(workload, case, seed, [replicate])[0]


def draw_all(workload: Workload, case: Case, seed: int, replicates: Sequence[int]) -> list[Traffic]:
    """All draws of several replicates: for each what `draw` gives, in less time where replicates are short."""
    flows, streams = workload.traffic, Streams(seed, *replicates)
    arrive, kind = _arrivals(workload, streams)
    kinds = np.concatenate(kind)
    first = np.concatenate([[0], np.cumsum(np.array([len(flow.steps) for flow in flows.values()], dtype=np.int64)[kinds])])
    transactions = int(first[-1])
    together = Traffic(
        kinds=tuple(flows),
        kind=kinds,
        arrive=np.concatenate(arrive),
        session=np.empty(kinds.size, dtype=np.int64),
        gateway=np.empty(kinds.size, dtype=np.int64),
        first=first,
        site=np.empty(transactions, dtype=np.int64),
        inherits=np.empty(transactions, dtype=np.int64),
        after=np.empty(transactions),
        prepare=np.empty(transactions),
        compute=np.empty(transactions),
        hold=np.empty(transactions),
        request=np.full((transactions, len(case.request)), ABSENT, dtype=np.int32),
        initial=_initial(workload, case, streams),
    )
    sizes = np.array([np.bincount(part, minlength=len(flows)) for part in kind])  # (replicates, kinds of flow)
    for number, name in enumerate(flows):
        _fill(together, np.flatnonzero(kinds == number), sizes[:, number], name, workload, case, streams)
    return _split(together, np.cumsum([0, *(part.size for part in kind)]).tolist(), streams.split())


def _arrivals(workload: Workload, streams: Streams) -> tuple[list[Floats], list[Ints]]:
    """When the flows of each replicate arrive, ascending, and their kinds; those of one arrival stand side by side."""
    times = [
        [np.repeat(part, flow.flows(workload.sessions.count)) for part in arrivals(flow, workload.duration, name, streams)]
        for name, flow in workload.traffic.items()
    ]
    arrive, kind = [], []
    for parts in zip(*times, strict=True):
        unsorted = np.concatenate(parts)
        order = np.argsort(unsorted, kind="stable")
        arrive.append(unsorted[order])
        kind.append(np.repeat(np.arange(len(parts)), [part.size for part in parts])[order])
    return arrive, kind


def _split(together: Traffic, ends: list[int], streams: list[Streams]) -> list[Traffic]:
    """One replicate each, with its streams; `ends` says where each one's flows begin, and where the last one's end."""
    each = zip(pairwise(ends), np.split(together.initial, len(streams)), streams, strict=True)
    return [_part(together, begin, end, initial, own) for (begin, end), initial, own in each]


def beginning(traffic: Traffic, transactions: int) -> Traffic:
    """The first flows, as many as have so many transactions together, or fewer."""
    end = int(np.searchsorted(traffic.first, transactions, side="right")) - 1
    return _part(traffic, 0, end, traffic.initial, traffic.streams)


def _part(traffic: Traffic, begin: int, end: int, initial: Codes, streams: Streams | None) -> Traffic:
    """The flows from `begin` on and before `end`, of one replicate."""
    flows, rows = slice(begin, end), slice(*traffic.first[[begin, end]].tolist())
    return Traffic(
        kinds=traffic.kinds,
        **{name: getattr(traffic, name)[flows] for name in ("kind", "arrive", "session", "gateway")},
        first=traffic.first[begin : end + 1] - traffic.first[begin],
        **{name: getattr(traffic, name)[rows] for name in ("site", "inherits", *TIMES, "request")},
        initial=initial,
        streams=streams,
    )


def _fill(
    traffic: Traffic, flows: Ints, sizes: Ints, name: str, workload: Workload, case: Case, streams: Streams
) -> None:  # fmt: skip
    """Draw what one kind of flow needs; `flows` are its numbers, and `sizes` says how many of them each replicate has."""
    flow = workload.traffic[name]
    gateways = np.array(flow.gateways or range(workload.store.gateways), dtype=np.int64)
    each = flow.flows(workload.sessions.count)  # flows of an arrival, which stand side by side
    if flow.sessions == "all":
        traffic.session[flows] = np.arange(flows.size) % each
    else:
        traffic.session[flows] = np.searchsorted(_popularity(workload), streams.uniform(f"{name}.session", sizes))
    chosen = (streams.uniform(f"{name}.gateway", sizes // each) * gateways.size).astype(np.int64)
    traffic.gateway[flows] = np.repeat(gateways[chosen], each)
    sites = np.array([case.sites.index(site) for site in flow.steps], dtype=np.int64)
    inherits = steps_back(sites, np.array([0, sites.size]), sources(case.snapshots, case.sites))
    for step, site in enumerate(flow.steps):
        rows = traffic.first[flows] + step
        traffic.site[rows], traffic.inherits[rows] = sites[step], inherits[step]
        for part in TIMES:
            getattr(traffic, part)[rows] = _times(getattr(workload.times[site], part), f"{name}.{site}.{part}", sizes, streams)
        if step == 0:
            traffic.after[rows] = 0.0  # a first step reads when its flow arrives
        _requests(traffic.request, rows, sizes, name, site, workload, case, streams)


def _times(distribution: Distribution, name: str, sizes: Ints, streams: Streams) -> Floats | float:
    """Variates of one distribution; a constant needs no stream."""
    return distribution.value if isinstance(distribution, Constant) else distribution.quantile(streams.uniform(name, sizes))


def arrivals(flow: Flow, duration: float, name: str, streams: Streams) -> list[Floats]:
    """The arrival times of one kind of flow in [0, duration), ascending, in seconds: an array for each replicate."""
    times = _times_of_arrival(flow, duration, name, streams)
    return [part[np.searchsorted(part, 0.0) : np.searchsorted(part, duration)] for part in times]


def _times_of_arrival(flow: Flow, duration: float, name: str, streams: Streams) -> Sequence[Floats] | Floats:
    """The same, and perhaps more of them before and after."""
    pattern, rate, count = flow.arrivals, flow.rate, len(streams)
    if isinstance(pattern, Recorded):
        return [np.sort(np.array(pattern.times, dtype=np.float64))] * count
    if rate == 0:
        return [np.empty(0)] * count
    if isinstance(pattern, Periodic):
        size = int(duration * rate) + 2
        phase, jitter = streams.uniform(f"{name}.phase", 1), streams.uniform(f"{name}.arrivals", size).reshape(count, size)
        return np.sort((np.arange(size) - 1 + phase[:, np.newaxis] + pattern.jitter * jitter) / rate)
    if isinstance(pattern, Bursty):
        return [_bursty(pattern, rate, duration, name, one) for one in streams.split()]
    if isinstance(pattern, Diurnal):
        grid = np.linspace(0.0, duration, 100_001)
        swing = pattern.amplitude * pattern.period / (2 * np.pi)
        expected = rate * (grid + swing * (1 - np.cos(2 * np.pi * grid / pattern.period)))
        return [np.interp(clock, expected, grid) for clock in _poisson(1.0, float(expected[-1]), f"{name}.arrivals", streams)]
    return _poisson(rate, duration, f"{name}.arrivals", streams)


def _poisson(rate: float, duration: float, name: str, streams: Streams) -> list[Floats]:
    """Poisson arrivals in [0, duration) for each replicate: as many exponential gaps as it takes."""
    size = int(rate * duration + 6 * np.sqrt(rate * duration) + 10)
    while True:
        gaps = -np.log1p(-streams.uniform(name, size)).reshape(len(streams), size)
        times = np.cumsum(gaps, axis=1) / rate
        if (times[:, -1] >= duration).all():
            return [part[: np.searchsorted(part, duration)] for part in times]
        size *= 2


def _bursty(pattern: Bursty, rate: float, duration: float, name: str, streams: Streams) -> Floats:
    """Bursty arrivals of one replicate."""
    share = pattern.busy / (pattern.busy + pattern.idle)
    starts, lengths = _busy_periods(pattern, duration, name, streams)
    (clock,) = _poisson(rate / share, float(lengths.sum()), f"{name}.arrivals", streams)
    # `clock` runs only during busy periods; find the one that each of its arrivals falls into.
    ends = np.cumsum(lengths)
    period = np.searchsorted(ends, clock, side="right")
    return np.asarray(starts[period] + clock - (ends - lengths)[period], dtype=np.float64)


def _busy_periods(pattern: Bursty, duration: float, name: str, streams: Streams) -> tuple[Floats, Floats]:
    """Starts and lengths of the busy periods that cover [0, duration); the source starts in its stationary state.

    Raises:
        InputError: there would be more of them than any traffic needs.
    """
    starts_busy = streams.uniform(f"{name}.phase", 1)[0] < pattern.busy / (pattern.busy + pattern.idle)
    size = 2 * duration / (pattern.busy + pattern.idle) + 20
    if size > MOST_PERIODS:
        raise InputError(
            f"traffic.{name}.arrivals: periods of {pattern.busy:g} and {pattern.idle:g} s "
            f"are some {size:.2g} in {duration:g} s; allowed: {MOST_PERIODS:,}"
        )
    size = int(size)
    while True:
        busy = -pattern.busy * np.log1p(-streams.uniform(f"{name}.busy", size))
        idle = -pattern.idle * np.log1p(-streams.uniform(f"{name}.idle", size))
        starts = np.cumsum(busy + idle) - busy - (idle[0] if starts_busy else 0.0)
        if starts[-1] >= duration:
            return starts, busy
        size *= 2


def session_shares(workload: Workload) -> Floats:
    """(sessions,) each one's share of the traffic."""
    ranks = np.arange(1, workload.sessions.count + 1, dtype=np.float64)
    weights = ranks**-workload.sessions.exponent if workload.sessions.popularity == "zipf" else np.ones_like(ranks)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _popularity(workload: Workload) -> Floats:
    """Cumulative shares of the sessions, the last one 1."""
    cumulative = np.cumsum(session_shares(workload))
    cumulative[-1] = 1.0
    return cumulative


def _requests(
    request: Codes, rows: Ints, sizes: Ints, name: str, site: str, workload: Workload, case: Case, streams: Streams
) -> None:  # fmt: skip
    """Fill these rows, each with one shape of the step's request, with values drawn uniformly from their domains."""
    shapes = workload.traffic[name].steps[site]
    if not shapes:
        return
    weights = np.cumsum([shape.weight for shape in shapes])
    shape_of = np.searchsorted(weights / weights[-1], streams.uniform(f"{name}.{site}.shape", sizes))
    for key in dict.fromkeys(key for shape in shapes for key in shape.ask):
        asks = np.array([key in shape.ask for shape in shapes])[shape_of]
        values = streams.uniform(f"{name}.{site}.{key}", sizes)[asks] * workload.domain_size(case.domains[key])
        request[rows[asks], case.request.index(key)] = 1 + values.astype(np.int32)
    for number, shape in enumerate(shapes):
        for key in shape.clear:
            request[rows[shape_of == number], case.request.index(key)] = UNDEFINED


def _initial(workload: Workload, case: Case, streams: Streams) -> Codes:
    count = workload.sessions.count
    entries = np.zeros((len(streams) * count, len(case.fields)), dtype=np.int32)
    for field in workload.sessions.initial:
        uniform = streams.uniform(f"initial.{field}", count)
        entries[:, case.fields.index(field)] = 1 + (uniform * workload.domain_size(case.domains[field])).astype(np.int32)
    return entries
