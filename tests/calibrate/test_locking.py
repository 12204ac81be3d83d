"""How the lock works, inferred: against runs of the model that worked so, and against timelines written by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedules import CASE
from timelines import Row, timeline

from simlib.calibrate.locking import ENOUGH, _threshold, find_locking
from simlib.model.history import History
from simlib.model.simpy_model import simulate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload


def run_of(*overrides: str) -> History:
    workload = load_workload("handler-only", list(overrides))
    return simulate(workload, CASE, draw(workload, CASE, 3, 0))


def test_the_time_until_the_lock_is_free_is_found_again_in_a_run_of_the_model() -> None:
    locking = find_locking(run_of("duration=60", "store.release=0.002"), CASE)
    assert locking.release == pytest.approx(0.002, rel=1e-6)
    assert locking.early == 0.0


QUICK = ["times.handler.hold=0.0005", "times.patch.hold=0.0005", "times.inbound.hold=0.0005", "sessions.count=3"]
MANY = ["duration=120", "store.gateways=2", "traffic.turn.rate=60", "traffic.patch.rate=60"]


@pytest.mark.parametrize("tick", [0.0, 0.004, 0.05])
def test_the_mtimes_tick_is_found_again_in_a_run_of_the_model(tick: float) -> None:
    found = find_locking(run_of(*QUICK, *MANY, f"store.mtime_tick={tick}"), CASE).tick
    # Some hundred reads behind or more: a standard error of a tenth at most.
    assert found == pytest.approx(tick, rel=0.2, abs=1e-6)


def test_a_history_without_a_commit_says_nothing() -> None:
    rows = [Row("handler", float(n), n + 0.01, n + 0.02, ok=False, snapshot=-1) for n in range(30)]
    locking = find_locking(timeline(*rows), CASE)
    assert (locking.tick, locking.poll, locking.early, locking.release) == (None, None, 0.0, 0.0)


@pytest.mark.parametrize("hold", [0.005, 0.025])
def test_how_processes_share_the_lock_is_found_again_in_a_run_of_the_model(hold: float) -> None:
    workload = load_workload("handler-only", ["duration=60", "store.gateways=2", f"times.handler.hold={hold}"])
    locking = find_locking(simulate(workload, CASE, draw(workload, CASE, 3, 0)), CASE)
    assert locking.release == pytest.approx(0.0, abs=1e-3)
    assert locking.poll == pytest.approx(workload.store.lock_poll, rel=0.02)


def test_one_process_says_nothing_of_the_mtime_and_of_the_poll() -> None:
    locking = find_locking(run_of("duration=30"), CASE)
    assert locking.tick is None
    assert locking.poll is None


# ---- the lock of one process -------------------------------------------------------------------------------------------------

FREE, HOLD, GAP = 0.001, 0.01, 0.0004


def pair(start: float, before: float, gap: float) -> tuple[Row, Row]:
    """Two transactions: the first finds the lock free; the second begins so long `before` the first one's end."""
    end = start + FREE + HOLD
    return (
        Row("handler", start, start + FREE, end),
        Row("handler", end - before, end + gap, end + gap + HOLD, snapshot=-1, session=1),
    )


def pairs(waits: list[tuple[float, float]]) -> History:
    return timeline(*(row for number, wait in enumerate(waits) for row in pair(float(number), *wait)))


def test_acquire_gap_and_release_by_hand() -> None:
    locking = find_locking(pairs([(0.005, GAP)] * ENOUGH), CASE)
    assert locking.gap == pytest.approx(GAP)
    assert locking.acquire == pytest.approx(np.full(2 * ENOUGH, FREE))
    assert locking.early == 0.0
    assert locking.release == 0.0  # a free lock takes longer to get than this one: it is free when the commit is noted
    slow = find_locking(pairs([(0.005, 0.003)] * ENOUGH), CASE)
    assert slow.gap == pytest.approx(0.003)
    assert slow.release == pytest.approx(0.003 - FREE)


