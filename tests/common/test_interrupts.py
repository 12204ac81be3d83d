"""Interrupts, against libraries that make nothing of them, or something else."""

import signal
import subprocess
import sys

import pytest
from places import ROOT

SWALLOWING = """
import sys, time
import simlib.cli

def swallow_once():
    try:
        print("begun", flush=True)
        time.sleep(60)
    except:
        WHAT
    time.sleep(60)

simlib.cli.app = lambda standalone_mode: swallow_once()
from simlib.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("number", "status", "says"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.parametrize(
    "what",
    [
        "pass",
        "raise ImportError('initialization failed')",
        "sys.excepthook(*sys.exc_info()); raise ImportError('initialization failed')",  # as NumPy's import_array in C does
    ],
)
def test_an_interrupt_that_a_library_swallows_or_renames_is_one(what: str, number: int, status: int, says: str) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", SWALLOWING.replace("WHAT", what)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "begun\n"
    command.send_signal(number)
    _, errors = command.communicate(timeout=30)
    assert (command.returncode, errors) == (status, f"simlib: {says}\n")
