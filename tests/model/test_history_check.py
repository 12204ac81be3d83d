"""Histories from outside: each number that compiled code would use as an index or a length is refused out of its bounds."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attempted import tried
from schedules import CASE

from simlib.common.errors import InputError
from simlib.model.history import History, read_parquet, same, write_parquet
from simlib.model.simpy_model import simulate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload


@cache
def history() -> History:
    workload = load_workload("handler-only", ["duration=5"])
    return simulate(workload, CASE, draw(workload, CASE, 1, 0))


@pytest.fixture
def altered(tmp_path: Path):
    """The file of a history whose table, or metadata, a function has changed."""

    def write(change=lambda table: table, about=lambda data: data):
        path = tmp_path / "h.parquet"
        write_parquet(history(), path)
        table = pq.read_table(path)
        data = about(json.loads(table.schema.metadata[b"simlib"]))
        pq.write_table(change(table).replace_schema_metadata({"simlib": json.dumps(data)}), path)
        return path

    return write


def put(name, row, value, kind=None):
    """A change of one number of a column."""

    def change(table):
        column = table[name].to_pylist()
        column[row] = value
        return replaced(table, name, pa.array(column, kind or table[name].type))

    return change


def replaced(table, name, column):
    return table.set_column(table.schema.names.index(name), name, column)


def test_an_unaltered_history_is_read(altered):
    assert same(read_parquet(altered(), CASE), history())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("session", 10**9, "session: 1000000000 in row 3; allowed: 0 to 9"),
        ("session", -1, "session: -1 in row 3; allowed: 0 to 9"),
        ("site", 99, "site: 99 in row 3; allowed: 0 to 4"),
        ("kind", -2, "kind: -2 in row 3; allowed: 0 to "),
        ("gateway", 10**6, "gateway: 1000000 in row 3; allowed: 0 to 9999"),
        ("flow", -1, "flow: -1 in row 3; allowed: 0 to 2147483647"),
        ("snapshot", -7, "snapshot: -7 in row 3; allowed: -1 to 2"),
        ("snapshot", 10**12, "snapshot: 1000000000000 in row 3; allowed: -1 to 2"),
        ("request.channel", -5, "request: -5 in row 3; allowed: -1 to 2147483647"),
        ("request.channel", 10**6, "request.channel: 1000000 in row 3; allowed: -1 to "),
        ("read", -1.0, "read: -1.0 in row 3; allowed: 0.0 to"),
        ("lock", float("nan"), "lock: nan in row 3; allowed: "),
        ("lock", -1.0, "lock: -1.0 in row 3; allowed: "),
        ("end", float("inf"), "end: inf in row 3; allowed: "),
        ("end", 0.0, "end: 0.0 in row 3; allowed: "),
        ("end", None, "end: nothing in row 3; allowed: a number"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_with_column_row_and_bounds(name, value, message, altered, refused):
    path = altered(put(name, 3, value))
    line = refused(read_parquet, path, CASE)
    assert line.startswith(f"{path}: ")
    assert message in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["lock"]), "no column 'lock', or two; needed: flow, kind, site"),
        (lambda table: table.append_column("lock", table["lock"]), "no column 'lock', or two"),
        (
            lambda table: replaced(table, "site", table["site"].cast(pa.string())),
            "site: a column of string; allowed: int64",
        ),
        (lambda table: replaced(table, "ok", table["ok"].cast(pa.int64())), "ok: a column of int64; allowed: bool"),
        (lambda table: put("flow", 0, 2**63, pa.uint64())(table), "flow: a column of uint64; allowed: int64"),
    ],
)
def test_a_column_that_is_not_there_or_of_another_type_is_refused(change, message, altered, refused):
    assert message in refused(read_parquet, altered(change), CASE)


def test_a_column_of_smaller_numbers_is_read(altered):
    path = altered(lambda table: replaced(table, "site", table["site"].cast(pa.int8())))
    assert same(read_parquet(path, CASE), history())


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"initial": []}, "initial: shape (0, 19); allowed: (10, 19), sessions by fields"),
        ({"initial": [[0] * 19] * 9 + [[0] * 18]}, "initial: an entry has not 19 values"),
        ({"initial": [[0] * 19] * 9 + [[-1] * 19]}, "initial.9.0: Input should be greater than or equal to 0 (got -1)"),
        ({"initial": [[0] * 19] * 9 + [[10**6] * 19]}, "initial.lastChannel: 1000000 in row 9; allowed: 0 to "),
        ({"initial": 7}, "initial: expected a list (got 7)"),
        ({"fields": "abc"}, "fields: expected a list"),
        ({"sites": []}, "site: 3 in row 0; allowed: nothing"),
        ({"kinds": []}, "kind: 1 in row 0; allowed: nothing"),
        ({"values": {"channel": 1.5}}, "values.channel"),
        ({"request_keys": ["nothing"]}, "no column 'request.nothing'"),
        ({"session_names": [1] * 10}, "session_names.0: expected a text (got 1); and 9 more"),
        ({"rule": 7}, "rule: expected a text (got 7)"),
        ({"format": None}, "history format None; this version reads 1"),
    ],
)
def test_wrong_metadata_is_refused_with_its_key(about, message, altered, refused):
    path = altered(about=lambda data: data | about)
    assert message in refused(read_parquet, path, CASE)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("transaction", -1, "attempt.transaction: -1 in row 3; allowed: 0 to 2147483647"),
        ("number", 0, "attempt.number: 0 in row 3; allowed: 1 to 2147483647"),
        ("outcome", 5, "attempt.outcome: 5 in row 3; allowed: 0"),
        ("outcome", 2, "attempt.outcome: 2 in row 3; allowed: 0"),
        ("seen", 4, "attempt.seen: 4 in row 3; allowed: 0 to 3"),
        ("base", 3, "attempt.base: 3 in row 3; allowed: -1 to 2"),
        ("began", 1e9, "attempt.began: 1000000000.0 in row 3; allowed: 0.0 to"),
    ],
)
def test_a_number_of_an_attempt_out_of_its_bounds_is_refused(column, value, message, tmp_path, refused):
    rows, path = len(history()), tmp_path / "h.parquet"
    ones = dict.fromkeys(("transaction", "number"), [1] * rows)
    write_parquet(tried(history(), **ones, outcome=[0] * rows, base=[-1] * rows, seen=range(rows)), path)
    table = put(f"attempt.{column}", 3, value)(pq.read_table(path))
    pq.write_table(table, path)
    assert message in refused(read_parquet, path, CASE)
    pq.write_table(table.drop_columns(["attempt.base"]), path)
    assert "no column 'attempt.base', or two" in refused(read_parquet, path, CASE)


def test_metadata_that_is_no_object_of_json_is_no_history(altered, refused):
    for data in ([1], "text", None, float("nan")):
        assert "a Parquet file, but no simlib history" in refused(read_parquet, altered(about=lambda _, data=data: data), CASE)


def test_more_rows_than_memory_has_room_for_are_refused_before_they_are_read(altered, refused, monkeypatch):
    monkeypatch.setattr("simlib.model.history.MOST_ROWS", 3)
    assert f"{len(history())} rows; allowed: 3" in refused(read_parquet, altered(), CASE)


def test_damaged_bytes_anywhere_are_refused_or_read_as_a_history_that_can_be(altered, tmp_path):
    """Every region of the file; what is still read has passed the same checks."""
    data, path = altered().read_bytes(), tmp_path / "damaged.parquet"
    rng, lines = np.random.default_rng(1), []
    for place in np.linspace(4, len(data) - 12, 150).astype(int).tolist():
        path.write_bytes(data[:place] + rng.bytes(8) + data[place + 8 :])
        try:
            read_parquet(path, CASE)
        except InputError as error:
            lines.append(str(error))
    assert len(lines) > 50
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in lines)
