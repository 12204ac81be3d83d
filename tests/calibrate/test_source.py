"""Every kind of source, told apart by what it holds, and its workload as it is written and read."""

import gzip
import json
from pathlib import Path

import pytest
from schedules import CASE

from simlib.calibrate.evidence import write_workload
from simlib.calibrate.from_history import calibrate_history
from simlib.calibrate.from_log import calibrate_log
from simlib.calibrate.from_trace import calibrate_trace
from simlib.calibrate.source import calibrate, find_source, kind_of
from simlib.common.errors import InputError
from simlib.common.shipped import DATA
from simlib.model.history import write_parquet
from simlib.model.simpy_model import simulate
from simlib.replay.recording import find_recording, read_recording, shipped_recordings
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

LOG = "gateway-log-2026.4.22.jsonl.gz"
RACES = "gateway-2026.4.22"
STORE = "store-2026.4.22-two-processes"
TRACE = "time,kind\n0,patch\n9,patch\n"


@pytest.mark.parametrize("name", [*shipped_recordings(), LOG])
def test_a_written_workload_is_read_back_equal(name: str, tmp_path: Path) -> None:
    calibration = calibrate(str(DATA / "recordings" / LOG) if name == LOG else name, CASE)
    write_workload(calibration, tmp_path / "w.yaml")
    assert load_workload(str(tmp_path / "w.yaml")) == calibration.workload
    assert "# - " in calibration.text()  # it says what it assumed
    assert simulate(calibration.workload, CASE, draw(calibration.workload, CASE, 1, 0)).ok.all()


def test_each_kind_of_source_is_calibrated_as_what_it_is(tmp_path: Path) -> None:
    trace, parquet, log = tmp_path / "t.csv", tmp_path / "h.parquet", DATA / "recordings" / LOG
    trace.write_text(TRACE)
    history = read_recording(find_recording(STORE), CASE).history
    write_parquet(history, parquet)
    assert calibrate(str(trace), CASE, "mine") == calibrate_trace(trace, CASE, "mine")
    assert calibrate(str(log), CASE, "mine") == calibrate_log(log, CASE, "mine")
    assert calibrate(STORE, CASE, "mine") == calibrate_history(history, CASE, f"{STORE}.jsonl.gz", "mine")
    assert calibrate(str(parquet), CASE, "mine") == calibrate_history(history, CASE, "h.parquet", "mine")
    with pytest.raises(InputError, match="gateway races tell windows, not traffic"):
        calibrate(RACES, CASE)


def test_a_source_is_a_path_or_a_shipped_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TRACE)
    assert find_source(str(tmp_path / "t.csv")) == tmp_path / "t.csv"
    assert find_source(RACES) == DATA / "recordings" / f"{RACES}.json"
    assert find_source(STORE) == find_recording(STORE)
    with pytest.raises(InputError, match="none-such"):
        find_source("none-such")


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([{"recording": 1}], "recording"),
        ([{"other": 1}, {"recording": 1}], "recording"),
        ([{"_meta": {}}], "log"),
        ([{"0": "{}"}], "log"),
        ([{"time": 0, "kind": "patch"}], "trace"),
        (["_meta", "0", "recording"], "trace"),  # words are not keys
        ([{"trials": []}], "races"),
        (TRACE.split(), "trace"),
        ([], "trace"),
        (["x"] * 19 + [{"_meta": {}}], "log"),  # twenty lines are looked at
        (["x"] * 20 + [{"_meta": {}}], "trace"),
    ],
)
def test_kinds_are_told_apart_by_how_a_file_begins_packed_or_not(lines: list[object], kind: str, tmp_path: Path) -> None:
    text = "\n".join(json.dumps(line) if isinstance(line, dict) or line == "_meta" else str(line) for line in lines)
    plain, packed = tmp_path / "x", tmp_path / "x.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    assert kind_of(plain) == kind_of(packed) == kind


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: cannot be read: No such file"):
        kind_of(tmp_path / "none")
