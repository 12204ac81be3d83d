"""Results on stdout, everything else on stderr; one line a thing, whatever it is called."""

import io
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simlib.common import interrupts
from simlib.common.text import PLAIN_SIGNS, visible

MINUTE = 60.0
LONG = 30.0
"""Seconds: work that may take longer says so beforehand."""


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def show_log() -> None:
    """From now on what the library logs stands on stderr."""
    log = logging.getLogger("simlib")
    log.handlers = [_Shown()]
    log.setLevel(logging.INFO)


def use_plain_signs() -> None:
    """Where the terminal's encoding has no true minus, or whatever a name holds, other signs are printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN_SIGNS)


def print_json(data: Any, out: Path | None = None) -> None:
    """Print `data` as JSON, or write it to `out` and print that path."""
    print_text(json.dumps(data, indent=2, allow_nan=False), out)


def print_text(text: str, out: Path | None = None) -> None:
    """Print `text`, or write it to `out` and print that path."""
    from simlib.common.files import replacing

    if out is None:
        print(text)
        return
    with replacing(out) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(out)


def print_table(rows: "list[dict[str, str]]") -> None:
    """Columns two blanks apart; plain text, so that it can be cut and searched."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    lines = [
        [visible(cell).encode(encoding, PLAIN_SIGNS).decode(encoding) for cell in line]
        for line in (list(rows[0]) if rows else [], *(row.values() for row in rows))
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


class Progress:
    """How far some work is.

    Args:
        what: the things that it counts, or the work if it counts nothing.
        total: how many there are; 0 if it counts nothing.
        clock: seconds, whenever it is called.
    """

    def __init__(self, what: str, total: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._began, self._done = clock(), 0

    def step(self) -> None:
        """One more is done."""
        self._done += 1

    def line(self) -> str:
        """How far it is, and how long it may still take if it goes on like that."""
        from simlib.estimate.wording import seconds

        taken = self._clock() - self._began
        counted = f": {self._done:,} of {self._total:,}" if self._total else ""
        left = f"; some {seconds(taken / self._done * (self._total - self._done))} left" if self._done and counted else ""
        return f"{self._what}{counted} after {seconds(taken)}{left}"

    def tell(self, wait: Callable[[float], bool]) -> None:
        """A line a minute on stderr, until `wait`, which is given the seconds of a minute, says that it is done."""
        while not wait(MINUTE):
            complain(self.line())


@contextmanager
def progress_bar(what: str, total: int = 0) -> Iterator[Callable[[], None]]:
    """On a terminal a bar with the time left, elsewhere a line a minute, on stderr; yields the function that moves it by one.

    Args:
        what: the things that are counted, or the work if nothing is.
        total: how many there are; 0 if nothing is counted.
    """
    if not sys.stderr.isatty():
        with line_a_minute(what, total) as step:
            yield step
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda: bar.advance(task)


@contextmanager
def line_a_minute(what: str, total: int = 0) -> Iterator[Callable[[], None]]:
    """The same for work that draws a bar by itself, as notebooks do: nothing on a terminal."""
    progress, done = Progress(what, total), threading.Event()
    if sys.stderr.isatty():
        yield progress.step
        return

    def tell() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.HELD)  # they are for the main thread, which would not wake up
        progress.tell(done.wait)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield progress.step
    finally:
        done.set()
        teller.join()


def forewarn(least: float, most: float) -> None:
    """Say before work that may take long how long that is.

    Args:
        least: seconds, by an estimate.
        most: likewise.
    """
    from simlib.estimate.wording import seconds

    if most >= LONG:
        complain(f"this may take some {seconds(least)}{f' to {seconds(most)}' if most > least else ''}")


def say(line: str) -> None:
    """One line on stdout."""
    print(visible(line))


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"simlib: {visible(message)}", file=sys.stderr)
