"""Checked against what is promised on any input (`support/fuzz.py` makes them): see `faults`.

New inputs with FUZZ_SEED=2; one of them alone with FUZZ_SEED=2 FUZZ_ONLY=yaml-17.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz import COUNTS, Attempt, attempt, lay_out
from places import ROOT

SEED, ONLY = int(os.environ.get("FUZZ_SEED", "1")), os.environ.get("FUZZ_ONLY", "")
SECONDS, BYTES = 60, 2 * 10**9
"""What each command may take, of the processor's time and of memory."""
AT_ONCE = 2
OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGALRM)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, but the ends of lines and tabs; what turns text around; other ends of lines."""


def faults(one: Attempt, outcome: dict[str, Any]) -> list[str]:
    """What fell short of the promise, in a word or two each; empty if nothing."""
    folder, status = Path(outcome["folder"]), outcome["status"]
    output, complaint = ((folder / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout", "stderr"))
    lines = [line for line in complaint.split("\n") if line and not (status == 0 and line.startswith("simlib: assumed: "))]
    found = {
        "time": status in OUT_OF_TIME or outcome["seconds"] > SECONDS,
        "signal": status < 0 and status not in OUT_OF_TIME,
        "exit status": status > 2,
        "traceback": "Traceback (most recent call last)" in complaint,
        "bug line": "bug in simlib" in complaint,
        "memory": "MemoryError" in complaint or "bad_alloc" in complaint,
        "warning": "Warning" in complaint,
        "several lines": len(lines) > 1,
        "no line": status in (1, 2) and not lines,
        "long line": any(len(line) > 2_000 for line in lines),
        "control characters": any(UNSEEN.search(text) for text in (output, complaint)),
        "no JSON": status == 0 and "--json" in one.arguments and not _is_json(output),
        "written elsewhere": {path.name for path in folder.iterdir()} != {"here", "stdout", "stderr"},
        "input changed": any(not _holds(folder / "here" / name, data) for name, data in one.files.items()),
    }
    return [name for name, holds in found.items() if holds]


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _is_json(text: str) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def run_all(attempts: list[Attempt], folder: Path) -> list[dict[str, Any]]:
    """The outcomes, in the order of the ends; each attempt has its own folder, which stays."""
    jobs = [json.dumps(lay_out(one, folder / one.name)) for one in attempts]
    server = subprocess.run(
        [sys.executable, str(ROOT / "tests/support/fork_server.py"), str(SECONDS), str(BYTES), str(AT_ONCE)],
        input="".join(job + "\n" for job in jobs),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    return [json.loads(line) for line in server.stdout.splitlines()]


def told(one: Attempt, outcome: dict[str, Any], found: list[str]) -> str:
    """One line about what fell short, and how to see it again."""
    said = (Path(outcome["folder"]) / "stderr").read_text(encoding="utf-8", errors="replace")[:200]
    return (
        f"FUZZ_SEED={SEED} FUZZ_ONLY={one.name}: {', '.join(found)}: simlib {' '.join(one.arguments)[:200]!r} in "
        f"{outcome['folder']}/here: status {outcome['status']} after {outcome['seconds']:.1f} s: {said!r}"
    )


@pytest.mark.slow
def test_whatever_is_fed_to_it_it_answers_as_promised(tmp_path):
    attempts = {
        str(tmp_path / f"{kind}-{number}"): attempt(SEED, kind, number)
        for kind, count in COUNTS.items()
        for number in range(count)
        if ONLY in ("", f"{kind}-{number}")
    }
    outcomes = run_all(list(attempts.values()), tmp_path)
    assert len(outcomes) == len(attempts)
    judged = [(attempts[outcome["folder"]], outcome, faults(attempts[outcome["folder"]], outcome)) for outcome in outcomes]
    fallen = [told(*one) for one in judged if one[-1]]
    assert not fallen, f"{len(fallen)} of {len(attempts)} fell short:\n" + "\n".join(fallen)
