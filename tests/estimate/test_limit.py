"""The throughput at which a strategy stops being stable, against what its lock can give."""

import math
from collections.abc import Callable

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.limit import PRECISION, find_limit, units_per_second
from simlib.estimate.overload import requested_load
from simlib.workload.workload import load_workload

CURES = load_case("openclaw-cures")
ONE_SESSION = load_workload("handler-only", ["sessions.count=1", "duration=200"])


@pytest.mark.parametrize("strategy", ["after-19328", "identity-in-lock", "run-lock"])
def test_a_lock_is_full_where_the_work_done_under_it_takes_all_its_time(strategy: str) -> None:
    """Against utilisation = rate x work: of a lock for merges alone, over one site's transactions beside them, over flows."""
    found = find_limit(ONE_SESSION, CURES, strategy, replicates=2)
    full = units_per_second(ONE_SESSION, CURES) / requested_load(ONE_SESSION, CURES, CURES.strategy(strategy))
    assert found.unstable <= found.stable * PRECISION
    assert 0.9 * full < found.stable < full


def test_locks_of_one_scope_are_one_lock_by_hand() -> None:
    """A handler that holds the store's lock from its snapshot on, and others that take the same one to merge."""
    workload = load_workload(
        "handler-only",
        ["times.handler={prepare: 0.02, compute: 0.01, hold: 0.005}", "times.patch={hold: 0.004}", "store.release=0.001"],
    )
    turns, patches, inbound = (workload.traffic[name].rate for name in ("turn", "patch", "inbound"))
    merged = inbound * (workload.times["inbound"].hold.expected + 0.001) + patches * 0.005
    for strategy, seconds in (("after-19328", 0.006), ("identity-in-lock", 0.036)):
        asked = requested_load(workload, CURES, CURES.strategy(strategy))
        assert asked == pytest.approx(turns * seconds + merged)


def test_attempts_that_make_further_attempts_necessary_end_it_before_the_lock_is_full() -> None:
    """Against the same lock without a guard: a site on one entry that is tried again at once until nobody was faster."""
    workload = load_workload(
        "handler-only", ["sessions.count=1", "duration=100", "traffic.patch.rate=0", "traffic.inbound.rate=0"]
    )
    free, guarded = (find_limit(workload, CURES, name, replicates=2) for name in ("after-19328", "bytes-four-tries"))
    assert math.isfinite(guarded.unstable)
    assert guarded.unstable <= free.unstable


def test_units_of_work_that_a_second_brings_against_those_that_began() -> None:
    for workload, case in ((ONE_SESSION, CURES), (load_workload("atlas-mongoose"), load_case("atlas-mongoose"))):
        result = run(workload, case, [case.baseline], replicates=4)
        begun = result.numbers(case.baseline)["units_begun"].sum()
        seconds = 4 * workload.duration
        assert abs(begun - units_per_second(workload, case) * seconds) < 5 * math.sqrt(begun)


def test_recorded_arrivals_are_refused(refused: Callable[..., str]) -> None:
    workload = load_workload("handler-only", ["traffic.turn.arrivals={kind: recorded, times: [1.0]}"])
    assert "traffic.turn.arrivals: recorded" in refused(find_limit, workload, CURES, "all-sites")