def test_who_took_longer_than_the_others_to_get_the_lock_had_it_later() -> None:
    locking = find_locking(pairs([(0.005, GAP)] * ENOUGH + [(0.005, GAP + 0.002)]), CASE)
    assert locking.acquire[-1] == pytest.approx(FREE + 0.002)
    assert locking.acquire[:-1] == pytest.approx(np.full(2 * ENOUGH + 1, FREE))


def test_too_few_waited_to_tell_the_gap() -> None:
    locking = find_locking(pairs([(0.005, GAP)] * (ENOUGH - 1)), CASE)
    assert locking.gap == pytest.approx(FREE)  # as if the lock had been free


@pytest.mark.parametrize(("before", "counts"), [(0.0024, False), (0.0026, True)])
def test_who_began_in_the_last_quarter_of_a_hold_does_not_tell_the_gap(before: float, counts: bool) -> None:
    locking = find_locking(pairs([(0.005, GAP)] * ENOUGH + [(before, 0.002)] * (2 * ENOUGH)), CASE)
    assert locking.gap == pytest.approx(0.002 if counts else GAP)


def test_a_site_tells_when_it_began_to_wait_if_any_of_its_rows_does() -> None:
    rows = [Row("handler", n, n + 0.004 + FREE, n + 0.1, queued=n + 0.004) for n in range(ENOUGH)]
    rows += [Row("patch", 100 + n, 100 + n + 2 * FREE, 100 + n + 0.1) for n in range(ENOUGH - 2)]
    history = timeline(*rows)
    locking = find_locking(history, CASE)
    known = dict(zip(CASE.sites, locking.known, strict=True))
    assert known == {site: site == "handler" for site in CASE.sites}
    began = locking.began_in(history)
    assert began[:ENOUGH] == pytest.approx(history.read[:ENOUGH] + 0.004)
    assert began[ENOUGH:] == pytest.approx(history.read[ENOUGH:])
    assert locking.acquire == pytest.approx([FREE] * ENOUGH + [2 * FREE] * (ENOUGH - 2))


def test_a_hold_lasts_from_when_the_lock_could_be_had_until_readers_see_the_commit() -> None:
    history = pairs([(0.005, GAP)] * ENOUGH)
    locking = find_locking(history, CASE)
    assert locking.hold_in(history) == pytest.approx(np.full(len(history), HOLD + FREE))
    early = replace(locking, early=0.003)
    assert early.hold_in(history) == pytest.approx(np.full(len(history), HOLD - 0.003 + FREE))
    never = replace(locking, early=1.0)
    assert never.hold_in(history) == pytest.approx(np.full(len(history), FREE))


# ---- when a commit is seen ---------------------------------------------------------------------------------------------------


AHEAD = [0.0005 * number for number in range(1, 20)]


def watched(seen_from: float, ahead: list[float], lasts: float = 0.02) -> History:
    """Commits that are seen `seen_from` before their noted end, each read once by a handler of its session so long `ahead`."""
    rows = []
    for number, before in enumerate(ahead):
        end = number + lasts
        rows.append(Row("patch", float(number), float(number), end, kind="patch"))
        shown = 2 * number if before < seen_from else 2 * number - 2 if number else -1
        rows.append(Row("handler", end - before, end + 0.1, end + 0.2, snapshot=shown))
    return timeline(*rows)


def test_how_early_a_commit_is_seen_against_reads_during_the_hold() -> None:
    found = find_locking(watched(0.00275, AHEAD), CASE).early
    assert found == pytest.approx(0.00275)  # the middle between 2.5 ms, seen, and 3.0 ms, not seen


def test_one_odd_read_does_not_move_the_time_when_commits_are_seen() -> None:
    history = watched(0.00275, AHEAD)
    odd = history.snapshot.copy()
    odd[2 * 12 + 1] = 2 * 12  # one that reads 6.5 ms ahead, and sees the commit
    assert find_locking(replace(history, snapshot=odd), CASE).early == pytest.approx(0.00275)


