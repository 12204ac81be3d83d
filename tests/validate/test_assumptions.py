"""What each assumption does, against its definition on the same draws, and what is not modelled, against histories made so."""

from dataclasses import replace

import numpy as np
import pytest
from schedules import CASE
from scipy import stats
from timelines import Row, timeline

from simlib.model.compiled_model import simulate
from simlib.model.history import History
from simlib.model.queueing_theory import stale_snapshots
from simlib.validate.assumptions import CHANGES, CLOSE, Answer, answer, theoretical, unmodelled, variants, workload_alone
from simlib.validate.predict import Half, Shown, halves, replicate_of
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload, load_workload

RELEASE = 0.003
WORKLOAD = load_workload("handler-only", ["duration=60", f"store.release={RELEASE}", "sessions.popularity=zipf"])
TRAFFIC = draw(WORKLOAD, CASE, 5, 0)


def changed(assumption: str, traffic: Traffic = TRAFFIC) -> tuple[Workload, Traffic]:
    change = CHANGES[assumption]
    assert change
    return change(WORKLOAD, traffic)


def run(workload: Workload, traffic: Traffic) -> History:
    return simulate(workload, CASE, traffic)


def lock_after_a_wait(history: History) -> np.ndarray:
    """Seconds from a commit to the next lock, where somebody was waiting for it."""
    waited = history.queued[1:] < history.end[:-1]
    return (history.lock[1:] - history.end[:-1])[waited]


def test_the_lock_is_free_as_soon_as_a_commit_is_seen_and_not_a_release_later() -> None:
    assert np.allclose(lock_after_a_wait(run(WORKLOAD, TRAFFIC)), RELEASE)
    workload, traffic = changed("the lock is free as soon as a commit is seen")
    assert traffic is TRAFFIC
    waits = lock_after_a_wait(run(workload, traffic))
    assert waits.size > 100
    assert np.allclose(waits, 0.0)


def test_a_commit_seen_only_when_the_lock_is_free_leaves_every_lock_where_it_was() -> None:
    before, after = run(WORKLOAD, TRAFFIC), run(*changed("a commit is seen only when the lock is free"))
    assert np.allclose(after.lock, before.lock)
    assert np.allclose(after.end, before.end + RELEASE)


@pytest.mark.parametrize("assumption", ["times that know nothing of each other", "likewise, and Poisson arrivals"])
def test_mixed_times_are_the_same_times_of_each_site_in_an_order_that_tells_nothing(assumption: str) -> None:
    ramp = np.linspace(0.001, 0.002, TRAFFIC.site.size)  # each hold knows the one before, and its own preparation
    _, mixed = changed(assumption, replace(TRAFFIC, prepare=ramp, hold=3 * ramp))
    for site in np.unique(TRAFFIC.site):
        rows = TRAFFIC.site == site
        assert np.array_equal(np.sort(mixed.prepare[rows]), ramp[rows])
        assert np.array_equal(np.sort(mixed.hold[rows]), 3 * ramp[rows])
        few = 4 / np.sqrt(rows.sum())  # four standard errors of a correlation that is 0
        assert abs(np.corrcoef(mixed.prepare[rows], mixed.hold[rows])[0, 1]) < few
        assert abs(np.corrcoef(mixed.hold[rows][:-1], mixed.hold[rows][1:])[0, 1]) < few


def test_poisson_arrivals_are_as_many_as_before_and_uniform_over_the_whole_time() -> None:
    _, traffic = changed("likewise, and Poisson arrivals", replace(TRAFFIC, arrive=np.sort(TRAFFIC.arrive / 10)))
    assert traffic.arrive.size == TRAFFIC.arrive.size
    assert np.array_equal(traffic.arrive, np.sort(traffic.arrive))
    assert stats.kstest(traffic.arrive / WORKLOAD.duration, "uniform").pvalue > 1e-3


def test_equal_sessions_are_as_many_as_before_with_the_same_number_of_requests_each() -> None:
    count = WORKLOAD.sessions.count
    assert stats.chisquare(np.bincount(TRAFFIC.session, minlength=count)).pvalue < 1e-9  # Zipf
    _, traffic = changed("all sessions equally popular")
    assert stats.chisquare(np.bincount(traffic.session, minlength=count)).pvalue > 1e-3
    assert traffic.session.size == TRAFFIC.session.size
    assert traffic.arrive is TRAFFIC.arrive


@pytest.fixture(scope="module")
def half() -> Half:
    workload = load_workload("handler-only", ["duration=60", f"store.release={RELEASE}"])
    return halves(run(workload, draw(workload, CASE, 5, 0)), CASE, "model")[0]


def test_variants_are_the_replicates_with_each_change_and_the_numbers_asked_for(half: Half) -> None:
    found = variants(half, 2, seed=1, first=3)
    assert list(found) == list(CHANGES)
    for name, change in CHANGES.items():
        assert found[name] == answer(half.rule, [replicate_of(half, 1, number, change) for number in (3, 4)])
    assert len({shown.stale for shown in found.values()}) == len(CHANGES)
    from_the_first = variants(half, 1, seed=1)
    assert from_the_first["as predicted"] == answer(half.rule, [replicate_of(half, 1, 0)])


def test_what_assumptions_do_against_which_way_they_must_work(half: Half) -> None:
    found = variants(half, 4, seed=1)
    predicted = found["as predicted"]
    assert found["the lock is free as soon as a commit is seen"].stale < predicted.stale
    assert found["a commit is seen only when the lock is free"].stale > predicted.stale


