"""The folder of a batch: what is known of each report, and what was known before.

DIR/NAME.html           the report of the member NAME; if it failed, the error and what had run
DIR/NAME.failed.ipynb   of a member that failed, the partly run notebook
DIR/NAME.json           what is known of the report; written last, by rename: it is there, or the report is made again
DIR/history.jsonl       a line each time that a member was done
DIR/index.html          the list, made of the two above
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

import simlib
from simlib.common.errors import InputError
from simlib.common.files import Strict, file_name, replacing, validated
from simlib.common.json_text import parse_json
from simlib.report.batch_file import Member
from simlib.report.finding import Share

M = TypeVar("M", bound=BaseModel)
HISTORY = "history.jsonl"


class Point(Strict):
    """One line of the history: a member that was done.

    Attributes:
        date: when it ended, in UTC.
        inputs: kind of input -> digest of what it was.
        rates: as in its finding.
    """

    member: str
    date: str
    inputs: dict[str, str]
    rates: dict[str, Share]


class Record(Strict):
    """What is known of a report.

    Attributes:
        seconds: how long it took.
        date: when it ended, in UTC.
        digest: of all that it was made of; `inputs` has one for each kind.
        verdict, rates, failed_units: of its finding; none if it failed.
        reason: why it failed.
    """

    batch: str
    member: str
    state: Literal["done", "failed"]
    reason: str = ""
    notebook: str
    parameters: dict[str, Any]
    seconds: float
    date: str
    digest: str
    inputs: dict[str, str]
    verdict: str = ""
    rates: dict[str, Share] = {}
    failed_units: dict[str, Share] = {}

    @property
    def stem(self) -> str:
        """The name of its files, without an ending; only the name of the member decides it."""
        return file_name(self.member)

    def point(self) -> Point:
        """It as a line of the history."""
        return Point(member=self.member, date=self.date, inputs=self.inputs, rates=self.rates)


def input_digests(member: Member) -> dict[str, str]:
    """Kind of input -> digest of what it is now: whatever of it changes, the report is made again."""
    parameters = json.dumps(member.given, sort_keys=True, default=str).encode()
    return {
        "notebook": _digest(member.notebook.read_bytes()),
        "parameters": _digest(parameters),
        **{kind: _digest(path.read_bytes()) for kind, path in member.inputs.items()},
        "simlib": _program(),
    }


def digest_of(inputs: dict[str, str]) -> str:
    """One digest for all of them."""
    return _digest(json.dumps(inputs, sort_keys=True).encode())


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The kinds of input that differ."""
    return [kind for kind in dict.fromkeys([*before, *now]) if before.get(kind) != now.get(kind)]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@cache
def _program() -> str:
    """Of the version and of the source, which differs from one commit to the next under one version."""
    root = Path(simlib.__file__).parent
    sources = sorted(path for room in (root, *root.iterdir()) if room.is_dir() for path in room.glob("*.py"))
    return _digest(version("simlib").encode() + b"".join(path.read_bytes() for path in sources))


def read_records(folder: Path, say: Callable[[str], None] = lambda line: None) -> dict[str, Record]:
    """Member -> what is known of its report. Files that cannot be read, or have another name, do not count."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = _parsed(Record, path.read_bytes(), str(path))
        except (InputError, OSError) as error:
            say(f"{error}; it does not count")
            continue
        if record.stem == path.stem:
            found[record.member] = record
    return found


def write_record(folder: Path, record: Record) -> None:
    """Keep what is known of a report; if it is done, also in the history."""
    if record.state == "done":
        _append(folder / HISTORY, record.point().model_dump_json())
    with replacing(folder / f"{record.stem}.json") as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _append(path: Path, line: str) -> None:
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read() != b"\n":  # cut by a kill in the middle of a line
                line = "\n" + line
        file.write(line.encode() + b"\n")


def read_history(folder: Path) -> dict[str, list[Point]]:
    """Member -> its lines in the history, the oldest first; lines that are cut or are not ours do not count."""
    found: dict[str, list[Point]] = {}
    for point in _points(folder / HISTORY):
        found.setdefault(point.member, []).append(point)
    return found


def _points(path: Path) -> Iterator[Point]:
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            yield _parsed(Point, line, str(path))
        except InputError:
            continue


def _parsed(model: type[M], data: bytes, source: str) -> M:
    try:
        found = parse_json(data)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{source}: expected an object")
    return validated(model, found, source)
