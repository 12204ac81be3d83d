import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.case.snapshots import previous_commits
from simlib.common.errors import InputError
from simlib.model.queueing_theory import lindley, make_queue, stale_snapshots, violations
from simlib.model.simpy_model import simulate
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload, load_workload

CASE = load_case("openclaw-70575")
LOADS = {
    "light": ["traffic.turn.rate=10", "traffic.patch.rate=5", "traffic.inbound.rate=2"],
    "as shipped": [],
    "heavy, popular sessions": ["traffic.turn.rate=60", "traffic.patch.rate=40", "sessions.popularity=zipf"],
    "lock held after the commit": ["store.release=0.003"],
}


def shares_and_waits(workload: Workload, replicates: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each replicate: share of stale handler snapshots, and mean wait of all transactions."""
    stale, wait = [], []
    for replicate in range(replicates):
        history = simulate(workload, CASE, draw(workload, CASE, 7, replicate))
        rows = history.site == CASE.sites.index("handler")
        stale.append((history.snapshot != previous_commits(history.session, history.ok))[rows].mean())
        wait.append((history.lock - history.queued).mean())
    return np.array(stale), np.array(wait)


@pytest.mark.parametrize("load", LOADS)
def test_share_of_stale_snapshots_and_mean_wait_against_the_simpy_model(load: str) -> None:
    workload = load_workload("handler-only", [*LOADS[load], "duration=60"])
    theory = stale_snapshots(workload, CASE)
    for seen, expected in zip(shares_and_waits(workload, 12), (theory.stale, theory.mean_wait), strict=True):
        error = seen.std(ddof=1) / np.sqrt(seen.size)
        assert abs(seen.mean() - expected) < 4 * error  # 4 standard errors of 12 replicates, t: once in 500 by chance


def test_waits_by_the_lindley_recursion_against_the_recursion_written_out() -> None:
    rng = np.random.default_rng(3)
    gaps, holds = rng.exponential(1.0, 200), rng.exponential(0.8, 200)
    wait, expected = 0.0, []
    for number in range(200):
        wait = max(0.0, wait + holds[number - 1] - gaps[number]) if number else 0.0
        expected.append(wait)
    assert np.allclose(lindley(gaps, holds), expected)


def test_mean_wait_by_pollaczek_and_khinchine_against_the_lindley_recursion() -> None:
    queue = make_queue(load_workload("handler-only"))
    waits = np.array([queue.waits(20_000, seed).mean() for seed in range(12)])
    assert abs(waits.mean() - queue.mean_wait()) < 4 * waits.std(ddof=1) / np.sqrt(waits.size)


def test_transform_of_the_time_in_the_system_against_its_mean() -> None:
    queue = make_queue(load_workload("handler-only"))
    step = 1e-4
    slope = (1 - queue.transform(step)) / step
    assert slope == pytest.approx(queue.mean_wait() + queue.weight @ queue.holds, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "overrides", "says"),
    [
        ("quiet", [], "chain of 3"),
        ("handler-only", ["traffic.turn.arrivals={kind: periodic}"], "periodic"),
        ("handler-only", ["store.gateways=2"], "2 gateways"),
        ("handler-only", ["traffic.turn.rate=2000"], "less than 1"),
    ],
)
def test_a_workload_outside_the_assumptions_is_refused_with_the_reason(name: str, overrides: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        stale_snapshots(load_workload(name, overrides), CASE)


@pytest.mark.parametrize(
    ("site", "says"),
    [
        (None, None),
        ("handler", None),
        ("patch", "patch has no snapshot"),
        ("run_start", "no flow has the write site"),
    ],
)
def test_handler_only_meets_the_assumptions_for_the_handler_and_for_no_site_that_reads_nothing_early(
    site: str | None, says: str | None
) -> None:
    broken = violations(load_workload("handler-only"), CASE, site)
    assert len(broken) == (says is not None)
    assert all(says in sentence for sentence in broken if says)


def test_two_processes_are_refused_because_theory_would_be_wrong_for_them() -> None:
    one = load_workload("handler-only", ["duration=60"])
    stale, _ = shares_and_waits(one.model_copy(update={"store": one.store.model_copy(update={"gateways": 2})}), 12)
    assert abs(stale.mean() - stale_snapshots(one, CASE).stale) > 5 * stale.std(ddof=1) / np.sqrt(stale.size)
