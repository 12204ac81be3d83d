"""Random small cases: two fields, sites of every snapshot, and rules of every shape."""

from typing import Any

from hypothesis import strategies as st

from simlib.case.case import Case, compile_case
from simlib.case.case_file import CaseModel
from simlib.common.files import validated
from simlib.workload.workload import Workload

SOURCES = ["stale.a", "stale.b", "fresh.a", "fresh.b", "request.a", "request.x", "effective(stale, request).v", "undefined"]
SERIAL = ["fresh.a", "fresh.b", "request.a", "request.x", "effective(fresh, request).v"]
STEPS = [["first"], ["first", "late"], ["cached"], ["plain"], ["plain", "first"]]


@st.composite
def rules(draw: st.DrawFn, sources: list[str]) -> dict[str, object]:
    """A table of rules for the fields a and b."""
    table: dict[str, object] = {}
    for field in ("a", "b"):
        value = " ?? ".join(draw(st.lists(st.sampled_from(sources), min_size=1, max_size=2)))
        when = draw(st.sampled_from(["always", "always", "defined", "requested"]))
        if when == "requested" and not value.startswith("request"):
            when = "always"
        unless = draw(st.sampled_from([None, None, None, *sources]))
        if draw(st.integers(0, 5)):
            table[field] = {"value": value, "when": when} | ({"unless": unless} if unless else {})
    return table


LOCKS = [{}, {"scope": "entry"}, {"span": "transaction"}, {"span": "flow"}, {"sites": ["first"]}, {"late": "go_on"}]
GUARDS = ["version", "version", "bytes", "read_set", "write_set", "owner", "reordered_bytes", ["a"], ["b"]]
SNAPSHOTS = ["direct", "direct", "none", "lagged", "memory"]


@st.composite
def disciplines(draw: st.DrawFn) -> dict[str, Any]:
    """What a strategy of a random case says of its locks, snapshots and guards."""
    sites = ("first", "late", "cached", "plain")
    guard = st.fixed_dictionaries(
        {"compare": st.sampled_from(GUARDS)},
        optional={"used_up": st.sampled_from(["skip", "write"]), "atomic": st.just(False), "attempts": st.just(3)},
    )
    return {
        "locks": draw(st.sampled_from([[lock] for lock in LOCKS] + [[]])),
        "guards": draw(st.dictionaries(st.sampled_from(sites), guard)),
        "snapshots": draw(st.dictionaries(st.sampled_from(sites[:3]), st.sampled_from(SNAPSHOTS))),
        "stores": draw(st.sampled_from(["entry", "fields", "store"])),
    }


@st.composite
def models(draw: st.DrawFn, right: bool = False, disciplined: bool = False) -> dict[str, Any]:
    """The data of a random case of two fields, with sites of every snapshot and a scope of two flows.

    Args:
        draw: from hypothesis.
        right: whether some of the sites write what the reference writes.
        disciplined: whether it has locks, snapshots and guards of its own.
    """
    snapshots = {"first": "own", "late": "first", "cached": "in_lock", "plain": "none"}
    sites = {site: {"role": "write", "snapshot": snapshot} for site, snapshot in snapshots.items()}
    flows = draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=2))
    written = st.one_of(st.just("reference"), rules(SOURCES)) if right else rules(SOURCES)
    own = draw(disciplines()) if disciplined else {}
    return {
        "case": "random", "title": "random", "baseline": "s",
        "fields": {"a": {"domain": "d"}, "b": {"domain": "d"}}, "request": {"x": {"domain": "d"}},
        "effective": {
            "values": {"v": draw(st.sampled_from(["entry.a ?? request.x", "entry.b ?? entry.a ?? request.a", "request.x"]))},
            "conflict": {"entry": draw(st.sampled_from(["entry.a", "entry.b"])), "request": "request.x"},
        },
        "sites": sites,
        "reference": {site: draw(rules(SERIAL)) for site in sites},
        "strategies": {"s": {"title": "s", **own, "sites": {site: draw(written) for site in sites}}},
        "flows": {f"flow-{number}": steps for number, steps in enumerate(flows)},
        "scopes": {"both": [f"flow-{number}" for number in range(len(flows))]},
    }  # fmt: skip


def cases(right: bool = False, disciplined: bool = False) -> st.SearchStrategy[Case]:
    """The same, compiled."""
    return models(right, disciplined).map(lambda data: compile_case(CaseModel.model_validate(data), "random"))


@st.composite
def workloads(draw: st.DrawFn, case: Case) -> Workload:
    """A few seconds of the case's flows on one or two sessions and up to three processes, with caches that may go stale."""
    pause = st.builds(lambda mean: {"dist": "exponential", "mean": mean}, st.sampled_from([0.01, 0.1]))
    keys = st.lists(st.sampled_from(case.request), unique=True)
    shapes = st.lists(st.fixed_dictionaries({"ask": keys}), min_size=1, max_size=3)
    data = {
        "workload": "drawn", "about": "drawn by hypothesis", "case": case.name, "duration": 4,
        "sessions": {"count": draw(st.integers(1, 2)), "initial": draw(st.lists(st.sampled_from(case.fields), unique=True))},
        "store": {"gateways": draw(st.integers(1, 3)), "mtime_tick": draw(st.sampled_from([0.0, 1.0]))},
        "values": dict.fromkeys(case.domains.values(), 3),
        "traffic": {
            name: {"rate": 3, "steps": {site: draw(shapes) for site in steps}} for name, steps in case.flows.items()
        },
        "times": {
            site: {part: draw(pause) for part in ("prepare", "hold", "check", "gap", "lag", "after")} for site in case.sites
        },
    }  # fmt: skip
    return validated(Workload, data, "drawn workload")
