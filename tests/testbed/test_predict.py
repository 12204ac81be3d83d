"""Predictions of testbed runs, against runs that the model itself has made, and against real ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cures import BARE, HERE, HOT, RETRIES, cured, guarded, lock, run_here
from schedules import CASE

from simlib.case.discipline import Guard
from simlib.common.files import load_yaml
from simlib.common.shipped import find
from simlib.model.compiled_model import simulate
from simlib.testbed.grid import PREDICTED, errors
from simlib.testbed.measured import measured
from simlib.testbed.predict import Predicted, predict, rms_error
from simlib.testbed.run import TestbedRun
from simlib.workload.distributions import Empirical
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

HOLD, CHECK, GAP = 0.004, 0.001, 0.002
SEED = 5
VERSION = guarded(Guard("version", attempts=3, pause=RETRIES))
IN_THE_MODEL = {
    "no lock": (BARE | VERSION, {"hold": HOLD + CHECK}),
    "a lock for the merge": (VERSION, {"hold": HOLD, "check": CHECK}),
    "a lock over the work": (lock("entry", "transaction"), {"hold": HOLD}),
    "a lock that refuses at once": (lock("store", "transaction", timeout=0.0), {"hold": HOLD, "prepare": 0.01}),
    "a gap": (guarded(Guard("version", atomic=False)), {"hold": HOLD, "check": CHECK}),
    "a gap without a lock": (BARE | guarded(Guard("version", atomic=False)), {"hold": HOLD + CHECK, "gap": GAP}),
}


def simulated(parts: dict[str, Any]) -> TestbedRun:
    """A run whose store is the model."""
    case = cured(**parts)
    strategy = case.strategy("cured")
    times = [f"times.{site}.{part}={value}" for site in ("handler", "patch") for part, value in _times()]
    workload = load_workload("handler-only", [*HOT, *times, "duration=20", "store.gateways=1", "store.cache_ttl=0"])
    traffic = draw(workload, case, SEED, 0)
    history = simulate(workload, case, traffic, strategy.discipline)
    attempts = history.attempts
    assert attempts is not None
    unlocked = not strategy.discipline.locks
    atomic = all(guard is None or guard.atomic for guard in strategy.discipline.guards)
    compared = np.minimum(history.lock + (HOLD if unlocked and not atomic else 0) + CHECK, history.end)
    if unlocked and atomic:
        compared = history.end
    nothing = np.zeros((len(history), len(case.fields)), dtype=np.int32)
    noted = (attempts.transaction, attempts.base, compared, history.end, nothing, nothing)
    return TestbedRun(workload, case, "sqlite", "cured", traffic, history, *noted)


def _times() -> list[tuple[str, float]]:
    return [("hold", HOLD), ("check", CHECK), ("gap", GAP), ("compute", 0), ("prepare", 0.01)]


@pytest.mark.parametrize("name", IN_THE_MODEL)
def test_of_a_run_that_the_model_has_made_its_times_are_found_and_it_is_predicted_exactly(name: str) -> None:
    parts, expected = IN_THE_MODEL[name]
    run = simulated(parts)
    for site in ("handler", "patch"):
        for part, value in expected.items():
            found = getattr(measured(run).times[site], part)
            assert isinstance(found, Empirical)
            assert np.allclose(found.values, value, atol=1e-6)
    for figure in predict(run, SEED, replicates=2):
        assert figure.same_draws == pytest.approx(figure.observed, abs=2e-3, nan_ok=True), figure


def test_sampling_noise_taken_off_leaves_the_error_that_was_put_in() -> None:
    """A thousand figures that are two points too high, with a noise of three."""
    draws = np.random.default_rng(4).normal(0.1, 0.03, 1000)
    off, noise_off = rms_error([Predicted("conflict_rate", one, 0, 0.12, 0.03) for one in draws])
    assert off == pytest.approx(np.hypot(0.02, 0.03), rel=0.1)
    assert noise_off == pytest.approx(0.02, rel=0.2)


def test_the_errors_of_a_grid_by_hand() -> None:
    table = pd.DataFrame(
        [
            Predicted("failed_rate", 0.10, 0.11, 0.14, 0.0),
            Predicted("failed_rate", 0.20, 0.19, 0.17, 0.0),
            Predicted("failed_rate", float("nan"), 0, 0, 0),
            Predicted("latency_p99", 1.0, 1, 1.1, 0),
            Predicted("latency_p99", 1.0, 1, 1.3, 0),
        ]
    )
    rates, latencies = errors(table)
    assert (rates["figure"], rates["conditions"]) == ("failed_rate", 2)
    assert rates["error"] == pytest.approx(rates["noise_off"]) == pytest.approx(np.sqrt(12.5) / 100)
    assert rates["same_draws"] == pytest.approx(0.01)
    assert (latencies["conditions"], latencies["within_a_fifth"]) == (2, 1)


def test_a_real_run_is_predicted_with_the_times_of_its_store(tmp_path: Path) -> None:
    """Only gross errors show: some eighty transactions, of which more than half meet somebody."""
    run = run_here(cured(**BARE, **VERSION), "sqlite", tmp_path)
    conflicts = next(each for each in predict(run, HERE, replicates=5) if each.figure == "conflict_rate")
    assert conflicts.observed > 0.1
    assert abs(conflicts.predicted - conflicts.observed) < 5 * conflicts.noise + 0.1


@pytest.mark.slow
def test_a_guard_on_a_real_store_is_predicted_over_a_grid_of_conditions(tmp_path: Path) -> None:
    data = load_yaml(find("cases", CASE.name))
    guard = {"compare": "version", "attempts": 3, "pause": 0.01, "factor": 2, "jitter": 0.5}
    data["strategies"]["cured"] = data["strategies"]["after-19328"] | {
        "locks": [],
        "guards": dict.fromkeys(CASE.sites, guard),
    }
    path = tmp_path / "cured.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    command = [sys.executable, "-m", "simlib", "testbed", "handler-only", "--case", str(path), "--strategy", "cured"]
    options = ["--grid", str(tmp_path / "grid"), "--seconds", "3", "--set", "traffic.inbound.rate=0"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert "conflict_rate  8 " in done.stdout  # a file has no write that expects a version: SQLite alone
    table = pd.read_csv(tmp_path / "grid" / PREDICTED)
    conflicts = next(row for row in errors(table) if row["figure"] == "conflict_rate")
    assert conflicts["noise_off"] < 0.02
    assert (table.loc[table["figure"] == "clobber_rate", "observed"] == 0).all()
