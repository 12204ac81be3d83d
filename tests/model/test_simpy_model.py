"""The SimPy model against small scenarios worked out by hand, invariants on random workloads, and queueing theory."""

from typing import NamedTuple

import numpy as np
import pytest
from by_hand import workload_of
from generators import SEEDS, workloads
from hypothesis import given, settings
from schedules import CASE, FIELDS

from simlib.model.simpy_model import simulate
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw


class Row(NamedTuple):
    """A row of the history, the flow by name and the snapshot as the name of the flow whose commit it shows."""

    flow: str
    site: str
    read: float
    queued: float
    lock: float
    end: float
    ok: bool
    snapshot: str | None


def trace(traffic, times, store=None, in_lock=()):
    """What happened, in the order in which it ended."""
    workload = workload_of(
        {name: ({site: [] for site in sites}, *rest) for name, (sites, *rest) in traffic.items()}, times, store
    )
    history = simulate(workload, CASE, draw(workload, CASE, 0, 0), CASE.plain(frozenset(in_lock)))
    names = [history.kinds[kind] for kind in history.kind]
    return [
        Row(
            names[row],
            CASE.sites[history.site[row]],
            *(round(float(column[row]), 9) for column in (history.read, history.queued, history.lock, history.end)),
            bool(history.ok[row]),
            names[history.snapshot[row]] if history.snapshot[row] >= 0 else None,
        )
        for row in range(len(history))
    ]


def test_one_turn_alone_reads_prepares_holds_and_commits_step_by_step():
    times = {
        "handler": {"after": 99, "prepare": 1, "compute": 0.5, "hold": 2},
        "run_start": {"after": 0.25, "prepare": 3, "hold": 1},
        "run_end": {"after": 10, "hold": 1},
    }
    assert trace({"turn": (["handler", "run_start", "run_end"], [5.0])}, times) == [
        Row("turn", "handler", 5, 6.5, 6.5, 8.5, True, None),
        Row("turn", "run_start", 8.75, 11.75, 11.75, 12.75, True, "turn"),
        Row("turn", "run_end", 22.75, 22.75, 22.75, 23.75, True, "turn"),
    ]


def test_run_end_inherits_the_snapshot_of_run_start_whatever_was_committed_since():
    traffic = {"run": (["run_start", "run_end"], [0.0]), "patch": (["patch"], [5.0])}
    times = {"run_start": {"prepare": 1, "hold": 1}, "run_end": {"after": 10, "hold": 1}, "patch": {"hold": 1}}
    assert trace(traffic, times) == [
        Row("run", "run_start", 0, 1, 1, 2, True, None),
        Row("patch", "patch", 5, 5, 5, 6, True, "run"),
        Row("run", "run_end", 12, 12, 12, 13, True, None),
    ]


def test_writers_of_one_gateway_get_the_lock_in_the_order_in_which_they_asked():
    traffic = {"first": (["patch"], [0.0]), "slow": (["handler"], [1.0]), "quick": (["inbound"], [2.0])}
    times = {"patch": {"hold": 10}, "handler": {"prepare": 3, "hold": 1}, "inbound": {"hold": 2}}
    assert trace(traffic, times) == [
        Row("first", "patch", 0, 0, 0, 10, True, None),
        Row("quick", "inbound", 2, 2, 10, 12, True, "first"),
        Row("slow", "handler", 1, 4, 12, 13, True, None),
    ]


def test_in_lock_moves_the_computation_into_the_hold_and_leaves_the_read_where_it_was():
    traffic = {"turn": (["handler"], [0.0]), "patch": (["patch"], [0.5])}
    times = {"handler": {"prepare": 1, "compute": 4, "hold": 2}, "patch": {"hold": 1}}
    assert trace(traffic, times) == [
        Row("patch", "patch", 0.5, 0.5, 0.5, 1.5, True, None),
        Row("turn", "handler", 0, 5, 5, 7, True, None),
    ]
    assert trace(traffic, times, in_lock=["handler"]) == [
        Row("patch", "patch", 0.5, 0.5, 0.5, 1.5, True, None),
        Row("turn", "handler", 0, 1, 1.5, 7.5, True, None),
    ]


TWO = {"gateways": 2, "mtime_tick": 0}


