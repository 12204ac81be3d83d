"""Run many command lines of simlib quickly: one process imports and compiles everything, each command is a fork of it.

    python fork_server.py SECONDS BYTES AT_ONCE < jobs > outcomes

A job is a line of JSON: `folder`, in which the command runs in the folder `here` and its output is kept as `stdout` and
`stderr`; `arguments`; and `fresh`: whether it wants a new process of its own (as it starts processes itself). An outcome is a
line too: `folder`, `status` (negative: the signal that ended it), and `seconds` of the processor, which other load of the
machine does not change.
"""

import io
import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

WARM = (
    ("run", "quiet", "--replicates", "2", "--jobs", "1", "--set", "duration=60"),
    ("run", "multi-process", "--replicates", "2", "--jobs", "1", "--set", "duration=20"),
    ("strategies",),
    ("replay", "store-2026.4.22-two-processes"),
    ("calibrate", "store-2026.4.22-two-processes", "-o", "recording.yaml"),
    ("calibrate", "gateway-log-2026.4.22", "-o", "log.yaml"),
    ("validate", "store-2026.4.22-two-processes", "gateway-2026.4.22", "--replicates", "2"),
    ("interleave", "--scope", "handler+patch", "--strategy", "after-19328", "--as", "text"),
)  # fmt: skip
"""Commands on good input, after which every module is imported and every function compiled."""
PATIENCE = 4
"""Times the seconds of the processor that a command may take on the clock: then it waits for something that never comes."""
Job = dict[str, Any]


def warm_up() -> None:
    """Do once what every fork would have to do."""
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as complaint:
        os.chdir(folder)
        for arguments in WARM:
            assert ended(list(arguments)) == 0, f"good input is refused: {arguments}: {complaint.getvalue()}"
        os.chdir("/")
    assert threading.active_count() == 1, "a fork copies one thread only"


def start(job: Job, seconds: int, size: int) -> int:
    """Fork, and run the job there in a session of its own; returns its process id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        folder = Path(job["folder"])
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.chdir(folder / "here")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        for limit, most in (
            (resource.RLIMIT_AS, used + size),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(limit, (most, most + 1 if limit == resource.RLIMIT_CPU else most))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE * seconds)
        if job["fresh"]:
            os.execv(sys.executable, [sys.executable, "-m", "simlib", *job["arguments"]])  # noqa: S606 - our own
        os._exit(ended(job["arguments"]))
    finally:
        os._exit(99)  # never back into the server


def ended(arguments: list[str]) -> int:
    """The exit status of a command line in this process, which says on stderr what Python would say."""
    from simlib.__main__ import main

    sys.argv = ["simlib", *arguments]
    status = 1
    try:
        main()
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def serve(jobs: Iterator[Job], seconds: int, size: int, at_once: int) -> Iterator[dict[str, Any]]:
    """The outcome of each job, in the order of their ends; so many run at the same time."""
    running: dict[int, Job] = {}
    while True:
        for job in islice(jobs, at_once - len(running)):
            running[start(job, seconds, size)] = job
        if not running:
            return
        pid, status, used = os.wait4(-1, 0)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # whatever it left behind
        yield {
            "folder": running.pop(pid)["folder"],
            "status": os.waitstatus_to_exitcode(status),
            "seconds": used.ru_utime + used.ru_stime,
        }


if __name__ == "__main__":
    limits = [int(word) for word in sys.argv[1:]]
    outcomes = os.fdopen(os.dup(1), "w")
    warm_up()
    for outcome in serve((json.loads(line) for line in sys.stdin), *limits):
        print(json.dumps(outcome), file=outcomes, flush=True)
