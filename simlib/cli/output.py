"""Results on stdout, everything else on stderr; one line a thing, whatever it is called."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simlib.common.text import PLAIN_SIGNS, visible


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


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, if that is a terminal; yields the function that moves it by one."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def say(line: str) -> None:
    """One line on stdout."""
    print(visible(line))


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"simlib: {visible(message)}", file=sys.stderr)
