"""Histories in which hardly ever something arrives: a replicate of them would be empty, so they are refused."""

from dataclasses import replace

import numpy as np
import pytest
from schedules import CASE

from simlib.model.history import History
from simlib.model.simpy_model import simulate
from simlib.validate.predict import predict
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload


def gapped(seconds: float) -> History:
    """Sixty seconds of traffic with that much silence in the middle."""
    workload = load_workload("handler-only", ["duration=60"])
    history = simulate(workload, CASE, draw(workload, CASE, 1, 0))
    late = np.where(history.read > 30, seconds, 0.0)
    late = np.where(np.maximum.accumulate(late) > 0, seconds, 0.0)
    return replace(history, **{name: getattr(history, name) + late for name in ("read", "queued", "lock", "end")})


@pytest.mark.parametrize("seconds", [3600.0, 1e9])
def test_a_history_with_a_huge_gap_is_refused(seconds, refused):
    line = refused(predict, gapped(seconds), CASE, "night", 2)
    assert "night: something arrives in 2 of 20 equal parts" in line
    assert "allowed: 8 or more; nothing arrives for " in line


def test_a_short_pause_is_no_silence():
    assert predict(gapped(10.0), CASE, "lunch", 2)