def test_another_process_polls_the_lock_file_after_50_100_150_milliseconds():
    # Polls at 0.1 + 0.05, + 0.1, + 0.15, + 0.2: 0.15, 0.25, 0.4, 0.6; the lock is free from 0.45 on.
    traffic = {"here": (["patch"], [0.0], [0]), "there": (["inbound"], [0.1], [1])}
    times = {"patch": {"hold": 0.45}, "inbound": {"hold": 0.01}}
    assert trace(traffic, times, TWO) == [
        Row("here", "patch", 0, 0, 0, 0.45, True, None),
        Row("there", "inbound", 0.1, 0.1, 0.6, 0.61, True, "here"),
    ]


def test_polling_waits_no_longer_than_a_second_at_a_time():
    # 0.05 + 0.10 + ... + 1.00 (20 polls) = 10.5; with a time-out of 30 s, then 11.5, 12.5, 13.5.
    traffic = {"here": (["patch"], [0.0], [0]), "there": (["inbound"], [0.0], [1])}
    times = {"patch": {"hold": 12.6}, "inbound": {"hold": 0.01}}
    assert trace(traffic, times, TWO | {"lock_timeout": 30})[1].lock == 13.5


def test_a_newcomer_can_take_the_lock_file_before_one_that_polls():
    traffic = {"here": (["patch"], [0.0], [0]), "polls": (["inbound"], [0.0], [1]), "late": (["handler"], [0.2], [2])}
    times = {"patch": {"hold": 0.16}, "inbound": {"hold": 0.01}, "handler": {"hold": 0.01}}
    # `polls` looks at 0.05, 0.15 and 0.30; the lock is free at 0.16 and taken at 0.2.
    assert [(row.flow, row.lock) for row in trace(traffic, times, TWO | {"gateways": 3})] == [
        ("here", 0),
        ("late", 0.2),
        ("polls", 0.3),
    ]


def test_a_writer_gives_up_at_its_first_poll_after_ten_seconds_and_its_flow_ends_there():
    traffic = {"here": (["patch"], [0.0], [0]), "there": (["handler", "run_start", "run_end"], [0.0], [1])}
    times = {"patch": {"hold": 60}, "handler": {"hold": 1}, "run_start": {"hold": 1}, "run_end": {"hold": 1}}
    assert trace(traffic, times, TWO) == [
        Row("there", "handler", 0, 0, 10.5, 10.5, False, None),
        Row("here", "patch", 0, 0, 0, 60, True, None),
    ]


def test_a_writer_that_gave_up_lets_the_next_in_its_queue_try():
    traffic = {"here": (["patch"], [0.0], [0]), "there": (["handler"], [0.0], [1]), "next": (["inbound"], [1.0], [1])}
    times = {"patch": {"hold": 10.9}, "handler": {"hold": 1}, "inbound": {"hold": 1}}
    # `next` comes to the lock file at 10.5 and polls it at 10.55, 10.65, 10.8 and 11.0.
    rows = trace(traffic, times, TWO)
    assert [row.flow for row in rows] == ["there", "here", "next"]
    assert not rows[0].ok
    assert rows[2].lock == 11.0


def snapshots(patches, reads, store):
    """What handlers on gateway 1 see at the times `reads`, while gateway 0 commits at the times `patches`."""
    traffic = {f"p{time}": (["patch"], [time - 0.001], [0]) for time in patches}
    traffic |= {f"r{time}": (["handler"], [time], [1]) for time in reads}
    times = {"patch": {"hold": 0.001}, "handler": {"prepare": 500, "hold": 0.001}}
    return [row.snapshot for row in sorted(trace(traffic, times, store), key=lambda row: row.read) if row.site == "handler"]


def test_another_processs_commit_is_seen_through_the_files_mtime():
    assert snapshots([1.0, 3.0], [0.5, 2.0, 4.0], TWO) == [None, "p1.0", "p3.0"]


def test_two_commits_within_a_tick_look_like_one_and_the_snapshot_is_stale():
    store = TWO | {"mtime_tick": 1.0}
    assert snapshots([1.1, 1.5], [1.3, 1.8, 5.0], store) == ["p1.1", "p1.1", "p1.1"]
    assert snapshots([1.1, 2.5], [1.3, 2.8], store) == ["p1.1", "p2.5"]


