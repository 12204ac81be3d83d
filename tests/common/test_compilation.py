"""Compilation: said when it happens and only then, and possible where next to nothing can be written."""

import os
import shutil
import subprocess
import sys

import pytest
from places import ROOT

MESSAGE = "simlib: compiling the engine (once; some 20 seconds) ...\n"


def python(code, folder, **environment):
    """What a program says that imports the package in `folder`."""
    command = [sys.executable, "-B", "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": "", **environment}
    )


def test_compiling_is_said_once_and_loading_from_the_cache_is_silent(tmp_path):
    code = (
        "from simlib.cli.compiling import announced\n"
        "from simlib.replay.judging import classify, needs_race\n"
        "announced(lambda: print(needs_race(1, 2, 3), classify(1, 2, 2, False)))()"
    )
    first, second = (python(code, ROOT, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first.stdout == second.stdout == "False 4\n"
    assert (first.stderr, second.stderr) == (MESSAGE, "")


@pytest.mark.slow
def test_the_first_run_of_all_says_that_it_compiles_and_the_second_does_not(tmp_path):
    command = [sys.executable, "-m", "simlib", "run", "quiet", "--replicates", "2", "--set", "duration=100"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True, env=environment) for _ in range(2))
    assert first.stdout == second.stdout
    assert (first.stderr, second.stderr) == (MESSAGE, "")


def test_where_neither_the_package_nor_the_home_can_be_written_the_cache_is_in_the_temporary_folder(tmp_path):
    shutil.copytree(ROOT / "simlib", tmp_path / "simlib", ignore=shutil.ignore_patterns("__pycache__"))
    for room in (path for path in (tmp_path / "simlib").iterdir() if path.is_dir()):
        (room / "__pycache__").write_text("")  # a file: not even root can make a folder of it
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    nowhere = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "NUMBA_CACHE_DIR": "", "TMPDIR": str(temporary)}
    done = python("from simlib.replay.judging import needs_race; print(needs_race(1, 2, 3))", tmp_path, **nowhere)
    assert done.stdout == "False\n"
    assert list(temporary.glob("simlib-*/**/*.nbi"))