def test_one_that_held_the_lock_for_long_changes_nothing() -> None:
    def with_long(history: History) -> History:
        """The same, and its last transaction lasts a minute longer."""
        end = history.end.copy()
        end[-1] += 60
        return replace(history, end=end)

    held = find_locking(with_long(pairs([(0.005, GAP)] * ENOUGH)), CASE)
    assert held.gap == pytest.approx(GAP)
    assert find_locking(with_long(watched(1.0, [0.09] * 20, lasts=0.1)), CASE).early == pytest.approx(0.05)


def test_reads_of_any_session_tell_when_a_commit_is_seen() -> None:
    history = watched(0.00275, AHEAD)
    many = np.repeat(history.initial, 40, axis=0)  # more sessions than an entry has fields
    assert len(CASE.fields) < 39
    other = replace(history, session=np.full(len(history), 39), initial=many)
    assert find_locking(other, CASE).early == pytest.approx(0.00275)


def test_a_commit_is_never_seen_before_half_of_a_hold() -> None:
    found = find_locking(watched(1.0, [0.09] * 20, lasts=0.1), CASE).early
    assert found == pytest.approx(0.05)


# ---- several processes -------------------------------------------------------------------------------------------------------


def polled(waits: list[float], hold: float = 0.02) -> History:
    """Each second one process holds the lock, and another one finds it taken and has it so much later."""
    rows = []
    for number, wait in enumerate(waits):
        end = number + FREE + hold
        rows.append(Row("handler", float(number), number + FREE, end, gateway=1, session=1))
        began = end - min(wait / 2, hold / 2)
        rows.append(Row("handler", began, began + wait, began + wait + hold, gateway=0, snapshot=-1))
    return timeline(*rows)


def test_the_poll_by_hand() -> None:
    locking = find_locking(polled([0.05 + FREE] * 5), CASE)
    assert locking.poll == pytest.approx(0.05)
    assert find_locking(polled([0.05 + FREE] * 4), CASE).poll is None


def test_who_came_in_the_last_moment_does_not_tell_the_poll() -> None:
    # A third waited 5 ms, as the lock was free at their second try; the others had to poll once, or twice.
    locking = find_locking(polled([0.005] * 10 + [0.05 + FREE] * 12 + [0.1 + FREE] * 10), CASE)
    assert locking.poll == pytest.approx(0.05)


def test_waits_of_several_tries_do_not_tell_the_poll() -> None:
    locking = find_locking(polled([0.05 + FREE] * 6 + [0.1 + FREE] * 24), CASE)
    assert locking.poll == pytest.approx(0.05)
    few_long = find_locking(polled([0.05 + FREE] * 12 + [0.9] * 3), CASE)  # a quarter of their mean would be too long
    assert few_long.poll == pytest.approx(0.05)
    rare = find_locking(polled([0.05 + FREE] * 2 + [0.1 + FREE] * 28), CASE)
    assert rare.poll == pytest.approx(0.1)  # a tenth of the waits stands for one try; less is an outlier


def asked(released: float, first: float = -0.010) -> History:
    """A process gives its lock up so long after its noted commit; another one asks, from `first` after the commit to 8 ms.

    One second, one question: half a millisecond later each time. Who finds the lock taken has it 50 ms later. The last of those
    waits a little less than one try, as happens, and the first that finds it free is slow to take it.
    """
    rows, end = [], FREE + HOLD
    for number, asks in enumerate(np.arange(first, 0.00801, 0.0005).tolist()):
        rows.append(Row("handler", float(number), number + FREE, number + end, gateway=1, session=1))
        last, next_one = released - 0.0005 < asks < released, released < asks < released + 0.0005
        wait = 0.04 if last else 0.05 if asks < released else 0.02 if next_one else 0.0
        lock = number + end + asks + FREE + wait
        rows.append(Row("handler", number + end + asks, lock, lock + HOLD, snapshot=-1))
    return timeline(*rows)


