"""Results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
    header = list(rows[0]) if rows else []
    lines = [header, *([row[name] for name in header] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
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


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"simlib: {message}", file=sys.stderr)
