"""simlib's command line as a process of its own, started in a hundredth of the time: a fork of one that is warm.

What is about starting Python itself (imports, signals, compiling) uses `sys.executable -m simlib`; what is about a command's
output, files and exit status uses this.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from places import ROOT

SECONDS, BYTES = 120, 8 * 10**9
"""What a command may take, of the processor's time and of memory."""


def simlib(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command line in `cwd`, or in an empty folder; what it wrote and its exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = folder / "here"
        here.symlink_to(cwd) if cwd else here.mkdir()
        server = _server()
        assert server.stdin
        assert server.stdout
        print(json.dumps({"folder": name, "arguments": arguments, "fresh": False}), file=server.stdin, flush=True)
        line = server.stdout.readline()
        assert line, "the server of forks has ended"
        said = [(folder / stream).read_text(encoding="utf-8") for stream in ("stdout", "stderr")]
        return subprocess.CompletedProcess(arguments, json.loads(line)["status"], *said)


@cache
def _server() -> "subprocess.Popen[str]":
    """The process that is forked; one for all tests of a session."""
    command = [sys.executable, str(ROOT / "tests/support/fork_server.py"), str(SECONDS), str(BYTES), "1"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(server.kill)
    return server
