"""A lock that is asked for more than it can give: by hand sums of the workload, and from a run; its waits are left out."""

import math
from dataclasses import replace

import numpy as np
import pytest
from schedules import CASE

from simlib.case.case import Case
from simlib.case.discipline import Guard, Lock
from simlib.estimate.experiment import run
from simlib.estimate.overload import grows, requested_load
from simlib.estimate.wording import overload_note
from simlib.workload.workload import Workload

SPANS = {"hold": {"dist": "exponential", "mean": 0.02}, "compute": {"dist": "gamma", "mean": 0.05, "shape": 2.0}}


def workload(**changes: object) -> Workload:
    data = {
        "workload": "hot", "about": "", "case": "openclaw-70575", "duration": 30.0, "replicates": 3, "sessions": {"count": 3},
        "store": {"release": 0.005}, "values": {"label": 4},
        "traffic": {"patch": {"rate": 8.0, "steps": {"patch": [{"ask": ["label"]}]}},
                    "turn": {"rate": 10.0, "steps": {"handler": []}}},
        "times": {"patch": {"hold": 0.01}, "handler": SPANS},
    } | changes  # fmt: skip
    return Workload.model_validate(data)


def test_the_requested_load_against_a_sum_by_hand() -> None:
    outside = 8 * (0.01 + 0.005) + 10 * (0.02 + 0.005)
    assert requested_load(workload(), CASE, CASE.strategy("after-19328")) == pytest.approx(outside)
    assert requested_load(workload(), CASE, CASE.strategy("in-mutator")) == pytest.approx(outside + 10 * 0.05)
    recorded = {"patch": {"rate": 99.0, "arrivals": {"kind": "recorded", "times": [1, 2, 3, 31]}, "steps": {"patch": []}}}
    spans = {"patch": {"hold": {"dist": "empirical", "values": [4.0, 0.0, 1.0]}}}
    # Linear between the sorted values: the mean of 0.5 and 2.5.
    load = requested_load(workload(traffic=recorded, times=spans), CASE, CASE.strategy("after-19328"))
    assert load == pytest.approx(3 * (1.5 + 0.005) / 30)


def disciplined(*locks: Lock, guard: Guard | None = None, **changes: object) -> Case:
    """The case with a strategy `new`: the rules of after-19328, these locks, and a guard at the handler."""
    strategy = CASE.strategy("after-19328")
    guards = tuple(guard if site == "handler" else None for site in CASE.sites)
    discipline = replace(strategy.discipline, locks=locks, guards=guards, **changes)
    return replace(CASE, strategies={**CASE.strategies, "new": replace(strategy, name="new", discipline=discipline)})


def test_the_load_requested_of_other_locks_against_sums_by_hand() -> None:
    sites, turn = frozenset(CASE.sites), {"patch": {"rate": 8.0, "steps": {"patch": []}},
                                          "turn": {"rate": 10.0, "steps": {"handler": [], "run_start": []}}}  # fmt: skip
    times = {"patch": {"hold": 0.01}, "handler": {**SPANS, "prepare": 0.1, "check": 0.004},
             "run_start": {"after": 0.3, "prepare": 0.2, "hold": 0.03}}  # fmt: skip
    busy = workload(traffic=turn, times=times)

    def load(*locks: Lock, guard: Guard | None = None) -> float:
        case = disciplined(*locks, guard=guard)
        return requested_load(busy, case, case.strategy("new"))

    handler, released = 0.1 + 0.05 + 0.02 + 0.005, 0.005
    merges = 8 * (0.01 + released) + 10 * (0.02 + released + 0.03 + released)
    assert load() == 0
    assert load(Lock("store", "merge", sites)) == pytest.approx(merges)
    assert load(Lock("store", "merge", sites), guard=Guard("version")) == pytest.approx(merges + 10 * 0.004)
    assert load(Lock("store", "transaction", frozenset(["handler"]))) == pytest.approx(10 * handler)
    flow = 10 * (handler + 0.3 + 0.2 + 0.03 + released)
    assert load(Lock("store", "flow", frozenset(["handler"]))) == pytest.approx(flow)
    shares = [1 / (1 / 1 + 1 / 2 + 1 / 3)] if busy.sessions.popularity == "zipf" else [1 / 3]
    assert load(Lock("entry", "flow", frozenset(["handler"]))) == pytest.approx(flow * max(shares))
    assert load(Lock("entry", "merge", sites), Lock("store", "flow", frozenset(["handler"]))) == pytest.approx(flow)
    # One lock of the store, taken for two spans; who has it for the flow does not take it again to merge.
    others = 8 * (0.01 + released)
    assert load(Lock("store", "flow", frozenset(["handler"])), Lock("store", "merge", sites)) == pytest.approx(flow + others)


