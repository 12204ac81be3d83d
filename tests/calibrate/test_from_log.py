"""Calibrations of a process's log: against what its driver offered, and against logs written by hand."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from schedules import CASE

from simlib.calibrate.from_log import calibrate_log
from simlib.calibrate.source import calibrate
from simlib.common.errors import InputError
from simlib.common.shipped import DATA

LOG = DATA / "recordings" / "gateway-log-2026.4.22.jsonl.gz"
TRUTH = json.loads((DATA / "recordings" / "gateway-log-2026.4.22.truth.json").read_text())


def log_lines() -> list[str]:
    with gzip.open(LOG, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def test_log_calibration_against_what_the_driver_offered() -> None:
    workload = calibrate_log(LOG, CASE).workload
    seconds = workload.duration
    for flow, method in (("failed-turn", "agent"), ("patch", "sessions.patch")):
        sent = TRUTH["sent"][method]
        assert workload.traffic[flow].rate == pytest.approx(sent / seconds, rel=1e-4)  # every request is found
        offered = TRUTH["offered_per_s"][method]
        assert abs(sent / TRUTH["seconds"] - offered) < 4 * np.sqrt(offered / TRUTH["seconds"])  # and that is Poisson
    assert workload.sessions.count <= TRUTH["sessions"]
    assert workload.sessions.exponent == pytest.approx(1.0, abs=0.3)  # its standard error is 0.11


def test_a_log_without_verbose_is_refused_with_the_reason(tmp_path: Path) -> None:
    kept = [line for line in log_lines() if "← req" not in line and ("res ✗" in line or "gateway/ws" not in line)]
    path = tmp_path / "quiet.jsonl"
    path.write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(InputError, match="--verbose"):
        calibrate_log(path, CASE)


def test_broken_lines_of_a_log_are_reported_by_their_numbers(tmp_path: Path) -> None:
    lines = log_lines()
    for number in (5, 6, 7, 200):
        lines.insert(number - 1, '{"half a line')
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    calibration = calibrate(str(path), CASE)
    assert "Broken lines, not used: 4 (line 5-7, 200)." in calibration.text()
    assert calibration.workload.traffic == calibrate_log(LOG, CASE).workload.traffic


def test_a_log_cut_off_within_its_compression_is_used_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(LOG.read_bytes()[:-4000])
    assert "Broken lines, not used: 1 (line " in calibrate_log(path, CASE).text()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_lines_of_a_log(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for times in (2, 20):
        path = tmp_path / f"{times}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(times):
                file.write("\n".join(log_lines()) + "\n")
        tracemalloc.start()
        calibrate_log(path, CASE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.1 * (tmp_path / "20.jsonl").stat().st_size
