"""Calibrations of plain traces against traces written by hand."""

import json
from pathlib import Path

import pytest
from schedules import CASE

from simlib.calibrate.from_trace import calibrate_trace
from simlib.calibrate.source import calibrate
from simlib.common.errors import InputError

ROWS = [(0.5 * number, "turn" if number % 3 else "patch", f"s{number % 4}", {"label": f"L{number}"}) for number in range(60)]


def test_a_csv_trace_and_the_same_one_as_json_lines_give_one_workload(tmp_path: Path) -> None:
    table, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    table.write_text("time,kind,session,fields\n" + "".join(f"{t},{k},{s},label={f['label']}\n" for t, k, s, f in ROWS))
    lines.write_text("".join(json.dumps({"time": t, "kind": k, "session": s, "fields": f}) + "\n" for t, k, s, f in ROWS))
    one, other = calibrate(str(table), CASE).workload, calibrate(str(lines), CASE).workload
    assert one.model_copy(update={"about": ""}) == other.model_copy(update={"about": ""})
    assert list(one.traffic["turn"].steps) == ["handler", "run_start", "run_end"]
    assert one.traffic["patch"].steps["patch"][0].ask == ["label"]
    assert one.traffic["patch"].rate == pytest.approx(20 / 29.5, rel=1e-4)
    assert one.values["label"] == "many"
    assert one.sessions.count == 4


def test_broken_lines_of_a_trace_are_reported_by_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "time,kind,session,fields\n0,patch,a,label=x\nsoon,patch,a,\n1,nonsense,a,\n2,patch,a,colour=red\n3,patch\n"
        "2026-11-22T08:20:00Z,patch,b,\n4,turn,b,label=\n"
    )
    assert "Broken lines, not used: 4 (line 3-6)." in calibrate_trace(path, CASE).text()


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no line has a time"), ("hello\n", "begins with a line"), ("time,kind\nx,y\n", "no line has a time")],
)
def test_what_is_no_trace_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        calibrate_trace(path, CASE)
