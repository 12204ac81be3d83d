"""The history as a file: round trips, and the refusal of what is none."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attempted import attempted, tried
from generators import SEEDS, entries, schedules, workloads
from hypothesis import given, settings
from schedules import CASE, commit, history_of, read

from simlib.common.shipped import DATA
from simlib.model.history import Attempts, Values, read_parquet, same, write_parquet
from simlib.model.simpy_model import simulate
from simlib.replay.recording import read_recording
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw

EXAMPLE = ([read("handler"), commit("patch", label="B"), commit("handler"), commit("inbound", channel="c")], {"label": "A"})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("histories") / "sub" / "history.parquet"


@settings(max_examples=30)
@given(schedule=schedules(), initial=entries())
def test_round_trip_of_hand_written_schedules(place, schedule, initial):
    history = history_of(schedule, initial, sessions=2)
    write_parquet(history, place)
    assert same(read_parquet(place), history)


@settings(max_examples=15)
@given(workload=workloads(), seed=SEEDS)
def test_round_trip_of_simulated_histories(place, workload, seed):
    history = simulate(workload, CASE, draw(workload, CASE, seed, 0))
    write_parquet(history, place)
    assert same(read_parquet(place), history)


@settings(max_examples=30)
@given(history=attempted())
def test_round_trip_of_histories_with_attempts(place, history):
    write_parquet(history, place)
    assert same(read_parquet(place), history)


def test_round_trip_of_a_recording_replays_the_same(place):
    history = read_recording(DATA / "recordings" / "store-2026.4.22-two-processes.jsonl.gz", CASE).history
    write_parquet(history, place)
    again = read_parquet(place)
    assert same(again, history)
    one, two = (replay_strategy(CASE, CASE.strategy("before-19328"), h) for h in (history, again))
    assert len(one.clobbers) > 0
    assert one.entries.tobytes() == two.entries.tobytes()


def test_writing_replaces_the_file_and_leaves_nothing_else(place):
    history = history_of(*EXAMPLE)
    for _ in range(2):
        write_parquet(history, place)
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_a_difference_in_any_column_is_seen():
    history = history_of(*EXAMPLE)
    attempts = Attempts(*(np.arange(len(history)) + number for number in range(5)), began=history.read)
    tried = dataclasses.replace(history, attempts=attempts)
    assert same(tried, dataclasses.replace(tried))
    for name in Attempts._fields:
        changed = attempts._replace(**{name: getattr(attempts, name) + 1})
        assert not same(tried, dataclasses.replace(history, attempts=changed))
    for field in dataclasses.fields(history):
        value = getattr(history, field.name)
        if field.name == "attempts":
            other = attempts
        elif isinstance(value, np.ndarray):
            other = ~value if value.dtype == bool else value + 1
        else:
            other = Values({"other": 1}) if isinstance(value, Values) else (*value, "other")
        assert not same(history, dataclasses.replace(history, **{field.name: other}))
    assert same(history, dataclasses.replace(history, queued=history.queued.copy()))


def test_a_value_is_named_as_its_domain_names_it():
    values = Values({"channel": ("telegram", "discord"), "label": 0})
    assert [values.name("channel", code) for code in (0, 1, 2)] == ["undefined", "telegram", "discord"]
    assert values.name("label", 17) == "label-17"
    assert values.name("nowhere", 3) == "nowhere-3"


# ---- refusals --------------------------------------------------------------------------------------------------------------


def directory(path):
    path.mkdir()
    write_parquet(history_of(*EXAMPLE), path / "one.parquet")


def not_parquet(path):
    path.write_text("a,b\n1,2\n")


def cut_short(path):
    write_parquet(history_of(*EXAMPLE), path)
    path.write_bytes(path.read_bytes()[:-100])


def somebody_elses(path):
    pq.write_table(pa.table({"a": [1]}), path)


def not_json(path):
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"simlib": "no JSON"}), path)


def newer_format(path):
    write_parquet(history_of(*EXAMPLE), path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"simlib"]) | {"format": 99}
    pq.write_table(table.replace_schema_metadata({"simlib": json.dumps(about)}), path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read"),
        (directory, "cannot be read"),
        (not_parquet, "cannot be read"),
        (cut_short, "cannot be read"),
        (somebody_elses, "a Parquet file, but no simlib history"),
        (not_json, "a Parquet file, but no simlib history"),
        (newer_format, "history format 99; this version reads 1"),
    ],
)
def test_a_file_that_is_no_history_is_refused(make, message, tmp_path, refused):
    path = tmp_path / "other.parquet"
    make(path)
    line = refused(read_parquet, path)
    assert line.startswith(f"{path}: ")
    assert message in line


def test_a_history_of_another_case_or_with_impossible_snapshots_is_refused(refused):
    history = history_of(*EXAMPLE)
    rules = CASE.reference
    other = dataclasses.replace(history, fields=history.fields[:-1])
    assert "the history's fields are lastChannel" in refused(replay_strategy, CASE, rules, other)
    other = dataclasses.replace(history, sites=("somewhere",))
    message = refused(replay_strategy, CASE, rules, other)
    assert "the history's write sites are somewhere; case openclaw-70575 has handler" in message
    other = dataclasses.replace(history, snapshot=np.array([1, 1, 1]))
    assert "row 0: its snapshot, row 1, is no earlier commit" in refused(replay_strategy, CASE, rules, other)
    plain = dataclasses.replace(history, snapshot=np.array([-1, -1, -1]))
    other = tried(plain, range(3), [1] * 3, [0, 2, 0], base=[-1, -1, 1], seen=[0, 1, 2])
    assert "row 2: its base, row 1, is no earlier commit" in refused(replay_strategy, CASE, rules, other)
