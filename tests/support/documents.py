"""The commands that a page shows, and how a test runs them with little work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from command_line import simlib

TAKE_LONG = ("bench", "report", "batch")
"""Commands that take many seconds, whatever they are given."""
START_PROCESSES = (*TAKE_LONG, "atlas", "sweep", "testbed")
LITTLE = {
    "run": ["--replicates", "2", "--set", "duration=10"],
    "report": ["--replicates", "2", "--set", "duration=10"],
    "compare": ["--replicates", "2", "--set", "duration=10"],
    "atlas": ["atlas-chimera-agent", "--replicates", "2"],
    "validate": ["--replicates", "3"],
    "testbed": ["--seconds", "0.5"],
    "sweep": ["--dry-run"],
    "batch": ["--index-only"],
}
"""Command -> options, the last of which count, that make it short."""


def fenced(text: str, language: str) -> list[str]:
    """The lines of the text's code blocks in this language."""
    return [line for block in blocks(text, language) for line in block.splitlines()]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(page: Path) -> list[str]:
    """The calls of simlib on a page, without their comments and without those that need other machines."""
    lines = [line.split("#")[0].strip() for line in fenced(page.read_text(), "sh")]
    return [line for line in lines if line.startswith("simlib ") and "HOST" not in line]


def call(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of a page in a folder, with little work."""
    arguments = shlex.split(command)[1:]
    kept = arguments[1:2] and arguments[1].endswith(".parquet")  # results, which are there already
    if not kept and "--status" not in arguments:
        arguments += LITTLE.get(arguments[0], [])
    if arguments[0] not in START_PROCESSES:
        return simlib(*arguments, cwd=folder)
    return subprocess.run(
        [sys.executable, "-m", "simlib", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
