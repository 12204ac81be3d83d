"""Sweeps, against `run` with the same settings, and against themselves: killed, damaged, shared out and run again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import ROOT
from processes import children, group_is_gone, wait_until
from sweep_tasks import kill_itself_at_block
from sweeps import InTurn, tiny_sweep

from simlib.common.errors import InputError, RunError
from simlib.common.workers import Crew
from simlib.estimate.experiment import run
from simlib.sweep.block import Job
from simlib.sweep.folder import Folder
from simlib.sweep.plan import Plan, make_plan
from simlib.sweep.results import load_results
from simlib.sweep.sweep import Status, Task, read_status, run_sweep


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return make_plan(tiny_sweep(tmp_path_factory.mktemp("sweep")))


@pytest.fixture(scope="module")
def finished(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert run_sweep(plan, Folder(folder), jobs=2).done == 4
    return folder


def results(folder: Path) -> bytes:
    return (folder / "results.parquet").read_bytes()


def blocks(folder: Path) -> list[Path]:
    return sorted(folder.glob("blocks/*/*.parquet"))


def simulate(plan: Plan, folder: Path, **options: object) -> Status:
    return run_sweep(plan, Folder(folder), engine=InTurn, **options)  # type: ignore[arg-type]


def test_every_row_is_what_run_gives_with_the_settings_and_the_replicates_of_its_cell(plan: Plan, finished: Path) -> None:
    frame = load_results(finished)
    assert list(frame["cell"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    for number, rows in frame.groupby("cell"):
        settings = plan.settings[int(number)]
        assert {name: rows[name].iloc[0] for name in settings} == settings
        expected = run(plan.workload(int(number)), plan.case, plan.strategies, replicates=int(rows["replicates"].iloc[0]))
        expected = expected.to_frame()
        for column in expected:
            assert list(rows[column]) == list(expected[column]) or np.array_equal(
                rows[column].to_numpy(float), expected[column].to_numpy(float), equal_nan=True
            ), column


def test_each_cell_has_the_fewest_blocks_that_are_precise_enough(plan: Plan, finished: Path) -> None:
    frame = load_results(finished)
    for number, rows in frame.groupby("cell"):
        count, workload = int(rows["replicates"].iloc[0]), plan.workload(int(number))
        widths = {}
        for replicates in range(plan.sweep.block, count + 1, plan.sweep.block):
            result = run(workload, plan.case, plan.strategies, replicates=replicates)
            intervals = [result.best_rate(name).interval() for name in plan.strategies]
            widths[replicates] = max(interval.high - interval.low for interval in intervals if interval) / 2
        enough = [replicates for replicates, width in widths.items() if width <= 0.05]
        assert enough == [count] if rows["state"].iloc[0] == "done" else (enough, count) == ([], 12)


def test_the_bytes_are_the_same_whoever_works_and_in_whatever_order(plan: Plan, finished: Path, tmp_path: Path) -> None:
    simulate(plan, tmp_path)
    assert results(tmp_path) == results(finished)


def test_a_second_run_simulates_nothing_and_what_is_missing_is_simulated_again(
    plan: Plan, finished: Path, tmp_path: Path
) -> None:
    def refuse(task: Task) -> InTurn:
        raise AssertionError("something was simulated")

    run_sweep(plan, Folder(finished), engine=refuse)
    simulate(plan, tmp_path)
    whole = {path: path.read_bytes() for path in blocks(tmp_path)}
    for path in blocks(tmp_path)[::2]:
        path.unlink()
    (tmp_path / "journal.jsonl").write_text((tmp_path / "journal.jsonl").read_text()[:-30])  # a line is cut
    assert read_status(plan, Folder(tmp_path)).missing > 0
    simulate(plan, tmp_path)
    assert {path: path.read_bytes() for path in blocks(tmp_path)} == whole
    assert results(tmp_path) == results(finished)


def test_a_damaged_or_swapped_block_is_simulated_again(plan: Plan, finished: Path, tmp_path: Path) -> None:
    simulate(plan, tmp_path)
    first, second, *_ = blocks(tmp_path)
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(blocks(finished)[-1].read_bytes())
    (tmp_path / "results.parquet").unlink()
    said = list[str]()
    simulate(plan, tmp_path, say=said.append)
    assert results(tmp_path) == results(finished)
    assert {first.name[:8], second.name[:8]} == {line.split()[-7] for line in said}


def test_a_sweep_that_wants_more_goes_on_from_where_it_is(plan: Plan, tmp_path: Path) -> None:
    more = make_plan(tiny_sweep(tmp_path, ("most: 12", "most: 24"), ("absolute: 0.05", "absolute: 0.03")))
    simulate(plan, tmp_path / "a")
    before = {path.name: path.stat().st_mtime_ns for path in blocks(tmp_path / "a")}
    simulate(more, tmp_path / "a")
    after = {path.name: path.stat().st_mtime_ns for path in blocks(tmp_path / "a")}
    assert len(after) > len(before)
    assert before.items() <= after.items()
    simulate(more, tmp_path / "b")
    assert results(tmp_path / "a") == results(tmp_path / "b")


def test_a_new_setting_makes_new_cells_and_is_named(plan: Plan, tmp_path: Path) -> None:
    simulate(plan, tmp_path)
    other = make_plan(tiny_sweep(tmp_path), ["sessions.count=7"])
    status = read_status(other, Folder(tmp_path))
    assert (status.done, status.missing) == (0, 4)
    assert [line.split(":")[0] for line in status.changed] == ["sessions.count"]


def deadly(once: Path | None) -> Callable[[Task], Crew[Sequence[Job], list[bytes | str]]]:
    return lambda task: Crew(partial(kill_itself_at_block, task, 0.5, once), 2)


@pytest.mark.slow  # it starts processes
def test_a_block_whose_worker_dies_is_tried_again(plan: Plan, finished: Path, tmp_path: Path) -> None:
    once = tmp_path / "died"
    status = run_sweep(plan, Folder(tmp_path / "s"), engine=deadly(once))
    assert once.exists()
    assert status.failed == 0
    assert results(tmp_path / "s") == results(finished)


@pytest.mark.slow
def test_a_cell_that_kills_three_workers_is_a_row_that_says_so_and_no_analysis_runs_over_it(
    plan: Plan, finished: Path, tmp_path: Path
) -> None:
    status = run_sweep(plan, Folder(tmp_path), engine=deadly(None))
    assert (status.done, status.failed, status.missing) == (2, 2, 0)
    with pytest.raises(RunError, match=r"2 of 4 cells failed .cell 2: a worker process died: it was ended by SIGKILL"):
        load_results(tmp_path)
    left = load_results(tmp_path, without_failed=True)
    pd.testing.assert_frame_equal(left, load_results(finished).query("cell < 2"), check_names=False)
    assert simulate(plan, tmp_path).failed == 0  # what failed is tried again
    assert results(tmp_path) == results(finished)


def test_two_sweeps_at_once_on_one_folder_are_refused(plan: Plan, tmp_path: Path) -> None:
    with Folder(tmp_path).locked(), pytest.raises(RunError, match="another sweep is at work in this folder"):
        simulate(plan, tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be used as a sweep's folder"):
        simulate(plan, tmp_path / "file" / "sweep")


def test_what_a_kill_left_half_written_is_removed(plan: Plan, tmp_path: Path) -> None:
    simulate(plan, tmp_path)
    half = blocks(tmp_path)[0].with_name(f".{'ab' * 16}-0000000-1234.parquet")
    half.write_bytes(b"PAR1")
    simulate(plan, tmp_path)
    assert not half.exists()


def test_columns_are_explained(plan: Plan, finished: Path) -> None:
    columns = json.loads((finished / "columns.json").read_text())
    assert list(columns) == list(load_results(finished).columns)
    assert columns["wait_p99_s"] == "wait for the lock, seconds: p99"
    assert columns["traffic.patch.rate"].startswith("axis")


def begin(plan: str, folder: Path) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)  # one that is made is said
    return subprocess.Popen(
        [sys.executable, "-m", "simlib", "sweep", plan, "--out", str(folder), "--jobs", "2"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    name = tiny_sweep(tmp_path, ("duration: 40", "duration: 4000"), ("absolute: 0.05, most: 12", "most: 40"))
    started = time.monotonic()
    _, errors = begin(name, tmp_path / "whole").communicate(timeout=300)
    assert not errors
    seconds, rng, killed = time.monotonic() - started, np.random.default_rng(7), 0
    while True:
        command = begin(name, tmp_path / "killed")
        try:
            _, errors = command.communicate(timeout=rng.uniform(0.2, 0.9) * seconds if killed < 10 else 300)
        except subprocess.TimeoutExpired:
            if rng.random() < 0.5:  # the client alone, or everything at once
                command.kill()
            else:
                os.killpg(command.pid, signal.SIGKILL)
            command.communicate()
            wait_until(lambda command=command: group_is_gone(command.pid), "the end of all processes")
            killed += 1
            continue
        assert command.returncode == 0, errors
        assert results(tmp_path / "killed") == results(tmp_path / "whole")
        assert [path.name for path in blocks(tmp_path / "killed")] == [path.name for path in blocks(tmp_path / "whole")]
        if killed == 10:
            return
        shutil.rmtree(tmp_path / "killed")  # it was quicker than the next kill: from the start again


@pytest.mark.slow
def test_workers_alone_are_killed_at_ten_random_moments_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    name = tiny_sweep(tmp_path, ("duration: 40", "duration: 8000"), ("absolute: 0.05, most: 12", "most: 200"))
    begin(name, tmp_path / "whole").communicate(timeout=300)
    kept = [path.name for path in blocks(tmp_path / "whole")]
    command, rng = begin(name, tmp_path / "killed"), np.random.default_rng(7)
    for moment in sorted(rng.choice(np.arange(4, len(kept) - 4, 4), 10, replace=False)):  # after so many blocks
        wait_until(lambda moment=moment: len(blocks(tmp_path / "killed")) >= moment, f"{moment} blocks")
        assert command.poll() is None
        os.kill(children(command.pid)[0], signal.SIGKILL)
    out, errors = command.communicate(timeout=300)
    assert (command.returncode, errors) == (0, "")
    assert out == "4 cells: 4 done, 0 missing, 0 failed\n"
    assert [path.name for path in blocks(tmp_path / "killed")] == kept
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
