import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.common.shipped import DATA
from simlib.model.history import write_parquet
from simlib.model.simpy_model import simulate
from simlib.replay.figures import tally
from simlib.replay.recording import find_recording, read_recording, shipped_recordings
from simlib.replay.replay import replay_strategy
from simlib.replay.time_slices import glued, pieces
from simlib.validate.predict import halves, predict
from simlib.validate.races import fit_windows, race, race_workload, read_trials, section_of, validate_races
from simlib.validate.scores import Validation, validation_json
from simlib.validate.validate import validate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

CASE = load_case("openclaw-70575")
RACES = sorted(path for path in (DATA / "recordings").glob("gateway-*.json") if "truth" not in path.name)


def test_figures_against_a_schedule_written_by_hand() -> None:
    # The handler reads, a patch of the same session commits a label, the handler commits: stale, clobbered, lost.
    workload = load_workload("handler-only", ["duration=1", "sessions.initial=[label]"])
    drawn = simulate(workload, CASE, draw(workload, CASE, 1, 0))
    handler, patch = CASE.sites.index("handler"), CASE.sites.index("patch")
    request = np.full((2, len(CASE.request)), -1, dtype=np.int32)
    request[0, CASE.request.index("label")] = 7
    columns = {name: np.array(value) for name, value in {
        "flow": [1, 0], "kind": [1, 0], "site": [patch, handler], "session": [0, 0], "gateway": [0, 0], "read": [0.1, 0.0],
        "queued": [0.1, 0.2], "lock": [0.1, 0.2], "end": [0.15, 0.25], "ok": [True, True], "snapshot": [-1, -1],
    }.items()}  # fmt: skip
    history = replace(drawn, request=request, **columns)
    counts = tally(CASE, [replay_strategy(CASE, CASE.strategy("after-19328"), history)], np.ones(2, dtype=np.bool_))
    for figure in ("clobber_rate", "clobber_rate.label", "lost_write_rate", "lost_write_rate.label"):
        assert counts["after-19328", figure] == (1, 1)
    assert counts["", "stale_snapshots"] == (1, 1)
    assert counts["after-19328", "clobber_rate.channel"] == (0, 1)


def test_prediction_of_a_recording_from_its_other_half() -> None:
    recording = read_recording(find_recording("store-2026.4.22-before-19328"), CASE)
    figures = predict(recording.history, CASE, "x", replicates=12, rule=recording.rule)
    assert np.mean([figure.inside for figure in figures]) >= 0.85  # 12 replicates instead of 39
    median = next(figure for figure in figures if figure.figure == "lock_wait.p50")
    assert median.predicted == pytest.approx(median.observed, rel=0.2)


def test_the_models_own_history_comes_out_again_when_it_is_given_its_arrivals_and_times() -> None:
    workload = load_workload("handler-only", ["duration=40", "store.release=0.0005", "traffic.turn.rate=60"])
    history = simulate(workload, CASE, draw(workload, CASE, 11, 0))
    for half in halves(history, CASE, "model"):
        assert half.driven.counts == half.observed.counts
        assert np.allclose(np.sort(half.driven.waits), np.sort(half.observed.waits), atol=1e-9)


def test_every_other_piece_put_together_is_a_history_of_its_own() -> None:
    workload = load_workload("handler-only", ["duration=40", "sessions.count=2"])
    history = simulate(workload, CASE, draw(workload, CASE, 3, 0))
    number = pieces(history)
    for parity in (0, 1):
        rows = np.flatnonzero(number % 2 == parity)
        kept = glued(history, rows)
        kept.check(CASE)  # every snapshot is an earlier commit of its session
        assert np.allclose(kept.end - kept.lock, (history.end - history.lock)[rows])
        assert (kept.lock[1:] >= kept.end[:-1] - 1e-9).all()  # still one at a time
        inside = np.isin(history.snapshot[rows], rows)
        assert np.array_equal(rows[kept.snapshot[inside]], history.snapshot[rows][inside])
    assert np.unique(number).size == 40
    long = load_workload("busy-team", ["duration=300"])
    assert np.unique(pieces(simulate(long, CASE, draw(long, CASE, 1, 0)))).size == 2  # runs last longer than a piece would


def test_mechanics_on_a_real_stores_own_arrivals_and_times() -> None:
    recording = read_recording(find_recording("store-2026.4.22-after-19328-long"), CASE)
    figures = predict(recording.history, CASE, "x", replicates=3, rule=recording.rule)
    assert Validation(tuple(figures)).driven_rmse <= 0.002


