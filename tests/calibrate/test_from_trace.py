"""Calibrations of plain traces against traces written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from schedules import CASE

from simlib.calibrate.evidence import Calibration
from simlib.calibrate.from_trace import calibrate_trace
from simlib.calibrate.source import calibrate
from simlib.common.errors import InputError
from simlib.workload.workload import load_workload

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
    [
        ("", "no line has a time and a kind of write \\(one of .*handler"),
        ("hello\n", "t.csv: line 1: a CSV trace begins with a line 'time,kind,session,fields'"),
        ("time,session\n", "begins with a line"),
        ("kind,session\n", "begins with a line"),
        ("time,kind\nx,y\n", "no line has a time"),
    ],
)
def test_what_is_no_trace_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        calibrate_trace(path, CASE)


# ---- by hand -----------------------------------------------------------------------------------------------------------------

USUAL = load_workload(str(CASE.sections.usual))


def calibrated(folder: Path, *lines: str | dict[str, Any]) -> Calibration:
    path = folder / "t"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return calibrate_trace(path, CASE)


def test_traffic_and_times_by_hand(tmp_path: Path) -> None:
    found = calibrated(
        tmp_path, "kind, time ,session", "agent,12,a", "patch,10,b", "agent,30,a", "agent,22,", "inbound,20.5,c", "inbound,11,a"
    )
    workload = found.workload
    assert workload.about == "calibrated from t"
    assert workload.duration == 20.0  # from the first line to the last, whichever they are
    assert {kind: flow.rate for kind, flow in workload.traffic.items()} == {"turn": 0.15, "patch": 0.05, "inbound": 0.1}
    assert {kind: dict(flow.steps) for kind, flow in workload.traffic.items()} == {
        "turn": {"handler": [], "run_start": [], "run_end": []}, "patch": {"patch": []}, "inbound": {"inbound": []},
    }  # fmt: skip
    assert workload.sessions.count == 3  # a, b, c: the line that names none is nobody's
    # Each site takes as long as usual.
    assert list(workload.times) == ["handler", "inbound", "patch", "run_end", "run_start"]
    assert all(spans == USUAL.times[site] for site, spans in workload.times.items())
    assert found.head[0] == "calibrated: calibrated from t: 6 requests in 20 s."
    assert found.head[1] == "No line was broken."
    assert found.assumed[0] == "Times of preparation and hold, and the store's constants: as in busy-team; a trace has none."


def test_one_site_by_itself_is_a_flow_of_one_step(tmp_path: Path) -> None:
    workload = calibrated(tmp_path, {"time": 0, "kind": "handler"}, {"time": 10, "kind": "handler"}).workload
    assert {kind: list(flow.steps) for kind, flow in workload.traffic.items()} == {"handler": ["handler"]}
    assert workload.sessions.count == 10  # it names none


@pytest.mark.parametrize(
    ("fields", "ask", "clear"),
    [
        ("label=x", ["label"], []),
        (" label=x ; ;sendPolicy=deny;", ["label", "sendPolicy"], []),
        ("label", ["label"], []),  # a value that is not told
        ("label=", [], ["label"]),
        ("sendPolicy=a=b;label=", ["sendPolicy"], ["label"]),
        ({"label": "x", "sendPolicy": None}, ["label"], ["sendPolicy"]),
        (["label", "sendPolicy"], ["label", "sendPolicy"], []),
    ],
)
def test_what_a_line_asks_for_and_clears(fields: Any, ask: list[str], clear: list[str], tmp_path: Path) -> None:
    lines = [{"time": time, "kind": "patch", "fields": fields} for time in (0, 1)]
    shapes = calibrated(tmp_path, *lines).workload.traffic["patch"].steps["patch"]
    assert [(shape.ask, shape.clear, shape.weight) for shape in shapes] == [(ask, clear, 2.0)]


@pytest.mark.parametrize(("others", "popularity"), [(7, "uniform"), (2, "zipf")])
def test_sessions_are_counted_line_by_line(others: int, popularity: str, tmp_path: Path) -> None:
    # 21 lines of one session against 7 of another happen by chance once in 120 times, against 2 once in 13,000.
    lines = [{"time": n, "kind": "patch", "session": "a" if n < 21 else "b"} for n in range(21 + others)]
    assert calibrated(tmp_path, *lines).workload.sessions.popularity == popularity


@pytest.mark.parametrize("fields", ["", None, {}, []])
def test_a_line_may_ask_for_nothing(fields: Any, tmp_path: Path) -> None:
    lines = [{"time": time, "kind": "agent", "fields": fields} for time in (0, 1)]
    assert calibrated(tmp_path, *lines).workload.traffic["turn"].steps["handler"] == []
    more = calibrated(tmp_path, *lines, {"time": 2, "kind": "agent", "fields": "label="})
    assert [shape.weight for shape in more.workload.traffic["turn"].steps["handler"]] == [2.0, 1.0]


def test_values_are_those_that_were_named(tmp_path: Path) -> None:
    lines = [
        {"time": n, "kind": "patch", "fields": fields}
        for n, fields in enumerate(["label=x", "label=y", "label=x", "label=y", "label", "label=", {"label": 7}, {"label": 7}])
    ]
    assert calibrated(tmp_path, *lines).workload.values == {"label": ["x", "y", "7"]}
    all_new = [{"time": n, "kind": "patch", "fields": f"label=v{n}"} for n in range(10)]
    assert calibrated(tmp_path, *all_new).workload.values == {"label": "many"}
    never = calibrated(tmp_path, *lines[4:6])
    assert never.workload.values == {"label": USUAL.values["label"]}


@pytest.mark.parametrize(("distinct", "drawn_as"), [(50, [f"v{n}" for n in range(50)]), (51, "many"), (300, "many")])
def test_many_values_are_not_listed(distinct: int, drawn_as: Any, tmp_path: Path) -> None:
    lines = [{"time": n, "kind": "patch", "fields": f"label=v{n % distinct}"} for n in range(3 * distinct)]
    assert calibrated(tmp_path, *lines).workload.values == {"label": drawn_as}


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("", False),
        ("  ", False),
        ('5.0,"patch",a,"label=x, y"', False),
        ('{"time": "5", "kind": "patch"}', False),  # the two forms may be mixed
        ("5.0,patch,a", True),  # a cell is missing
        ("nan,patch,a,", True),
        ("inf,patch,a,", True),
        ("1970-01-01T00:00:05Z,patch,a,", False),
        ("tomorrow,patch,a,", True),
        ("5.0,nonsense,a,", True),
        ("5.0,patch,a,colour=red", True),
        ('{"kind": "patch"}', True),
        ('{"time": null, "kind": "patch"}', True),
        ('{"time": 5.0', True),
    ],
)
def test_which_lines_are_broken(line: str, broken: bool, tmp_path: Path) -> None:
    found = calibrated(tmp_path, "time,kind,session,fields", "0,patch,a,", line, "8,patch,a,")
    said = "Broken lines, not used: 1 (line 3)." if broken else "No line was broken."
    assert found.head[1] == said
    assert found.workload.duration == 8.0
