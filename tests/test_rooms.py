"""The house: rooms in import order, and every module in one of them."""

import subprocess
import sys
import tomllib
from pathlib import Path

from places import ROOT

PACKAGE = ROOT / "simlib"
(CONTRACT,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_no_import_runs_up_through_the_rooms():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_room_stands_in_the_order_and_every_module_in_a_room():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(CONTRACT["layers"])
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_tests_mirror_the_rooms():
    for test in (ROOT / "tests").glob("*/test_*.py"):
        assert test.parent.name in CONTRACT["layers"], test
