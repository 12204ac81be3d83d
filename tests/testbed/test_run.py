"""The live testbed against replay, against itself, and against people who press Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from processes import group_is_gone, wait_until

from simlib.case.case import Case, load_case
from simlib.common.errors import InputError, RunError
from simlib.model.history import read_parquet, same, write_parquet
from simlib.replay.recording import check, read_recording
from simlib.replay.replay import replay_strategy
from simlib.testbed.export import write_recording
from simlib.testbed.grid import Condition, grid, run_grid, summary
from simlib.testbed.run import TestbedRun, check_final, run_testbed
from simlib.validate.validate import validate
from simlib.workload.workload import Workload, load_workload

CONTENTION = (
    "sessions.count=2",
    "traffic.turn.rate=40",
    "traffic.patch.rate=40",
    "traffic.inbound.rate=0",
    "times.handler.prepare=0.02",
)


@cache
def case() -> Case:
    return load_case("openclaw-70575")


def contended(gateways: int = 1) -> Workload:
    return load_workload("handler-only", [*CONTENTION, f"store.gateways={gateways}"])


@cache
def short_run(store: str, gateways: int, strategy: str) -> TestbedRun:
    return run_testbed(contended(gateways), case(), strategy, store, seconds=1, seed=7)


def clobbers(run: TestbedRun) -> int:
    return len(replay_strategy(run.case, run.case.strategy(run.strategy), run.history).clobbers)


@pytest.mark.parametrize(("store", "gateways"), [("file", 1), ("file", 2), ("sqlite", 2)])
def test_stale_patches_clobber_on_a_real_store_and_replay_gives_its_content(store: str, gateways: int) -> None:
    run = short_run(store, gateways, "before-19328")  # which raises if replay differs from the store
    assert clobbers(run) > 0
    assert set(run.history.gateway) == set(range(gateways))
    assert len(run.history) == run.traffic.site.size  # every transaction ended


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_all_sites_never_clobbers_on_a_real_store(store: str) -> None:
    run = short_run(store, 2, "all-sites")
    assert clobbers(run) == 0
    assert run.history.ok.all()


def test_the_order_of_a_history_is_that_of_its_exclusive_locks() -> None:
    for store in ("file", "sqlite"):
        history = short_run(store, 2, "before-19328").history
        assert (history.read <= history.queued).all()
        assert (history.queued <= history.lock).all()
        assert (history.lock <= history.end).all()
        assert (history.end[:-1] <= history.lock[1:]).all()


def test_a_whole_turn_runs_on_a_real_store_as_its_replay_says() -> None:
    quick = [
        "times.run_start.prepare=0.05",
        "times.run_end.after=0.1",
        *(f"traffic.{name}.rate=8" for name in ("turn", "spawn", "patch", "inbound")),
    ]
    workload = load_workload("busy-team", ["sessions.count=3", *quick])
    run = run_testbed(workload, case(), "after-19328", seconds=1, entry_bytes=5000)
    assert {run.history.sites[site] for site in run.history.site} == {"handler", "run_start", "run_end", "patch", "inbound"}
    assert clobbers(run) > 0


def test_a_run_in_which_nothing_arrives_has_an_empty_history() -> None:
    workload = load_workload("handler-only", [f"traffic.{name}.rate=0" for name in ("turn", "patch", "inbound")])
    run = run_testbed(workload, case(), "all-sites", "sqlite", seconds=0.01)
    assert len(run.history) == 0
    assert np.isnan(summary(run)["hold_p50"])


def tampered_entry(run: TestbedRun) -> TestbedRun:
    written = run.written.copy()
    written[len(written) // 2, case().fields.index("label")] += 1
    return replace(run, written=written)


def tampered_end(run: TestbedRun) -> TestbedRun:
    final = run.final.copy()
    channel = case().fields.index("channel")
    final[0, channel] = not final[0, channel]  # undefined, or the first one
    return replace(run, final=final)


def tampered_lock(run: TestbedRun) -> TestbedRun:
    fresh = run.fresh.copy()
    fresh[-1] = -1
    return replace(run, fresh=fresh)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (tampered_entry, "label is"),
        (tampered_end, "session-1 at the end: channel is"),
        (tampered_lock, "held the lock at once"),
    ],
)
def test_a_store_that_is_not_what_replay_gives_fails_the_run(tamper: Callable[[TestbedRun], TestbedRun], says: str) -> None:
    with pytest.raises(RunError, match=says):
        check_final(tamper(short_run("file", 1, "before-19328")))


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_run_read_back_as_a_recording_is_reproduced_exactly(store: str, tmp_path: Path) -> None:
    run = short_run(store, 2, "before-19328")
    write_recording(run, tmp_path / "run.jsonl.gz")
    recording = read_recording(tmp_path / "run.jsonl.gz", case())
    found = check(case(), recording)
    assert found.exact, found.mismatches
    assert found.clobbered_recorded == clobbers(run)
    assert np.array_equal(recording.history.snapshot, run.history.snapshot)


def test_a_history_comes_back_from_parquet_bit_for_bit(tmp_path: Path) -> None:
    history = short_run("sqlite", 2, "before-19328").history
    write_parquet(history, tmp_path / "run.parquet")
    assert same(read_parquet(tmp_path / "run.parquet"), history)


def test_a_recording_refuses_what_it_has_no_words_for(tmp_path: Path) -> None:
    run = short_run("file", 1, "before-19328")
    with pytest.raises(InputError, match="no handler in script"):
        write_recording(
            replace(run, history=replace(run.history, kinds=("script", "patch", "inbound"))), tmp_path / "a.jsonl.gz"
        )
    with pytest.raises(InputError, match="starts empty"):
        write_recording(replace(run, history=replace(run.history, initial=run.history.initial + 1)), tmp_path / "a.jsonl.gz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"store": "redis"}, "store 'redis' is not known; allowed: file, sqlite"),
        ({"strategy_name": "hope"}, "strategy 'hope' is not in case"),
        ({"seconds": 0}, "seconds: 0 is too small; allowed: 0.01 to 86,400"),
        ({"entry_bytes": -1}, "entry_bytes: -1 is too small; allowed: 0 to 10,000,000"),
        ({"entry_bytes": 3 * 10**9}, "entry_bytes: 3000000000 is too large"),
        ({"seconds": 1e12}, "seconds: 1000000000000.0 is too large"),
        ({"folder": Path(__file__)}, "cannot make a folder there: Not a directory"),
        ({"folder": Path("/nowhere/at/all")}, "/nowhere/at/all: cannot make a folder there: No such file or directory"),
    ],
)
def test_bad_input_is_refused_in_one_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        run_testbed(**{"workload": contended(), "case": case(), "strategy_name": "all-sites", **options})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_grid_saves_what_each_condition_did(tmp_path: Path) -> None:
    conditions = grid(["sqlite"], [0.5, 1], [3], [1], ["after-19328"])
    table = run_grid(contended(), case(), conditions, tmp_path, seconds=0.2)
    assert {path.name for path in tmp_path.iterdir()} == {"summary.csv", *(f"{condition}.parquet" for condition in conditions)}
    for _, row in table.iterrows():
        assert len(read_parquet(tmp_path / row["file"])) == row["transactions"]


def test_a_condition_that_contradicts_the_workload_is_refused() -> None:
    with pytest.raises(InputError, match=r"script\.gateways: 1 is not there"):
        Condition("file", 1, 5, 1, "all-sites").workload(load_workload("multi-process"))


def test_ctrl_c_stops_the_gateways_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "simlib", "testbed", "handler-only", "--set", "store.gateways=2", "--seconds", "600"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started = b'"revision": 1'  # somebody has committed
    wait_until(lambda: any(started in path.read_bytes() for path in tmp_path.glob("*/sessions.json")), "a first commit")
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    _, errors = command.communicate(timeout=60)
    assert (command.returncode, errors) == (130, "simlib: interrupted\n")  # no gateway has anything to say
    wait_until(lambda: group_is_gone(command.pid), "the end of all processes")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_final_contents_are_replayed_exactly_over_a_grid_of_conditions(tmp_path: Path) -> None:
    base = load_workload("handler-only", ["sessions.initial=[label]"])
    conditions = grid(["file", "sqlite"], [1, 2], [2, 10], [1, 2], ["before-19328"])
    conditions += grid(["file", "sqlite"], [2], [2], [1, 2], ["in-mutator", "all-sites"])
    table = run_grid(base, case(), conditions, tmp_path, seconds=2, entry_bytes=2000)
    assert len(table) == 24
    assert (table.loc[table["strategy"] == "all-sites", "clobbering"] == 0).all()
    assert table.loc[table["strategy"] == "before-19328", "clobbering"].sum() > 0


@pytest.mark.slow
def test_the_mechanics_and_the_prediction_on_real_stores_over_the_standard_grid(tmp_path: Path) -> None:
    # Two seconds show some 80 turns a half, of which one is more than a point; so only gross errors are excluded here, and of
    # the mechanics only where no process polls for another one's lock: then one read decides all that follows.
    command = [sys.executable, "-m", "simlib", "testbed", "handler-only", "--grid", str(tmp_path), "--seconds", "2"]
    done = subprocess.run([*command, "--set", "traffic.inbound.rate=0", "--json"], capture_output=True, text=True, check=True)
    paths = json.loads(done.stdout)
    assert len(paths) == 16
    busy = [path for path in paths if "load4" in path]
    assert validate(busy, case(), replicates=20).coverage > 0.8
    assert validate([path for path in busy if "gateways1" in path], case(), replicates=2).driven_rmse < 0.02