def test_the_cache_is_read_again_when_its_time_to_live_is_over():
    store = TWO | {"mtime_tick": 1.0, "cache_ttl": 45}
    assert snapshots([1.1, 1.5], [1.3, 46.2, 46.3, 46.4], store) == ["p1.1", "p1.1", "p1.5", "p1.5"]
    assert snapshots([1.1, 1.5], [1.3, 1.6], store | {"cache_ttl": 0}) == ["p1.1", "p1.5"]


def test_an_own_write_refreshes_the_cache():
    # All within one tick, so that mtime tells nothing.
    traffic = {
        "early": (["handler"], [0.2], [1]),
        "p": (["patch"], [0.25], [0]),
        "before": (["handler"], [0.4], [1]),
        "own": (["inbound"], [0.5], [1]),
        "after": (["handler"], [0.7], [1]),
    }
    times = {"patch": {"hold": 0.05}, "inbound": {"hold": 0.1}, "handler": {"prepare": 500, "hold": 0.001}}
    store = TWO | {"mtime_tick": 10.0, "cache_ttl": 1000}
    seen = {row.flow: row.snapshot for row in trace(traffic, times, store)}
    assert (seen["early"], seen["before"], seen["after"]) == (None, None, "own")


def test_an_inbound_message_reads_the_cache_in_the_lock_and_a_patch_the_file():
    traffic = {"warm": (["handler"], [0.1], [1]), "p": (["patch"], [0.2], [0])}
    times = {"patch": {"hold": 0.05}, "inbound": {"hold": 0.05}, "handler": {"prepare": 500, "hold": 0.001}}
    store = TWO | {"mtime_tick": 10.0, "cache_ttl": 1000}
    seen = {row.flow: row.snapshot for row in trace(traffic | {"late": (["inbound"], [0.4], [1])}, times, store)}
    assert seen["late"] is None
    seen = {row.flow: row.snapshot for row in trace(traffic | {"late": (["patch"], [0.4], [1])}, times, store)}
    assert seen["late"] == "p"


def test_sessions_share_the_lock_and_nothing_else():
    workload = workload_of({"patch": ({"patch": []}, 40.0)}, {"patch": {"hold": 0.01}}, duration=10, sessions=3)
    history = simulate(workload, CASE, draw(workload, CASE, 1, 0))
    newest = {}
    for row, session in enumerate(history.session.tolist()):
        assert history.snapshot[row] == newest.get(session, -1)
        newest[session] = row
    assert (history.lock[1:] >= history.end[:-1]).all()


@settings(max_examples=60)
@given(workload=workloads(), seed=SEEDS)
def test_invariants_of_lock_queue_and_snapshots_on_random_workloads(workload, seed):
    for in_lock in (frozenset[str](), frozenset({"handler", "inbound"})):
        traffic = draw(workload, CASE, seed, 0)
        history = simulate(workload, CASE, traffic, CASE.plain(in_lock))
        ok = history.ok
        # Mutual exclusion, and the order of the rows.
        assert (np.diff(history.end) >= 0).all()
        assert (history.lock[ok][1:] >= history.end[ok][:-1]).all()
        assert ((history.read <= history.queued) & (history.queued <= history.lock) & (history.lock <= history.end)).all()
        # Each process serves its writers in the order in which they asked.
        for gateway in range(workload.store.gateways):
            mine = history.gateway == gateway
            assert (np.diff(history.queued[mine]) >= 0).all()
        # A snapshot is an earlier commit of the session, made before it was read.
        for row in np.flatnonzero(history.snapshot >= 0):
            seen = history.snapshot[row]
            assert seen < row
            assert ok[seen]
            assert history.session[seen] == history.session[row]
            at = history.lock[row] if CASE.snapshots[history.site[row]] in ("in_lock", "none") else history.read[row]
            assert history.end[seen] <= at
        # Every flow ends, complete or with a write that gave up; only several processes can give up.
        ended = np.bincount(history.flow, minlength=traffic.kind.size)
        gave_up = np.bincount(history.flow[~ok], minlength=traffic.kind.size)
        assert ((ended == np.diff(traffic.first)) | (gave_up == 1)).all()
        assert workload.store.gateways > 1 or ok.all()
        # One process never lets the lock rest while somebody waits.
        if workload.store.gateways == 1 and len(history):
            free = np.append(0.0, history.end[:-1])
            assert np.array_equal(history.lock, np.maximum(history.queued, free))