def test_how_long_another_processes_lock_stays_taken_after_its_commit() -> None:
    # The middle between the last question that found it taken, at 3.0 ms, and the first one that did not.
    assert find_locking(asked(0.00325), CASE).release == pytest.approx(0.00325)
    assert find_locking(asked(-0.00175), CASE).release == 0.0  # free before the commit is noted, and seen then


def test_too_few_asked_another_process_to_tell_when_the_lock_is_free() -> None:
    # From 6.5 ms before to 3 ms after the commit 20 questions find the lock taken, and 19 if the first one is left out.
    enough, few = (find_locking(asked(0.00325, first), CASE) for first in (-0.0065, -0.006))
    assert enough.release == pytest.approx(0.00325)
    assert few.release == 0.0
    assert few.poll == pytest.approx(0.05)


# ---- the mtime ---------------------------------------------------------------------------------------------------------------


def behind(gap: float, *flags: bool, before: int = 0, loaded: bool = False, at_once: bool = False) -> History:
    """A commit, `gap` seconds later one of process 1, and then a read of process 0, which may be behind: once a second.

    Args:
        gap: in seconds.
        flags: for each second, whether the read shows the first commit in place of the second one.
        before: the process that does the first commit.
        loaded: whether process 0 reads another session in between.
        at_once: whether it reads at the very moment of the second commit.
    """
    rows: list[Row] = []
    for second, flag in enumerate(flags):
        first = second + 0.01
        size = len(rows)
        rows.append(Row("patch", float(second), float(second), first, gateway=before, kind="patch"))
        if loaded:
            rows.append(Row("handler", first + gap / 2, first + gap / 2, first + gap / 2, session=1, ok=False, snapshot=-1))
        rows.append(Row("patch", first, first, first + gap, gateway=1, kind="patch"))
        shown = size if flag else len(rows) - 1
        read = first + gap if at_once else second + 0.5
        rows.append(Row("handler", read, read, read + 0.01, snapshot=shown))
    return timeline(*rows)


def test_the_tick_by_hand() -> None:
    def tick(gap: float, late: int, of: int, **how: int) -> float | None:
        return find_locking(behind(gap, *[True] * late, *[False] * (of - late), **how), CASE).tick

    # Two commits in a tick: of 20 pairs 10 ms apart, half are in one of 20 ms.
    assert tick(0.01, 10, 20) == pytest.approx(0.02)
    assert tick(0.01, 15, 20) == pytest.approx(0.04)
    assert tick(0.01, 5, 20) == pytest.approx(0.01 / 0.75)
    assert tick(0.01, 10, 20, at_once=True) == pytest.approx(0.02)
    assert tick(0.01, 4, 20) is None  # too few
    assert tick(0.001, 0, 20) == 0.0  # with the usual tick of 4 ms 15 would have been behind
    assert tick(0.001, 0, 6) is None
    assert tick(0.15, 10, 20) == 0.1  # the coarsest there is
    # A process that knows nothing of the first commit has no cache to be wrong.
    assert tick(0.01, 10, 20, before=2) is None
    assert tick(0.01, 10, 20, before=2, loaded=True) == pytest.approx(0.02)


# ---- the threshold -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=12, unique_by=lambda item: item[0]))
def test_a_threshold_disagrees_with_as_few_as_any_other(items: list[tuple[int, bool]]) -> None:
    values, below = np.array([float(value) for value, _ in items]), np.array([flag for _, flag in items])

    def wrong(threshold: float) -> int:
        return int(((values < threshold) != below).sum())

    found = _threshold(values, below)
    least = min(wrong(threshold) for threshold in np.arange(-5.5, 6.0))
    # At its upper end the threshold is the greatest value itself, which then counts as below it.
    assert min(wrong(found), wrong(found + 1e-9)) == least
    lowest = min(threshold for threshold in np.arange(-5.5, 6.0) if wrong(threshold) == least)
    between = sorted(values[values < lowest]), sorted(values[values > lowest])
    if not between[0]:
        assert found == -np.inf
    elif between[1]:
        assert found == (between[0][-1] + between[1][0]) / 2
    else:
        assert found == between[0][-1]