def test_theory_against_the_workload_alone_that_it_is_about(half: Half) -> None:
    by_run = np.array([workload_alone(half, 1, 1, number).stale for number in range(12)])
    theory = theoretical(half)
    assert theory is not None
    assert np.isnan(theory.clobber_rate)
    assert theory.waits == ()
    # A calibration of Poisson arrivals may find them a little bursty or not; times and rates are the same.
    assert abs(by_run.mean() - theory.stale) < 4 * by_run.std(ddof=1) / np.sqrt(by_run.size)
    run_with = load_workload("handler-only", [f"store.release={RELEASE}"])
    assert theory.stale == pytest.approx(stale_snapshots(run_with, CASE).stale, rel=0.15)  # calibrated from 30 seconds


def test_a_workload_alone_pools_the_replicates_that_it_is_asked_for(half: Half) -> None:
    together = workload_alone(half, 2, 1, first=5)
    each = [workload_alone(half, 1, 1, number) for number in (5, 6)]
    assert workload_alone(half, 1, 1) == workload_alone(half, 1, 1, first=0)
    assert together.waits == pytest.approx(np.mean([one.waits for one in each], axis=0))
    assert min(one.stale for one in each) <= together.stale <= max(one.stale for one in each)


def test_theory_says_nothing_of_two_processes(half: Half) -> None:
    evidence = replace(half.others.evidence, store={**half.others.evidence.store, "gateways": 2})
    assert theoretical(replace(half, others=replace(half.others, evidence=evidence))) is None


def test_an_answer_by_hand() -> None:
    def shown(hits: int, units: int, waits: list[float]) -> Shown:
        return Shown({("r", "clobber_rate"): (hits, units), ("", "stale_snapshots"): (2 * hits, units)}, np.array(waits))

    # Medians 1, 50 and 300; 99 % quantiles 1.98, 99 and 300.
    runs = [shown(1, 10, [0.0, 1.0, 2.0]), shown(5, 10, list(range(101))), shown(0, 20, [300.0])]
    assert answer("r", runs) == Answer(6 / 40, 12 / 40, (50.0, 99.0))
    assert np.isnan(answer("r", [shown(0, 0, [1.0])]).clobber_rate)


# ---- what is not in the model ------------------------------------------------------------------------------------------------


def held(holds: np.ndarray) -> History:
    """A history of these holds, a second apart."""
    return timeline(*(Row("handler", float(n), float(n), n + float(hold), snapshot=-1) for n, hold in enumerate(holds)))


SOME = np.array([0.1, 0.2, 0.1, 0.3])


def arriving(half: Half, *arrivals: np.ndarray) -> list[Half]:
    return [replace(half, others=replace(half.others, arrive=times)) for times in arrivals]


def test_requests_together_against_poisson_arrivals_of_the_same_rate(half: Half) -> None:
    rng = np.random.default_rng(1)
    poisson = [np.cumsum(rng.exponential(0.02, 20_000)) for _ in range(2)]
    found = unmodelled(held(SOME), arriving(half, *poisson)).together
    expected = 40_000 * (1 - np.exp(-CLOSE / 0.02))
    assert abs(found - 1) < 4 / np.sqrt(expected)


def test_requests_together_against_pairs_that_are_counted_by_hand(half: Half) -> None:
    # Pairs 1 ms apart, every 0.2 s: 10 of 20 gaps are close, and 0.1 is the mean.
    pairs = (0.2 * np.arange(10)[:, None] + [0.0, 0.001]).ravel()
    pairs = np.append(pairs, 2.0)
    found = unmodelled(held(SOME), arriving(half, pairs, pairs)).together
    assert found == pytest.approx((10 / 20) / (1 - np.exp(-CLOSE / 0.1)))


def test_following_holds_and_drift_against_the_process_that_made_them(half: Half) -> None:
    rng = np.random.default_rng(2)
    steps = rng.normal(0, 0.01, 4000)
    for number in range(1, steps.size):
        steps[number] += 0.6 * steps[number - 1]
    found = unmodelled(held(0.3 + steps), [half])
    assert abs(found.following - 0.6) < 4 * np.sqrt((1 - 0.6**2) / steps.size)
    assert unmodelled(held(np.array([0.1, 0.2, 0.1, 0.3, 0.5, 0.3])), [half]).drift == pytest.approx(3.0)
    assert unmodelled(held(np.array([0.3, 0.3, 0.1, 0.1, 0.1])), [half]).drift == pytest.approx(1 / 3)


def test_what_gave_up_held_nothing_and_the_release_is_the_mean_of_the_halves(half: Half) -> None:
    good = held(np.array([0.1, 0.2, 0.1, 0.3, 0.5, 0.3]))
    rows = [Row("handler", n, n, n + hold, ok=hold < 0.9) for n, hold in enumerate([0.1, 0.2, 0.1, 0.9, 0.3, 0.5, 0.3])]
    assert unmodelled(timeline(*rows), [half]).drift == pytest.approx(unmodelled(good, [half]).drift)
    other = replace(half, others=replace(half.others, locking=replace(half.others.locking, release=0.009)))
    mean = (half.others.locking.release + 0.009) / 2
    assert unmodelled(good, [half, other]).release == pytest.approx(mean)