def test_the_load_of_arrivals_for_all_sessions_against_sums_by_hand() -> None:
    """Each asks every entry's lock once, and the store's as often as there are sessions."""
    traffic = {
        "patch": {"rate": 2.0, "sessions": "all", "steps": {"patch": []}},
        "turn": {"rate": 10.0, "steps": {"handler": []}},
    }
    model = workload(traffic=traffic, store={}, sessions={"count": 3, "popularity": "zipf"})
    sites = frozenset(CASE.sites)
    for scope, patches, busiest in (("store", 3 * 2.0, 1.0), ("entry", 2.0, 6 / 11)):
        case = disciplined(Lock(scope, "merge", sites))
        load = requested_load(model, case, case.strategy("new"))
        assert load == pytest.approx(patches * 0.01 + 10 * busiest * 0.02)


@pytest.mark.parametrize(("load", "growing"), [(0.5, False), (0.9, False), (1.1, True)])
def test_a_backlog_grows_where_the_theory_of_one_server_says_so(load: float, growing: bool) -> None:
    """Lindley's recursion with exponential service; at a load of 1.1 the growth is 1 - 1 / 1.1 of what arrives."""
    rng, size, replicates = np.random.default_rng(3), 12_000, 8
    counts = []
    for _ in range(replicates):
        arrive, serve = np.cumsum(rng.exponential(1.0, size)), rng.exponential(load, size)
        end = np.maximum.accumulate(arrive - np.concatenate([[0.0], np.cumsum(serve)[:-1]])) + np.cumsum(serve)
        middle, last = arrive[-1] / 2, arrive[-1]
        open_at = [np.count_nonzero((arrive <= time) & (time < end)) for time in (middle, last)]
        counts.append((*open_at, np.count_nonzero(arrive > middle)))
    columns = np.array(counts, dtype=np.float64).T
    for some in (slice(1), slice(3), slice(None)):
        assert grows(*columns[:, some]) == growing
    if growing:
        assert (columns[1] - columns[0]).sum() / columns[2].sum() == pytest.approx(1 - 1 / load, abs=0.03)


def test_retries_that_overload_a_lock_which_first_attempts_alone_would_not_make_a_strategy_unstable() -> None:
    """A guard that lets nothing through after a session's first commit, and takes some time to find out: 60 times."""
    case = disciplined(
        Lock("store", "merge", frozenset(CASE.sites)), guard=Guard("reordered_bytes", attempts=60), stores="entry"
    )
    times = {"patch": {"hold": 0.001}, "handler": {"hold": 0.001, "check": 0.002}}
    result = run(workload(times=times, store={}), case, ["after-19328", "new"])
    assert result.load("new").requested < 0.1
    assert (result.stable("after-19328"), result.stable("new")) == (True, False)
    assert result.failed_rate("new").estimate > 0.9


def test_the_observed_load_of_a_run_against_the_requested_one() -> None:
    result = run(workload(replicates=20), CASE, ["after-19328"])
    load = result.load("after-19328")
    # A compound Poisson process: its variance is rate x second moment of the hold.
    variance = (8 * 0.015**2 + 10 * (2 * 0.02**2 + 2 * 0.02 * 0.005 + 0.005**2)) / (30 * 20)
    assert abs(load.observed - load.requested) < 4 * math.sqrt(variance)
    assert not result.overloaded
    assert overload_note(result) == ""
    assert "overloaded" not in result.to_json()


def test_waits_for_an_overloaded_lock_are_left_out_and_the_reason_comes_first() -> None:
    times = {"patch": {"hold": 0.01}, "handler": {"hold": 0.02, "compute": 0.08}}
    result = run(workload(times=times), CASE, ["after-19328", "in-mutator"])
    assert list(result.overloaded) == ["in-mutator"]
    price = result.price("in-mutator")
    assert all(math.isnan(price[f"wait_{which}"]) for which in ("mean", "p50", "p95", "p99"))
    assert math.isfinite(price["hold_p99"])
    assert math.isfinite(result.price("after-19328")["wait_p99"])
    data = result.to_json()
    assert data["overloaded"]["in-mutator"]["requested"] == pytest.approx(8 * 0.015 + 10 * 0.105)
    assert data["cost"]["in-mutator"]["wait_p99"] is None
    assert "asked for more than it can give with in-mutator (1." in overload_note(result)
