"""Compilation: said when it happens and only then, and possible where next to nothing can be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

MESSAGE = "simlib: compiling the engine (once; some seconds) ...\n"


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


def copied(folder):
    """A copy of the package without what numba keeps."""
    shutil.copytree(ROOT / "simlib", folder / "simlib", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "simlib"


RACE = "from simlib.replay.judging import needs_race; print(needs_race(1, 2, -1), needs_race(1, 2, 1))"
NOWHERE = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "NUMBA_CACHE_DIR": ""}


def test_an_edit_of_an_inlined_function_of_another_file_is_compiled_by_the_next_process(tmp_path):
    evaluator = copied(tmp_path) / "case" / "evaluator.py"
    assert python(RACE, tmp_path, NUMBA_CACHE_DIR="").stdout == "False True\n"
    before = evaluator.read_text()
    after = before.replace("return fresh if patch == ABSENT else patch", "return fresh")
    assert before != after
    evaluator.write_text(after)
    assert python(RACE, tmp_path, NUMBA_CACHE_DIR="").stdout == "False False\n"


def test_where_neither_the_package_nor_the_home_can_be_written_the_cache_is_in_the_temporary_folder(tmp_path):
    (copied(tmp_path) / "__pycache__").write_text("")  # a file: not even root can make a folder of it
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = python(RACE, tmp_path, **NOWHERE, TMPDIR=str(temporary))
    assert done.stdout == "False True\n"
    assert list(temporary.glob("simlib-*/**/*.nbi"))


def test_where_nothing_at_all_can_be_written_it_compiles_without_a_cache(tmp_path):
    (copied(tmp_path) / "__pycache__").write_text("")
    nothing = "import tempfile; tempfile.tempdir = '/dev/null'; "
    assert python(nothing + RACE, tmp_path, **NOWHERE).stdout == "False True\n"
    assert not list(tmp_path.rglob("*.nbi"))


def test_a_file_in_the_current_folder_does_not_say_where_compiled_code_is_loaded_from(tmp_path: Path) -> None:
    (tmp_path / ".numba_config.yaml").write_text(f"cache_dir: {tmp_path / 'theirs'}\n")
    code = "from simlib.common.compilation import _places; print(*_places())"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) not in done.stdout