# ---- theory ----------------------------------------------------------------------------------------------------------------


def window_shares(workload, replicates):
    """Per replicate: share of handler windows with a patch's commit in them, the share clobbered, and the windows."""
    model = FIELDS.index("modelOverride")
    result = []
    for replicate in range(replicates):
        history = simulate(workload, CASE, draw(workload, CASE, 17, replicate))
        turns = np.flatnonzero(history.site == CASE.sites.index("handler"))
        patch = history.site == CASE.sites.index("patch")
        hit = np.zeros(turns.size, dtype=bool)
        for session in range(len(history.session_names)):
            commits = history.end[patch & (history.session == session)]
            mine = history.session[turns] == session
            low, high = history.read[turns[mine]], history.lock[turns[mine]]
            hit[mine] = np.searchsorted(commits, high, "right") > np.searchsorted(commits, low, "right")
        clobbers = replay_strategy(CASE, CASE.strategy("before-19328"), history).clobbers
        clobbered = np.isin(turns, clobbers.culprit[clobbers.field == model])
        result.append((hit.mean(), clobbered.mean(), history.lock[turns] - history.read[turns]))
    return result


def close(sample, expected):
    """Within four standard errors of replicate means."""
    sample = np.array(sample)
    return abs(sample.mean() - expected) < 4 * sample.std(ddof=1) / np.sqrt(sample.size)


@pytest.mark.parametrize(
    ("prepare", "laplace"),
    [
        ({"dist": "empirical", "values": [0, 2]}, lambda s: (1 - np.exp(-2 * s)) / (2 * s)),
        ({"dist": "gamma", "mean": 0.5, "shape": 4}, lambda s: (1 + 0.5 * s / 4) ** -4),
        (1.5, lambda s: np.exp(-1.5 * s)),
    ],
)
def test_uncontended_share_of_windows_with_a_commit_against_one_minus_the_laplace_transform(prepare, laplace):
    rate = 0.6  # Poisson patches a second on the one session, all of the one field; turns do not overlap
    turns = [float(time) for time in np.arange(0, 3000, 5)]
    traffic = {"turn": ({"handler": []}, turns), "patch": ({"patch": [{"ask": ["modelOverride"]}]}, rate)}
    workload = workload_of(traffic, {"handler": {"prepare": prepare, "hold": 0}, "patch": {"hold": 0}}, duration=3000)
    hits, clobbered, _ = zip(*window_shares(workload, 8), strict=True)
    assert hits == clobbered  # every commit in the window is clobbered by a strategy that writes the field from the snapshot
    assert close(hits, 1 - laplace(rate))


def test_contended_share_of_windows_with_a_commit_against_the_measured_windows():
    sessions, rate = 150, 20.0  # patches a second over all sessions; utilisation 0.4
    traffic = {"turn": ({"handler": []}, 4.0), "patch": ({"patch": []}, rate)}
    times = {"handler": {"prepare": {"dist": "exponential", "mean": 2}, "hold": 0.015}, "patch": {"hold": 0.02}}
    workload = workload_of(traffic, times, duration=200, sessions=sessions)
    shares = window_shares(workload, 8)
    # Differences within a replicate: the windows explain part of the spread.
    assert close([hit - np.mean(1 - np.exp(-rate / sessions * window)) for hit, _, window in shares], 0)


@pytest.mark.parametrize(
    ("hold", "second_moment"),
    [
        ({"dist": "exponential", "mean": 0.03}, 2 * 0.03**2),
        (0.03, 0.03**2),
        ({"dist": "lognormal", "median": 0.03 * np.exp(-0.32), "sigma": 0.8}, 0.03**2 * np.exp(0.64)),
    ],
)
def test_mean_lock_wait_against_pollaczek_khinchine(hold, second_moment):
    rate, warm = 20.0, 20.0  # utilisation 0.6; the warm-up is hundreds of relaxation times
    workload = workload_of({"patch": ({"patch": []}, rate)}, {"patch": {"hold": hold}}, duration=220, sessions=5)
    waits = []
    for replicate in range(10):
        history = simulate(workload, CASE, draw(workload, CASE, 23, replicate))
        waits.append((history.lock - history.queued)[history.queued > warm].mean())
    assert close(waits, rate * second_moment / (2 * (1 - rate * 0.03)))
