"""Calibrations of histories: against the workload that was run, and against timelines written by hand."""

import numpy as np
import pytest
from schedules import CASE

from simlib.calibrate.from_history import calibrate_history
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
