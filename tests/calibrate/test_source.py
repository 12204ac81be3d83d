"""Every kind of source, told apart by what it holds, and its workload as it is written and read."""

from pathlib import Path

import pytest
from schedules import CASE

from simlib.calibrate.evidence import write_workload
from simlib.calibrate.source import calibrate
from simlib.common.shipped import DATA
from simlib.model.simpy_model import simulate
from simlib.replay.recording import shipped_recordings
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

LOG = "gateway-log-2026.4.22.jsonl.gz"


@pytest.mark.parametrize("name", [*shipped_recordings(), LOG])
def test_a_written_workload_is_read_back_equal(name: str, tmp_path: Path) -> None:
    calibration = calibrate(str(DATA / "recordings" / LOG) if name == LOG else name, CASE)
    write_workload(calibration, tmp_path / "w.yaml")
    assert load_workload(str(tmp_path / "w.yaml")) == calibration.workload
    assert "# - " in calibration.text()  # it says what it assumed
    assert simulate(calibration.workload, CASE, draw(calibration.workload, CASE, 1, 0)).ok.all()
