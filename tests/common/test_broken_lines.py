"""Line files of strangers: what is broken is counted or refused, and nothing is read without end."""

import gzip
from pathlib import Path

import pytest

from simlib.common.broken_lines import LONGEST, Broken, read_lines

LINES = [b"%d %s\n" % (number, bytes(str(hash(str(number))), "ascii")) for number in range(20_000)]


def numbered(path: Path, broken: Broken | None = None) -> list[tuple[int, bytes]]:
    return list(read_lines(path, broken))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_line_comes_with_its_number(pack, tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(pack(b"".join(LINES)))
    assert numbered(path) == list(enumerate(LINES, start=1))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_line_without_end_is_skipped_and_counted_or_refused(pack, tmp_path, refused):
    path = tmp_path / "long"
    path.write_bytes(pack(b"one\n" + b"x" * (3 * LONGEST + 7) + b"\nthree\n"))
    broken = Broken()
    assert numbered(path, broken) == [(1, b"one\n"), (3, b"three\n")]
    assert broken.lines.tolist() == [2]
    assert refused(numbered, path) == f"{path}: line 2: longer than 1,048,576 bytes"


def test_a_gzipped_file_that_ends_early_is_used_as_far_as_it_goes_or_refused(tmp_path, refused):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"".join(LINES))[:-1000])
    broken = Broken()
    whole = numbered(path, broken)
    assert whole == list(enumerate(LINES, start=1))[: len(whole)]
    assert len(whole) > 10_000
    assert broken.lines.tolist() == [len(whole) + 1]
    assert "the gzipped file ends early; is it truncated?" in refused(numbered, path)


def test_a_damaged_gzipped_file_is_refused_with_the_place(tmp_path, refused):
    path, data = tmp_path / "damaged.gz", bytearray(gzip.compress(b"".join(LINES)))
    place = len(data) // 2
    data[place : place + 50] = bytes(50)
    path.write_bytes(data)
    for broken in (None, Broken()):
        line = refused(numbered, path, broken)
        near = int(line.split("near byte ")[1].split(":")[0].replace(",", ""))
        assert place <= near <= len(data)
        assert line.startswith(f"{path}: after line ")


def test_a_file_that_expands_without_end_is_refused_after_a_little_of_it(tmp_path, refused):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(100):
            file.write((b" " * 1023 + b"\n") * 1024)
    assert "gzipped bytes became" in refused(numbered, path, Broken())
