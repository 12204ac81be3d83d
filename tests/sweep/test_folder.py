"""The folder of a sweep on disks that are full or cannot be written to, against the same sweep on a good one."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from disks import on_a_disk
from places import ROOT
from sweeps import InTurn, tiny_sweep

from simlib.common.text import visible
from simlib.sweep import sweep
from simlib.sweep.folder import Folder
from simlib.sweep.plan import make_plan
from simlib.sweep.sweep import read_status, run_sweep

SIMLIB = [sys.executable, "-m", "simlib", "sweep"]


def results(folder: Path) -> bytes:
    return (folder / "results.parquet").read_bytes()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished sweep; its file lies beside it."""
    folder = tmp_path_factory.mktemp("good")
    run_sweep(make_plan(tiny_sweep(folder)), Folder(folder / "out"), engine=InTurn)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("size", ["8k", "40k", "100k", "160k"])
def test_a_full_disk_is_one_line_and_the_sweep_goes_on_when_there_is_room(good: Path, tmp_path: Path, size: str) -> None:
    run = f"{sys.executable} -m simlib sweep {good}/tiny.yaml --out $DISK/out --jobs 2; echo status $?"
    once = "find $DISK -name '[!.]*.parquet' | sort | xargs -r sha256sum"
    (tmp_path / "disk").mkdir()
    out = on_a_disk(
        tmp_path / "disk", size,
        f"cd {ROOT}", run, f"{once} > {tmp_path}/first", "mount -o remount,size=8m $DISK", run, f"{once} > {tmp_path}/then",
        f"cp $DISK/out/results.parquet {tmp_path}",
    )  # fmt: skip
    made, full, status, done, status_then = out
    assert made == visible(f"simlib: made the folder {tmp_path}/disk/out")
    assert re.fullmatch(r"simlib: /.*(parquet|json|jsonl): No space left on device", full)
    assert [status, done, status_then] == ["status 1", "4 cells: 4 done, 0 missing, 0 failed", "status 0"]
    assert results(tmp_path) == results(good / "out")
    assert set((tmp_path / "first").read_text().splitlines()) <= set((tmp_path / "then").read_text().splitlines())


@pytest.mark.slow
def test_files_that_may_not_grow_are_one_line_too_and_lose_nothing(good: Path, tmp_path: Path) -> None:
    command = [*SIMLIB, str(good / "tiny.yaml"), "--out", str(tmp_path), "--jobs", "1"]
    largest = max(block.stat().st_size for block in (good / "out" / "blocks").rglob("*.parquet"))
    room = largest + 100  # for blocks, and not for the results
    assert room < (good / "out" / "results.parquet").stat().st_size
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert (done.returncode, done.stderr) == (1, visible(f"simlib: {tmp_path}/results.parquet: File too large") + "\n")
    status = read_status(make_plan(str(good / "tiny.yaml")), Folder(tmp_path))
    assert (status.done, status.missing) == (4, 0)
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert results(tmp_path) == results(good / "out")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line_and_its_status_is_told(good: Path, tmp_path: Path) -> None:
    run = f"{sys.executable} -m simlib sweep {good}/tiny.yaml --out $DISK/out --jobs 1"
    (tmp_path / "disk").mkdir()
    out = on_a_disk(
        tmp_path / "disk", "8m",
        f"cd {ROOT}; cp -r {good}/out $DISK/out; mount -o remount,ro $DISK",
        f"{run}; echo status $?", f"{run} --status; echo status $?",
    )  # fmt: skip
    assert out == [
        visible(f"simlib: {tmp_path}/disk/out: cannot be used as a sweep's folder: Read-only file system"),
        "status 2",
        "4 cells: 4 done, 0 missing, 0 failed",
        "status 0",
    ]


def test_a_clock_that_goes_backwards_and_files_of_another_time_change_no_result(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(10**6, 0, -60))  # each look at the clock shows a minute less
    monkeypatch.setattr(sweep, "time", SimpleNamespace(monotonic=lambda: float(next(moments))))
    plan, folder = make_plan(str(good / "tiny.yaml")), Folder(tmp_path)
    run_sweep(plan, folder, engine=InTurn)
    assert results(tmp_path) == results(good / "out")
    blocks: Sequence[Path] = sorted(folder.blocks.glob("*/*.parquet"))
    for number, path in enumerate([*blocks, *tmp_path.glob("*.*")]):
        os.utime(path, (4e9, 4e9) if number % 2 else (1, 1))  # of the year 2096, or 1970
    blocks[0].unlink()
    (tmp_path / "results.parquet").unlink()
    before = {path: path.stat().st_mtime for path in blocks[1:]}
    status = run_sweep(plan, folder, engine=InTurn)
    assert {path: path.stat().st_mtime for path in blocks[1:]} == before  # none is simulated again
    assert (status.done, status.seconds_left) == (4, 0.0)
    assert results(tmp_path) == results(good / "out")
