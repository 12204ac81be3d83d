"""Calibrations of histories: against the workload that was run, and against timelines written by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from schedules import CASE
from timelines import Row, timeline

from simlib.calibrate.evidence import Step
from simlib.calibrate.from_history import calibrate_history, first_rows, history_evidence, pauses
from simlib.common.errors import InputError
from simlib.model.history import History
from simlib.model.simpy_model import simulate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload


def test_a_calibration_of_the_model_gives_back_the_workload_that_was_run() -> None:
    truth = load_workload("handler-only", ["duration=200", "sessions.popularity=zipf"])
    history = simulate(truth, CASE, draw(truth, CASE, 3, 0))
    found = calibrate_history(history, CASE, "a run of the model").workload
    for name, flow in truth.traffic.items():
        assert abs(found.traffic[name].rate - flow.rate) < 4 * np.sqrt(flow.rate / 200)
    assert found.sessions.count == 10
    assert found.sessions.exponent == pytest.approx(1.0, abs=0.05)
    uniform = np.linspace(0.0005, 0.9995, 1000)
    for site in ("handler", "patch"):
        expected, got = truth.times[site].hold.quantile(uniform), found.times[site].hold.quantile(uniform)
        assert abs(got.mean() - expected.mean()) < 4 * expected.std() / np.sqrt(15 * 200)
    assert {len(found.traffic[kind].steps) for kind in found.traffic} == {1}


def test_a_time_out_is_found_again_to_within_a_poll() -> None:
    settings = ["duration=60", "store.gateways=2", "store.lock_timeout=0.05", "times.handler.hold=0.025"]
    workload = load_workload("handler-only", settings)
    history = simulate(workload, CASE, draw(workload, CASE, 3, 0))
    assert not history.ok.all()
    found = calibrate_history(history, CASE, "model")
    assert 0.05 <= found.workload.store.lock_timeout <= 0.05 + 2 * workload.store.lock_poll
    assert any("time-out" in line for line in found.assumed)


def test_how_the_store_works_is_written_as_it_was_inferred_to_its_digits() -> None:
    settings = ["duration=120", "store.gateways=2", "store.mtime_tick=0.02", "times.handler.hold=0.0005", "sessions.count=3"]
    workload = load_workload("handler-only", settings)
    evidence, locking = history_evidence(simulate(workload, CASE, draw(workload, CASE, 3, 0)), CASE, "model")
    assert locking.poll
    assert locking.tick
    assert evidence.store == {
        "gateways": 2, "release": round(locking.release, 7), "lock_poll": round(locking.poll, 6),
        "mtime_tick": round(locking.tick, 5),
    }  # fmt: skip


# ---- by hand -----------------------------------------------------------------------------------------------------------------


def turns_and_patches(*gave_up: float) -> History:
    """Ten turns, one every ten seconds, with a patch after each; then patches that gave up after so many seconds.

    It takes 10 ms to get the lock, which is held for another 10 ms. The first turn was cut off before its end.
    """
    rows: list[Row] = []
    for flow in range(10):
        start = 50.0 + 10.0 * flow
        handler: dict[str, str | None] = {"to": "p1", "channel": None} if flow % 2 else {}
        rows.append(
            Row("handler", start, start + 0.02, start + 0.03, queued=start + 0.01, session=flow % 2, flow=flow, request=handler)
        )
        rows.append(Row("run_start", start + 1.03, start + 1.04, start + 1.05, session=flow % 2, flow=flow, snapshot=-1))
        if flow:
            end = start + 3.05 + 0.1 * flow
            rows.append(Row("run_end", end, end + 0.01, end + 0.02, session=flow % 2, flow=flow, snapshot=-1))
        label: dict[str, str | None] = {"label": "b" if flow < 3 else "a"} if flow < 9 else {"label": None}
        patch = start + 5.5 if flow else start + 0.5  # the first one comes in the middle of a turn
        rows.append(Row("patch", patch, patch + 0.01, patch + 0.02, session=2, flow=10 + flow, kind="patch", request=label))
    for number, wait in enumerate(gave_up):
        rows.append(
            Row("patch", 160.0 + number, 160.0 + number + wait, 160.0 + number + wait, session=3, flow=20 + number, ok=False,
                kind="patch", snapshot=-1)
        )  # fmt: skip
    return timeline(*sorted(rows, key=lambda row: row.end), sessions=6)


def test_traffic_by_hand() -> None:
    evidence, _ = history_evidence(turns_and_patches(), CASE, "x")
    assert (evidence.source, evidence.duration) == ("x", pytest.approx(95.5))  # from the first turn to the last patch
    assert evidence.arrivals["turn"] == pytest.approx(10.0 * np.arange(10))
    assert evidence.arrivals["patch"] == pytest.approx([0.5, *(10.0 * np.arange(1, 10) + 5.5)])
    assert list(evidence.arrivals) == ["turn", "patch"]  # and no inbound write
    assert evidence.steps == {
        "turn": [
            Step("handler", Counter({((), ()): 5, (("to",), ("channel",)): 5})),
            Step("run_start"),  # asks for nothing, so it has no shapes
            Step("run_end"),
        ],
        "patch": [Step("patch", Counter({(("label",), ()): 9, ((), ("label",)): 1}))],
    }
    assert evidence.sessions == {"session-1": 5, "session-2": 5, "session-3": 10}  # of flows
    assert evidence.values == {"label": Counter({"a": 6, "b": 3}), "peer": Counter({"p1": 5})}
    assert list(evidence.values["label"]) == ["b", "a"]  # in the order of their codes


def test_times_by_hand() -> None:
    history = turns_and_patches(0.7, 0.5)
    evidence, locking = history_evidence(history, CASE, "x")
    assert {site: list(times) for site, times in evidence.times.items()} == {
        "handler": ["prepare", "hold"], "run_start": ["after", "hold"], "run_end": ["after", "hold"], "patch": ["hold"],
    }  # fmt: skip
    assert evidence.times["handler"]["prepare"] == pytest.approx(np.full(10, 0.01))
    assert evidence.times["run_start"]["after"] == pytest.approx(np.full(10, 1.0))
    assert evidence.times["run_end"]["after"] == pytest.approx(2.0 + 0.1 * np.arange(1, 10))
    for site, count in (("handler", 10), ("run_start", 10), ("run_end", 9), ("patch", 10)):  # none that gave up
        assert evidence.times[site]["hold"] == pytest.approx(np.full(count, 0.02))
    assert evidence.store == {"gateways": 1, "release": 0.0, "lock_timeout": 0.5}
    assert evidence.assumed[0] == "The lock's time-out: the shortest wait that was given up."
    assert len(evidence.seen) == 1
    assert evidence.seen[0].startswith("Lock: 10 ms to take it when it is free, 10 ms from a noted commit to the next lock, a ")
    assert evidence.seen[0].endswith(" commit seen 0 ms before it is noted.")
    assert locking.release == 0.0
    all_well, _ = history_evidence(turns_and_patches(), CASE, "x")
    assert all_well.store == {"gateways": 1, "release": 0.0}
    assert all_well.assumed == evidence.assumed[1:]


def test_times_of_which_some_are_zero_are_kept() -> None:
    history = turns_and_patches()
    queued = history.queued.copy()
    row = int(np.flatnonzero(history.site == CASE.sites.index("handler"))[0])
    queued[row] = history.read[row]
    prepare = history_evidence(replace(history, queued=queued), CASE, "x")[0].times["handler"]["prepare"]
    assert prepare == pytest.approx([0.0, *[0.01] * 9])


def test_a_time_out_is_written_to_the_microsecond_and_a_poll_is_no_shorter_than_a_tenth_of_a_millisecond() -> None:
    evidence, _ = history_evidence(turns_and_patches(0.123456789, 0.5), CASE, "x")
    assert evidence.store["lock_timeout"] == 0.123457
    rows = []
    for number in range(10):  # one process has the lock, and another one gets it 20 microseconds after it asked
        start, asks = float(number), number + 0.01 - 1e-5
        rows.append(Row("handler", start, start, start + 0.01, gateway=1, session=1))
        rows.append(Row("handler", asks, asks + 2e-5, asks + 0.01, snapshot=-1))
    assert history_evidence(timeline(*rows), CASE, "x")[0].store["lock_poll"] == 1e-4


def test_a_history_needs_twenty_transactions() -> None:
    rows = [Row("patch", float(n), n + 0.01, n + 0.02, kind="patch") for n in range(20)]
    assert history_evidence(timeline(*rows), CASE, "x")[0].duration == pytest.approx(19.0)
    with pytest.raises(InputError, match=r"^x: 19 transactions; a calibration needs at least 20$"):
        history_evidence(timeline(*rows[1:]), CASE, "x")


FLOWS = timeline(
    Row("handler", 2.0, 2.0, 3.0, flow=7),
    Row("handler", 1.0, 3.0, 4.0, flow=4),
    Row("run_start", 3.5, 4.0, 5.0, flow=7, snapshot=-1),
    Row("run_start", 3.9, 5.0, 6.0, flow=4, snapshot=-1),  # read before the step before it had ended
    Row("run_end", 8.0, 8.0, 9.0, flow=7, snapshot=-1),
)


def test_a_flows_first_row_and_its_pauses_by_hand() -> None:
    assert first_rows(FLOWS).tolist() == [1, 0]
    assert pauses(FLOWS) == pytest.approx([np.nan, np.nan, 0.5, 0.0, 3.0], nan_ok=True)
