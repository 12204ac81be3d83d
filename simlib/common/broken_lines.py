"""Reading large line files without holding them: plain or gzipped, each line with its number, what is broken accounted for."""

import gzip
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from simlib.common.errors import InputError

LONGEST = 1 << 20
"""Bytes; a longer line is broken, and is not kept in memory."""
MOST_EXPANDED, SMALL = 250, 1 << 26
"""How many bytes one gzipped byte may stand for, in what is not small: ten to thirty in a log, a thousand in a bomb."""


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


def read_lines(path: Path, broken: Broken | None = None) -> Iterator[tuple[int, bytes]]:
    """Each line with its number from 1.

    Args:
        path: a plain or a gzipped file.
        broken: takes a line that is too long, and the place where a gzipped file ends early; None: both are refused.

    Raises:
        InputError: the file cannot be read, is damaged, or expands without end; names the line, and the byte of a gzipped file.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            pieces = _pieces(raw, path)
            try:
                for number, piece in enumerate(pieces, start=1):
                    if len(piece) < LONGEST or piece.endswith(b"\n"):
                        yield number, piece
                    elif broken is None:
                        raise InputError(f"{path}: line {number}: longer than {LONGEST:,} bytes")
                    else:
                        broken.add(number)
                        while not next(pieces, b"\n").endswith(b"\n"):
                            pass
            except EOFError:
                if broken is None:
                    raise InputError(f"{path}: after line {number}: the gzipped file ends early; is it truncated?") from None
                broken.add(number + 1)
            except (zlib.error, gzip.BadGzipFile) as error:
                place = f"after line {number}, near byte {raw.tell():,}"
                raise InputError(f"{path}: {place}: the gzipped file is damaged: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _pieces(raw: BinaryIO, path: Path) -> Iterator[bytes]:
    """The lines of the file, long ones in pieces."""
    zipped = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    file = gzip.GzipFile(fileobj=_Sips(raw)) if zipped else raw
    size = 0
    while piece := file.readline(LONGEST):
        size += len(piece)
        if zipped and size > SMALL and size > MOST_EXPANDED * raw.tell():
            raise InputError(f"{path}: {raw.tell():,} gzipped bytes became {size:,}; allowed: {MOST_EXPANDED} times as many")
        yield piece


class _Sips(BytesIO):
    """A file that is read a little at a time, so that its position says where in it a fault is."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file

    def read(self, size: int | None = -1) -> bytes:
        """At most 4 KiB."""
        return self.file.read(4096 if size is None or size < 0 else min(size, 4096))
