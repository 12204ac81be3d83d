"""Reading large line files without holding them: plain or gzipped, each line with its number, what is broken accounted for."""

import gzip
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from simlib.common.errors import InputError

LONGEST = 1 << 20
"""Bytes; a longer line is broken, and is not kept in memory."""


@dataclass
class Broken:
    """The numbers of the lines that could not be used."""

    lines: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, number: int) -> None:
        """Account for one line."""
        self.lines.append(number)

    def __str__(self) -> str:
        """How many and which, neighbours as ranges; after twenty ranges, how many more lines there are."""
        if not self.lines:
            return "No line was broken."
        ranges: list[list[int]] = []
        for number in self.lines:
            if ranges and number == ranges[-1][1] + 1:
                ranges[-1][1] = number
            elif len(ranges) == 20:
                break
            else:
                ranges.append([number, number])
        more = len(self.lines) - sum(last - first + 1 for first, last in ranges)
        which = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)
        return f"Broken lines, not used: {len(self.lines)} (line {which}{f', and {more} more' if more else ''})."


def read_lines(path: Path, broken: Broken) -> Iterator[tuple[int, bytes]]:
    """Each line with its number from 1. A line that is too long, or where a gzipped file ends early, goes to `broken`.

    Raises:
        InputError: the file cannot be read.
    """
    number = 0
    try:
        with path.open("rb") as probe:
            opened = gzip.open if probe.read(2) == b"\x1f\x8b" else open
        with opened(path, "rb") as file:
            while line := file.readline(LONGEST):
                number += 1
                if len(line) == LONGEST and not line.endswith(b"\n"):
                    while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                        pass
                    broken.add(number)
                else:
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        broken.add(number + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
