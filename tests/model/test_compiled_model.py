"""The compiled twin against SimPy: equal histories, bit for bit; and both engines with numba's compiler switched off."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generators import SEEDS, workloads
from hypothesis import given
from hypothesis import strategies as st
from places import OWN_WORKLOADS

from simlib.case.case import load_case
from simlib.common.files import validated
from simlib.model import compiled_model, simpy_model
from simlib.model.history import History, same
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload, load_workload

CASE = load_case("openclaw-70575")
IN_LOCK = sorted({strategy.in_lock for strategy in CASE.strategies.values()}, key=sorted)


def both(workload: Workload, traffic: Traffic, in_lock: frozenset[str] = frozenset()) -> History:
    """The history, equal from both engines."""
    compiled = compiled_model.simulate(workload, CASE, traffic, CASE.plain(in_lock))
    assert same(compiled, simpy_model.simulate(workload, CASE, traffic, CASE.plain(in_lock)))
    return compiled


def on_a_grid(traffic: Traffic, tick: float) -> Traffic:
    """The same traffic with all times in whole ticks (a power of two, so that sums are exact): full of ties and zeros."""
    times = ("arrive", "after", "prepare", "compute", "hold")
    return replace(traffic, **{name: np.floor(getattr(traffic, name) / tick) * tick for name in times})


def busy(**changes: object) -> Workload:
    """Many short flows of every kind on a few sessions."""
    data = {
        "workload": "busy",
        "about": "",
        "case": CASE.name,
        "duration": 20,
        "sessions": {"count": 2},
        "store": changes,
        "values": dict.fromkeys(CASE.domains.values(), 2),
        "traffic": {
            "spawn": {"rate": 3, "steps": {site: [] for site in ("patch", "handler", "run_start", "run_end")}},
            "patch": {"rate": 3, "steps": {"patch": []}},
            "inbound": {"rate": 3, "steps": {"inbound": []}},
        },
        "times": {site: {"after": 0.1, "prepare": {"dist": "exponential", "mean": 0.1}, "hold": 0.02} for site in CASE.sites},
    }
    return validated(Workload, data, "busy")


@pytest.mark.parametrize("name", OWN_WORKLOADS)
@pytest.mark.parametrize("in_lock", IN_LOCK, ids=len)
def test_shipped_workloads_against_simpy(name: str, in_lock: frozenset[str]) -> None:
    workload = load_workload(name, ["duration=100"])
    assert len(both(workload, draw(workload, CASE, 1, 0), in_lock)) > 0


@pytest.mark.parametrize("in_lock", IN_LOCK, ids=len)
def test_a_gateway_alone_with_and_without_the_event_loop(in_lock: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    workload = load_workload("busy-team", ["store.release=0.01"])
    traffic = draw(workload, CASE, 1, 0)
    alone = compiled_model.simulate(workload, CASE, traffic, CASE.plain(in_lock))
    monkeypatch.setattr(compiled_model, "one_gateway", lambda *_: compiled_model.TIED)
    assert same(alone, compiled_model.simulate(workload, CASE, traffic, CASE.plain(in_lock)))


@given(workload=workloads(), seed=SEEDS, in_lock=st.sampled_from(IN_LOCK))
def test_any_workload_against_simpy(workload: Workload, seed: int, in_lock: frozenset[str]) -> None:
    both(workload, draw(workload, CASE, seed, 0), in_lock)


@given(workload=workloads(), seed=SEEDS, in_lock=st.sampled_from(IN_LOCK), tick=st.sampled_from([1 / 64, 1 / 8, 1.0]))
def test_ties_and_zero_delays_against_simpy(workload: Workload, seed: int, in_lock: frozenset[str], tick: float) -> None:
    both(workload, on_a_grid(draw(workload, CASE, seed, 0), tick), in_lock)


def test_the_last_arrival_gives_up_against_simpy() -> None:
    recorded = {"patch": "[0]", "inbound": "[0.6]"}
    settings = [f"traffic.{kind}.arrivals={{kind: recorded, times: {times}}}" for kind, times in recorded.items()]
    settings += ["traffic.patch.gateways=[0]", "traffic.inbound.gateways=[1]", "traffic.turn.rate=0"]
    settings += ["store.gateways=2", "store.lock_timeout=1", "times.patch.hold=5", "times.patch.prepare=0"]
    workload = load_workload("handler-only", settings)
    history = both(workload, draw(workload, CASE, 1, 0))
    assert history.ok.tolist() == [False, True]


@pytest.mark.parametrize("tick", [0.0, 1e-9, 0.01, 5.0])
@pytest.mark.parametrize("ttl", [0.0, 0.05, 45.0])
def test_caches_of_three_gateways_against_simpy(tick: float, ttl: float) -> None:
    workload = busy(gateways=3, mtime_tick=tick, cache_ttl=ttl)
    history = both(workload, draw(workload, CASE, 2, 0))
    assert set(history.gateway) == {0, 1, 2}


def test_time_outs_against_simpy() -> None:
    workload = busy(gateways=3, lock_poll=0.05, lock_poll_max=0.2, lock_timeout=0.03)
    history = both(workload, draw(workload, CASE, 3, 0))
    assert not history.ok.all()


@pytest.mark.parametrize("gateways", [1, 3])
@pytest.mark.parametrize("release", [0.02, 0.3])
def test_a_lock_that_is_released_late_against_simpy(gateways: int, release: float) -> None:
    workload = busy(gateways=gateways, release=release, lock_timeout=1)
    traffic = draw(workload, CASE, 6, 0)
    both(workload, traffic)
    both(workload, on_a_grid(traffic, 1 / 64))


def test_a_burst_at_one_instant_against_simpy() -> None:
    workload = busy(gateways=2)
    traffic = draw(workload, CASE, 4, 0)
    history = both(workload, replace(traffic, arrive=np.zeros_like(traffic.arrive)))
    assert (history.lock - history.queued).max() > 0.1


def test_arrivals_that_rounding_would_put_into_the_past_against_simpy() -> None:
    # 0.04 + (0.11 - 0.04) is past 0.11: the second of two that arrive at 0.11 must not be due before the clock.
    workload = busy()
    traffic = draw(workload, CASE, 5, 0)
    arrive = np.full_like(traffic.arrive, 0.11)
    arrive[0] = 0.04
    assert 0.04 + (0.11 - 0.04) > 0.11
    both(workload, replace(traffic, arrive=arrive))


def test_no_traffic_against_simpy() -> None:
    workload = load_workload("busy-team", [f"traffic.{kind}.rate=0" for kind in ("turn", "spawn", "patch", "inbound")])
    assert len(both(workload, draw(workload, CASE, 1, 0))) == 0


DIGEST = """
import hashlib
from dataclasses import astuple
from simlib.model import compiled_model
from simlib.case.case import load_case
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

digest = hashlib.sha256()
for name in ("multi-process", "busy-team"):
    workload = load_workload(name, ["duration=60"])
    case = load_case(workload.case)
    history = compiled_model.simulate(workload, case, draw(workload, case, 1, 0), case.plain(frozenset({"handler"})))
    for column in (history.flow, history.lock, history.end, history.snapshot, history.request):
        digest.update(column.tobytes())
    for strategy in case.strategies.values():
        outcomes = replay_strategy(case, strategy, history)
        clobbers = vars(outcomes.clobbers).values()
        for column in (*clobbers, outcomes.version, outcomes.versions, outcomes.writes, outcomes.lost):
            digest.update(column.tobytes())
print(digest.hexdigest())
"""


def test_compiled_against_plain_python() -> None:
    def run(**environment: str) -> str:
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", DIGEST],
            env=os.environ | {"PYTHONPATH": paths} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert run() == run(NUMBA_DISABLE_JIT="1")