def test_two_processes_are_predicted_as_well_as_the_model_itself_made_them() -> None:
    workload = load_workload("handler-only", ["duration=40", "store.gateways=2"])
    history = simulate(workload, CASE, draw(workload, CASE, 3, 0))
    validation = Validation(tuple(predict(history, CASE, "model", replicates=12)))
    assert validation.driven_rmse <= 0.002
    assert validation.coverage >= 0.85  # 12 replicates instead of 39


def test_the_strategy_that_was_at_work_comes_from_the_file(tmp_path: Path) -> None:
    workload = load_workload("handler-only", ["duration=30"])
    strategy = CASE.strategy("in-mutator")
    history = simulate(workload, CASE, draw(workload, CASE, 3, 0), strategy.in_lock)
    write_parquet(history, tmp_path / "x.parquet", "in-mutator")
    document = validation_json(validate([str(tmp_path / "x.parquet")], CASE, replicates=3))
    assert {condition["rule"] for condition in document["conditions"]} == {
        name for name, other in CASE.strategies.items() if other.in_lock == strategy.in_lock
    }
    assert all(condition["observed"] == condition["predicted"] == 0 for condition in document["conditions"])


@pytest.mark.parametrize("rows", [0, 30])
def test_too_little_is_refused(rows: int, tmp_path: Path) -> None:
    workload = load_workload("handler-only", ["duration=30"])
    history = glued(simulate(workload, CASE, draw(workload, CASE, 3, 0)), np.arange(30))
    columns = ("flow", "kind", "site", "session", "gateway", "read", "queued", "lock", "end", "ok", "snapshot", "request")
    history = replace(history, **{name: getattr(history, name)[:rows] for name in columns})
    write_parquet(history, tmp_path / "x.parquet")
    with pytest.raises(InputError, match=f"x: {rows} commits; each half needs at least 20"):
        validate([str(tmp_path / "x.parquet")], CASE)


def test_json_has_the_prescribed_shape() -> None:
    recording = read_recording(find_recording("store-2026.4.22-two-processes"), CASE)
    document = validation_json(Validation(tuple(predict(recording.history, CASE, "x", replicates=3))))
    assert list(document) == ["conditions", "figures", "rmse", "coverage", "driven_rmse"]
    assert {"source", "rule", "observed", "predicted", "low", "high", "inside", "n"} <= set(document["conditions"][0])
    json.dumps(document, allow_nan=False)


@pytest.mark.slow
def test_the_goals_on_all_shipped_recordings() -> None:
    validation = validate(shipped_recordings(), CASE)
    assert validation.rmse <= 0.002
    assert validation.driven_rmse <= 0.002
    assert validation.coverage >= 0.9
    waits = [figure for figure in validation.figures if figure.figure == "lock_wait.p50"]
    far = [figure.source for figure in waits if abs(figure.predicted / figure.observed - 1) > 0.2]
    assert not far


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [["traffic.turn.rate=50"], ["sessions.count=3"], ["store.gateways=2", "traffic.turn.rate=8"]]
)
def test_the_interval_holds_what_it_should_when_the_model_itself_was_observed(overrides: list[str]) -> None:
    workload = load_workload("handler-only", ["duration=40", *overrides])
    history = simulate(workload, CASE, draw(workload, CASE, 11, 0))
    assert np.mean([figure.inside for figure in predict(history, CASE, "model")]) >= 0.9


@pytest.mark.parametrize("path", RACES, ids=[path.stem for path in RACES])
def test_gateway_races_against_the_trials_held_out_of_the_fit(path: object) -> None:
    conditions, windows = validate_races(path, CASE, replicates=40)  # type: ignore[arg-type]
    assert np.mean([condition.inside for condition in conditions]) >= 0.9
    assert (windows is None) == ("2026.9.6" in str(path))


@pytest.mark.parametrize("rule", section_of(CASE, "a test").builds.values())
@pytest.mark.parametrize("runs", [False, True])
def test_races_outside_and_inside_the_window_against_the_issues_account(rule: str, runs: bool) -> None:
    trials = read_trials(DATA / "recordings" / ("gateway-run-2026.4.22.json" if runs else "gateway-2026.4.22.json"), CASE)
    windows = fit_windows(trials)
    assert windows is not None
    workload = race_workload(section_of(CASE, "a test"), windows, runs, in_lock=rule == "in-mutator")
    lost = race(workload, CASE, rule, runs, np.array([-0.5, 0.08, 9.0]), seed=1)
    stale = rule != "all-sites"
    assert lost["label"].tolist() == [False, stale, False]
    assert lost["thinkingLevel"].tolist() == [False, rule == "before-19328", False]
