"""Everything random of one replicate, drawn up front into arrays.

Each quantity has its own stream, keyed by (seed, replicate, name), and takes one uniform a variate. Adding a stream, or
changing one distribution, therefore leaves every other draw unchanged, and two engines can be compared bit for bit.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.case.snapshots import sources, steps_back
from simlib.common.arrays import Codes, Floats, Ints
from simlib.common.errors import InputError
from simlib.workload.distributions import Constant, Distribution
from simlib.workload.workload import Bursty, Diurnal, Flow, Periodic, Recorded, Workload

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
    streams: "Streams | None" = None


@dataclass(frozen=True)
class Streams:
    """The random streams of one replicate."""

    seed: int
    replicate: int

    def uniform(self, name: str, size: int) -> Floats:
        """`size` uniforms of (0, 1) from the stream of that name; a longer request begins with the shorter one's."""
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "big")
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, self.replicate, key])))
        return np.maximum(generator.random(size), 2.0**-54)


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
    streams, flows = Streams(seed, replicate), workload.traffic
    times = [arrivals(flow, workload.duration, name, streams) for name, flow in flows.items()]
    arrive = np.concatenate(times)
    order = np.argsort(arrive, kind="stable")
    kind = np.repeat(np.arange(len(times)), [part.size for part in times])[order]
    first = np.concatenate([[0], np.cumsum(np.array([len(flow.steps) for flow in flows.values()], dtype=np.int64)[kind])])
    transactions = int(first[-1])
    traffic = Traffic(
        kinds=tuple(flows),
        kind=kind,
        arrive=arrive[order],
        session=np.empty(kind.size, dtype=np.int64),
        gateway=np.empty(kind.size, dtype=np.int64),
        first=first,
        site=np.empty(transactions, dtype=np.int64),
        inherits=np.empty(transactions, dtype=np.int64),
        after=np.empty(transactions),
        prepare=np.empty(transactions),
        compute=np.empty(transactions),
        hold=np.empty(transactions),
        request=np.full((transactions, len(case.request)), ABSENT, dtype=np.int32),
        initial=_initial(workload, case, streams),
        streams=streams,
    )
    for number, name in enumerate(flows):
        _fill(traffic, np.flatnonzero(kind == number), name, workload, case, streams)
    traffic.inherits[:] = steps_back(traffic.site, first, sources(case.snapshots, case.sites))
    return traffic


def _fill(traffic: Traffic, flows: Ints, name: str, workload: Workload, case: Case, streams: Streams) -> None:
    """Draw what one kind of flow needs; `flows` are its numbers."""
    flow, size = workload.traffic[name], flows.size
    gateways = np.array(flow.gateways or range(workload.store.gateways), dtype=np.int64)
    traffic.session[flows] = np.searchsorted(_popularity(workload), streams.uniform(f"{name}.session", size))
    traffic.gateway[flows] = gateways[(streams.uniform(f"{name}.gateway", size) * gateways.size).astype(np.int64)]
    for step, site in enumerate(flow.steps):
        rows = traffic.first[flows] + step
        traffic.site[rows] = case.sites.index(site)
        for part in ("after", "prepare", "compute", "hold"):
            getattr(traffic, part)[rows] = _times(getattr(workload.times[site], part), f"{name}.{site}.{part}", size, streams)
        if step == 0:
            traffic.after[rows] = 0.0  # a first step reads when its flow arrives
        _requests(traffic.request, rows, name, site, workload, case, streams)


def _times(distribution: Distribution, name: str, size: int, streams: Streams) -> Floats | float:
    """Variates of one distribution; a constant needs no stream."""
    return distribution.value if isinstance(distribution, Constant) else distribution.quantile(streams.uniform(name, size))


def arrivals(flow: Flow, duration: float, name: str, streams: Streams) -> Floats:
    """The arrival times of one kind of flow in [0, duration), ascending, in seconds."""
    pattern, rate = flow.arrivals, flow.rate
    if isinstance(pattern, Recorded):
        times = np.sort(np.array(pattern.times, dtype=np.float64))
    elif rate == 0:
        times = np.empty(0)
    elif isinstance(pattern, Periodic):
        phase, jitter = streams.uniform(f"{name}.phase", 1)[0], streams.uniform(f"{name}.arrivals", int(duration * rate) + 2)
        times = np.sort((np.arange(jitter.size) - 1 + phase + pattern.jitter * jitter) / rate)
    elif isinstance(pattern, Bursty):
        share = pattern.busy / (pattern.busy + pattern.idle)
        starts, lengths = _busy_periods(pattern, duration, name, streams)
        clock = _poisson(rate / share, float(lengths.sum()), f"{name}.arrivals", streams)
        # `clock` runs only during busy periods; find the one that each of its arrivals falls into.
        ends = np.cumsum(lengths)
        period = np.searchsorted(ends, clock, side="right")
        times = starts[period] + clock - (ends - lengths)[period]
    elif isinstance(pattern, Diurnal):
        grid = np.linspace(0.0, duration, 100_001)
        swing = pattern.amplitude * pattern.period / (2 * np.pi)
        expected = rate * (grid + swing * (1 - np.cos(2 * np.pi * grid / pattern.period)))
        times = np.interp(_poisson(1.0, float(expected[-1]), f"{name}.arrivals", streams), expected, grid)
    else:
        times = _poisson(rate, duration, f"{name}.arrivals", streams)
    return np.asarray(times[(times >= 0) & (times < duration)], dtype=np.float64)


def _poisson(rate: float, duration: float, name: str, streams: Streams) -> Floats:
    """Poisson arrivals in [0, duration): as many exponential gaps as it takes."""
    size = int(rate * duration + 6 * np.sqrt(rate * duration) + 10)
    while True:
        times = np.cumsum(-np.log1p(-streams.uniform(name, size))) / rate
        if times[-1] >= duration:
            return np.asarray(times[times < duration], dtype=np.float64)
        size *= 2


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


def _requests(request: Codes, rows: Ints, name: str, site: str, workload: Workload, case: Case, streams: Streams) -> None:
    """Fill these rows, each with one shape of the step's request, with values drawn uniformly from their domains."""
    shapes = workload.traffic[name].steps[site]
    if not shapes:
        return
    weights = np.cumsum([shape.weight for shape in shapes])
    shape_of = np.searchsorted(weights / weights[-1], streams.uniform(f"{name}.{site}.shape", rows.size))
    for key in dict.fromkeys(key for shape in shapes for key in shape.ask):
        asks = np.array([key in shape.ask for shape in shapes])[shape_of]
        values = streams.uniform(f"{name}.{site}.{key}", rows.size)[asks] * workload.domain_size(case.domains[key])
        request[rows[asks], case.request.index(key)] = 1 + values.astype(np.int32)
    for number, shape in enumerate(shapes):
        for key in shape.clear:
            request[rows[shape_of == number], case.request.index(key)] = UNDEFINED


def _initial(workload: Workload, case: Case, streams: Streams) -> Codes:
    entries = np.zeros((workload.sessions.count, len(case.fields)), dtype=np.int32)
    for field in workload.sessions.initial:
        uniform = streams.uniform(f"initial.{field}", workload.sessions.count)
        entries[:, case.fields.index(field)] = 1 + (uniform * workload.domain_size(case.domains[field])).astype(np.int32)
    return entries
