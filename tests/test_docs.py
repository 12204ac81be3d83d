"""What the README, the help and the package's face say is what there is."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from documents import TAKE_LONG, call, commands, fenced
from places import ROOT

import simlib
from simlib.cli import app

README = (ROOT / "README.md").read_text()
COMMANDS = commands(ROOT / "docs" / "commands.md")


def test_the_face_of_the_package_is_small_and_pinned():
    assert simlib.__all__ == [
        "History", "InputError", "RunError", "SimlibError", "counterfactual",
        "load_case", "load_workload", "prove", "read_recording", "replay_strategy", "run",
    ]  # fmt: skip
    assert all(getattr(simlib, name).__doc__ for name in simlib.__all__)


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=[pytest.mark.slow] * (shlex.split(c)[1] in TAKE_LONG)) for c in COMMANDS]
)
def test_every_command_of_the_page_of_commands_works(command, tmp_path):
    done = call(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_command_of_the_readme_is_one_of_that_page():
    named = [line.split("#")[0].strip().removeprefix(".venv/bin/") for line in fenced(README, "sh") if "simlib " in line]
    assert named
    assert set(named) <= set(COMMANDS)


def test_the_page_of_commands_names_every_command_and_every_make_target_exists():
    names = {command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    assert names == {shlex.split(command)[1] for command in COMMANDS}
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    for text in (README, (ROOT / "docs" / "commands.md").read_text()):
        assert set(re.findall(r"make ([a-z-]+)", text)) <= targets


def test_every_promise_names_a_test_that_is_there():
    rows = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]
    promised = [row for row in rows if row != "| promise | test |"]
    assert len(promised) > 30
    for row in promised:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for path, test in named:
            assert (ROOT / path).is_file(), path
            assert re.search(rf"^ *(?:async )?def {test}\(", (ROOT / path).read_text(), re.M), test


def test_help_does_not_import_what_is_heavy():
    code = "import sys, simlib.cli; sys.exit(bool({'numba', 'numpy', 'pandas', 'matplotlib', 'papermill'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("words", ["workloads", "strategies", "run nosuch", "run quiet --strategy nosuch", "report nosuch"])
def test_lists_and_refusals_import_nothing_that_is_heavy(words):
    code = f"""import sys; sys.argv = ["simlib", *{words.split()!r}]
from simlib.cli import run_command
run_command()
sys.exit(bool({{"numba", "scipy", "pandas", "matplotlib", "papermill"}} & set(sys.modules)))"""
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_no_committed_file_names_a_package_index_or_a_local_path():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    assert "--find-links" not in lock


def test_every_module_says_what_it_is_for():
    for path in (ROOT / "simlib").rglob("*.py"):
        assert path.read_text().startswith('"""'), path


def test_the_commands_of_the_action_do_what_they_say(tmp_path):
    """The step that checks, run as the action's shell does, with a limit that is kept and one that is not."""
    step = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][-1]
    program = tmp_path / "bin" / "simlib"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m simlib "$@"\n')
    program.chmod(0o755)
    values = {"WORKLOAD": "quiet", "STRATEGY": "all-sites", "CONFIDENCE": "0.95", "CASE": "", "JUNIT": "check.xml"}
    values["OPTIONS"] = "--max-lost-write-rate 0.9 --most 32 --set duration=60"
    assert set(step["env"]) == {*values, "LIMIT"}
    for limit, status in (("0.5", 0), ("0.0000001", 3)):
        path = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        environment = os.environ | values | path | {"LIMIT": limit}
        done = subprocess.run(
            [shutil.which("bash"), "-c", step["run"]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert (tmp_path / "check.xml").read_text().count("<testcase") == 1
        assert "a lost-write rate of" in done.stdout
