"""Hypothesis strategies for disciplines, and workloads whose times meet on a grid: for every test that wants them."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from schedules import CASE, FIELDS

from simlib.case.discipline import Discipline, Guard, Lock, Pause
from simlib.common.files import validated
from simlib.workload.workload import Workload

SITES = st.frozensets(st.sampled_from(CASE.sites))
TIMES = st.sampled_from([0.0, 0.125, 0.5])
"""Whole eighths of a second, so that sums are exact and events tie; with zeros."""


def _spans(scope: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Lock, ...]]:
    """At most one lock of each span."""
    timeout = st.sampled_from([None, 0.0, 0.3, 5.0])

    def locks(span: str) -> st.SearchStrategy[Lock | None]:
        lock = st.builds(Lock, scope, st.just(span), SITES, timeout, st.sampled_from(["fail", "go_on"]))
        return st.one_of(lock, st.none())

    return st.tuples(*map(locks, ("flow", "transaction", "merge"))).map(lambda found: tuple(lock for lock in found if lock))


LOCKS = st.one_of(
    _spans(st.sampled_from(["store", "entry"])),
    st.just((Lock("store", "merge", frozenset(CASE.sites)),)),
    st.just((Lock("entry", "merge", frozenset(CASE.sites)),)),
)
PAUSES = st.builds(
    Pause, TIMES, st.sampled_from([1.0, 2.0]), st.sampled_from([0.25, 10.0]), st.sampled_from([0.0, 0.5]), st.booleans()
)
GUARDS = st.builds(
    Guard,
    compared=st.sampled_from(["version", "version", "fields", "owner", "reordered_bytes"]),
    fields=st.lists(st.sampled_from(FIELDS), max_size=3, unique=True).map(tuple),
    scope=st.sampled_from(["entry", "store"]),
    atomic=st.booleans(),
    attempts=st.sampled_from([1, 2, 3, 9]),
    pause=PAUSES,
    again=st.sampled_from(["all", "patch"]),
    used_up=st.sampled_from(["fail", "skip", "write"]),
)


@st.composite
def disciplines(draw: st.DrawFn) -> Discipline:
    """Any locks, snapshots, guards and ways to store; the rules are those of any strategy of the shipped case."""
    inherited = {"run_end": "run_start"}

    def snapshot(site: str) -> str:
        words = ["own", "in_lock", "none", "direct", "lagged", "memory"]
        return draw(st.sampled_from([*words, inherited[site]] if site in inherited else words))

    return Discipline(
        in_lock=draw(SITES),
        snapshots=draw(st.one_of(st.just(CASE.snapshots), st.just(None))) or tuple(map(snapshot, CASE.sites)),
        locks=draw(LOCKS),
        guards=tuple(draw(st.one_of(st.none(), GUARDS)) for _ in CASE.sites),
        stores=draw(st.sampled_from(["entry", "fields", "store"])),
        rules_of=draw(st.sampled_from(list(CASE.strategies))),
    )


@st.composite
def guarded_workloads(draw: st.DrawFn) -> Workload:
    """Small and busy workloads of the shipped case, on one to three gateways, with every part that a discipline can use."""
    parts = ("after", "prepare", "compute", "hold", "check", "gap", "lag")
    distribution = st.one_of(TIMES, st.sampled_from([{"dist": "exponential", "mean": mean} for mean in (0.02, 0.3)]))
    on_a_grid = draw(st.booleans())
    flows = [["handler"], ["handler", "run_start", "run_end"], ["patch", "handler"], ["patch"], ["inbound"]]
    keys = st.lists(st.sampled_from(["channel", "to", "label", "modelOverride"]), max_size=3, unique=True)
    data = {
        "workload": "drawn",
        "about": "drawn by hypothesis",
        "case": CASE.name,
        "duration": 6,
        "sessions": {"count": draw(st.integers(1, 3)), "initial": ["label"]},
        "store": {
            "gateways": draw(st.integers(1, 3)),
            "cache_ttl": draw(st.sampled_from([0.0, 1.0, 45.0])),
            "mtime_tick": draw(st.sampled_from([0.0, 2.0])),
            "lock_poll": 0.125,
            "lock_timeout": draw(st.sampled_from([0.25, 10.0])),
            "release": draw(st.sampled_from([0.0, 0.125])),
        },
        "values": dict.fromkeys(CASE.domains.values(), 2),
        "traffic": {
            f"flow-{number}": {
                "rate": 3,
                "arrivals": {"kind": "recorded", "times": [0.25 * turn + number / 4 for turn in range(16)]}
                if on_a_grid
                else "poisson",
                "steps": {site: [{"ask": draw(keys)}] for site in steps},
            }
            for number, steps in enumerate(draw(st.lists(st.sampled_from(flows), min_size=1, max_size=3)))
        },
        "times": {site: {part: draw(TIMES if on_a_grid else distribution) for part in parts} for site in CASE.sites},
    }
    return validated(Workload, data, "drawn workload")


def unlimited(guard: Guard) -> Guard:
    """The same with as many attempts as there can be."""
    return replace(guard, attempts=1000, used_up="fail")
