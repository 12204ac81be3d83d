"""What a path is validated as: names, histories and strategies against the files that were written."""

from pathlib import Path

import pytest
from schedules import CASE

from simlib.case.case import Case
from simlib.common.errors import InputError
from simlib.common.shipped import DATA
from simlib.model.history import History, same, write_parquet
from simlib.model.simpy_model import simulate
from simlib.replay.recording import find_recording, read_recording
from simlib.validate.predict import predict
from simlib.validate.races import validate_races
from simlib.validate.scores import validation_json
from simlib.validate.validate import read_observed, validate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

RACES = DATA / "recordings" / "gateway-2026.9.6.json"


def history(case: Case, strategy: str) -> History:
    workload = load_workload("handler-only", ["duration=30"])
    return simulate(workload, case, draw(workload, case, 3, 0), case.strategy(strategy).discipline)


def test_the_strategy_that_was_at_work_comes_from_the_file(tmp_path: Path) -> None:
    strategy = CASE.strategy("in-mutator")
    write_parquet(history(CASE, "in-mutator"), tmp_path / "x.parquet", "in-mutator")
    document = validation_json(validate([str(tmp_path / "x.parquet")], CASE, replicates=3))
    assert {condition["rule"] for condition in document["conditions"]} == {
        name for name, other in CASE.strategies.items() if other.in_lock == strategy.in_lock
    }
    assert all(condition["observed"] == condition["predicted"] == 0 for condition in document["conditions"])


@pytest.mark.parametrize("rule", ["in-mutator", None])
def test_a_saved_history_is_read_back_with_its_name_and_strategy(rule: str | None, tmp_path: Path) -> None:
    written = history(CASE, "in-mutator")
    write_parquet(written, tmp_path / "a.b.parquet", rule)
    name, read, at_work = read_observed(tmp_path / "a.b.parquet", CASE)
    assert (name, at_work) == ("a.b", rule)
    assert same(read, written)


def test_a_recording_is_read_with_the_strategy_that_it_names() -> None:
    path = find_recording("store-2026.4.22-sketch-70575")
    name, read, at_work = read_observed(path, CASE)
    assert (name, at_work) == ("store-2026.4.22-sketch-70575", "sketch-70575")
    assert same(read, read_recording(path, CASE).history)


def test_what_shows_no_commits_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text("time,kind\n0,patch\n")
    with pytest.raises(InputError, match=r"t.csv: a trace shows no commits to compare with; allowed: store recordings"):
        read_observed(trace, CASE)
    with pytest.raises(InputError, match="a races shows no commits"):
        read_observed(RACES, CASE)


def test_sources_are_validated_one_after_the_other_each_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(history(CASE, CASE.baseline), path)
    found = validate([str(RACES), str(path)], CASE, replicates=2, seed=5)
    name, read, rule = read_observed(path, CASE)
    assert list(found.figures) == validate_races(RACES, CASE, seed=5)[0] + predict(read, CASE, name, 2, 5, rule)
    assert validate([str(path)], CASE, replicates=2) == validate([str(path)], CASE, replicates=2, seed=1)
