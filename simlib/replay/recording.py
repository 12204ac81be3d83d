"""Recordings of real stores: reading one, turning it into a history, and checking that replay reproduces it.

A recording is a gzipped JSON-lines file: a header, then one line a transaction (data/recordings/README.md). Times are in
milliseconds there and in seconds here.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import InputError, allowed
from simlib.common.shipped import DATA
from simlib.model.history import History, Values
from simlib.replay.replay import Outcomes, replay_strategy

FLOWS = {"agent": ("turn", "handler"), "patch": ("patch", "patch")}
"""What a recording calls a transaction -> the kind of its flow, and its write site."""

MOST_SESSIONS = 1_000_000
_HEADER = {"build": str, "rule": str, "fields": list, "sessions": int}
_NEEDED: dict[str, type] = {
    "id": int, "proc": int, "session": int, "kind": str, "request": dict, "arrive": float, "lock": float, "fresh": dict,
    "fresh_rev": int, "written": dict, "commit": float, "ok": bool,
}  # fmt: skip
_MORE_FOR_AGENT: dict[str, type] = {"read": float, "read_rev": int, "stale": dict, "serial": dict}
_TYPES = {str: "text", list: "a list", int: "a whole number", float: "a number", dict: "an object", bool: "true or false"}


@dataclass(frozen=True)
class Recording:
    """One recording: its header, its history, and what the recorded build read and wrote.

    Attributes:
        path, build, rule: which file, which build, and the strategy whose handler patch the build applied.
        fields: names of the fields that were recorded; the others were not looked at.
        history: the transactions in commit order.
        ids: (n,) the recording's own transaction numbers, in that order.
        written: (n, fields of the case) value codes of the entry committed, as recorded.
        serial: likewise, what a serial execution would have committed, as recorded.
    """

    path: Path
    build: str
    rule: str
    fields: tuple[str, ...]
    history: History
    ids: tuple[int, ...]
    written: Codes
    serial: Codes


@dataclass(frozen=True)
class Check:
    """Whether replay with the recorded rule gives what was recorded.

    Attributes:
        entries_reproduced: committed entries that replay gives exactly.
        clobbered_recorded, clobbered_reproduced: clobbered fields in the recording, and how many of them replay finds, with
            the same wrong and right value.
        mismatches: one line for each difference, at most ten.
    """

    committed: int
    entries_reproduced: int
    clobbered_recorded: int
    clobbered_reproduced: int
    clobbered_in_replay: int
    mismatches: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Every entry and every clobbered field, and none besides."""
        return self.entries_reproduced == self.committed and (
            self.clobbered_recorded == self.clobbered_reproduced == self.clobbered_in_replay
        )


def find_recording(name: str) -> Path:
    """A recording by its path, or a shipped one by its name (with or without the ending).

    Raises:
        InputError: there is none.
    """
    shipped = DATA / "recordings" / f"{name.removesuffix('.jsonl.gz')}.jsonl.gz"
    for path in (Path(name), shipped):
        if path.is_file():
            return path
    raise InputError(f"{name}: no such recording; {allowed(shipped_recordings())}, or a path")


def shipped_recordings() -> list[str]:
    """The names of the shipped store recordings, sorted."""
    return sorted(path.name.removesuffix(".jsonl.gz") for path in (DATA / "recordings").glob("store-*.jsonl.gz"))


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of the file with their line numbers; plain or gzipped."""
    number = 0
    try:
        with path.open("rb") as probe:
            opened = gzip.open if probe.read(2) == b"\x1f\x8b" else open
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                data = json.loads(line, parse_constant=_refuse_constant)
                if not isinstance(data, dict):
                    raise InputError(f"{path}: line {number}: expected a JSON object")
                yield number, data
    except json.JSONDecodeError:
        raise InputError(f"{path}: line {number}: not valid JSON; is the recording truncated?") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError):
        raise InputError(
            f"{path}: after line {number}: the file ends early or is damaged; is the recording truncated?"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def read_recording(path: Path, case: Case) -> Recording:
    """The recording as a history of `case`.

    Raises:
        InputError: the file is damaged, is no recording, or has something that the case does not know.
    """
    lines = _lines(path)
    _, header = next(lines, (0, {}))
    if header.get("recording") != 1:
        raise InputError(f"{path}: line 1: not a store recording (no header with 'recording': 1)")
    _check_keys(header, _HEADER, f"{path}: line 1")
    if not 1 <= header["sessions"] <= MOST_SESSIONS:
        raise InputError(f"{path}: line 1: {header['sessions']} sessions; allowed: 1 to {MOST_SESSIONS:,}")
    if header["rule"] not in case.strategies:
        known = allowed(list(case.strategies))
        raise InputError(f"{path}: line 1: rule '{header['rule']}' is not in case {case.name}; {known}")
    transactions = []
    for number, line in lines:
        _check_line(line, f"{path}: line {number}", header)
        transactions.append(line)
    if not transactions:
        raise InputError(f"{path}: no transaction after the header; is the recording truncated?")
    _check_ids(transactions, path)
    # Lock and commit order agree, as the lock is exclusive; failed transactions come where they ended.
    transactions.sort(key=lambda line: line["commit"])
    coder = _Coder(case, str(path))
    row_of = {line["id"]: row for row, line in enumerate(transactions)} | {-1: -1}
    agent = np.array([line["kind"] == "agent" for line in transactions], dtype=np.bool_)
    previous = [row_of[line["fresh_rev"]] for line in transactions]

    def seconds(key: str, fallback: str) -> Any:
        return np.array([line.get(key, line[fallback]) for line in transactions], dtype=np.float64) / 1000

    session = np.array([line["session"] for line in transactions], dtype=np.int64)
    arrived = np.argsort(np.argsort([line["arrive"] for line in transactions], kind="stable"), kind="stable")
    request = coder.rows([line["request"] for line in transactions], case.request, ABSENT)
    written = coder.rows([line["written"] for line in transactions], case.fields, UNDEFINED)
    serial = coder.rows([line.get("serial", line["written"]) for line in transactions], case.fields, UNDEFINED)
    history = History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=tuple(kind for kind, _ in FLOWS.values()),
        flow=arrived.astype(np.int64),
        kind=np.where(agent, 0, 1).astype(np.int64),
        site=np.where(agent, case.sites.index("handler"), case.sites.index("patch")).astype(np.int64),
        session=session,
        gateway=np.array([line["proc"] for line in transactions], dtype=np.int64),
        read=seconds("read", "arrive"),
        queued=np.where(agent, np.nan, seconds("arrive", "arrive")),
        lock=seconds("lock", "lock"),
        end=seconds("commit", "commit"),
        ok=np.array([line["ok"] for line in transactions], dtype=np.bool_),
        snapshot=np.array(
            [
                row_of[line["read_rev"]] if "read_rev" in line else fresh
                for line, fresh in zip(transactions, previous, strict=True)
            ],
            dtype=np.int64,
        ),
        request=request,
        initial=np.zeros((int(header["sessions"]), len(case.fields)), dtype=np.int32),
        values=coder.values(),
        session_names=tuple(f"session-{number}" for number in range(int(header["sessions"]))),
    )
    return Recording(
        path=path,
        build=str(header["build"]),
        rule=header["rule"],
        fields=tuple(header["fields"]),
        history=history,
        ids=tuple(line["id"] for line in transactions),
        written=written,
        serial=serial,
    )


def _check_line(line: dict[str, Any], place: str, header: dict[str, Any]) -> None:
    _check_keys(line, _NEEDED | (_MORE_FOR_AGENT if line.get("kind") == "agent" else {}), place)
    if line["kind"] not in FLOWS:
        raise InputError(f"{place}: kind '{line['kind']}' is not known; {allowed(list(FLOWS))}")
    if not 0 <= line["session"] < header["sessions"]:
        raise InputError(f"{place}: session {line['session']} is not there; allowed: 0 to {header['sessions'] - 1}")


def _check_keys(line: dict[str, Any], needed: Mapping[str, type], place: str) -> None:
    for key, kind in needed.items():
        if key not in line:
            raise InputError(f"{place}: no '{key}'; needed: {', '.join(needed)}")
        # In Python a bool is an int, and in JSON 1 is a float.
        if isinstance(line[key], bool) != (kind is bool) or not isinstance(line[key], int | float if kind is float else kind):
            raise InputError(f"{place}: {key}: {line[key]!r} is not {_TYPES[kind]}")


def _check_ids(transactions: list[dict[str, Any]], path: Path) -> None:
    ids = {line["id"] for line in transactions}
    if len(ids) < len(transactions) or -1 in ids:
        raise InputError(f"{path}: an id stands twice, or is -1, which means none")
    known = ids | {-1}
    for line in transactions:
        for key in ("fresh_rev", "read_rev"):
            if line.get(key, -1) not in known:
                raise InputError(f"{path}: transaction {line['id']}: {key} {line[key]} is the id of no transaction")


class _Coder:
    """Value codes for the strings of a recording, one numbering a domain."""

    def __init__(self, case: Case, source: str) -> None:
        self.case, self.source = case, source
        self.codes: dict[str, dict[str, int]] = {}

    def rows(self, mappings: list[dict[str, Any]], keys: tuple[str, ...], missing: int) -> Codes:
        """(mappings, keys): `missing` where a key is not there, UNDEFINED where it is null."""
        table = np.full((len(mappings), len(keys)), missing, dtype=np.int32)
        positions = {key: number for number, key in enumerate(keys)}
        for row, mapping in enumerate(mappings):
            for key, value in mapping.items():
                if key not in positions:
                    raise InputError(f"{self.source}: '{key}' is not in case {self.case.name}; {allowed(keys)}")
                if value is None:
                    table[row, positions[key]] = UNDEFINED
                else:
                    codes = self.codes.setdefault(self.case.domains[key], {})
                    table[row, positions[key]] = codes.setdefault(str(value), len(codes) + 1)
        return table

    def values(self) -> Values:
        """The names of all codes given so far."""
        return Values({domain: tuple(codes) for domain, codes in self.codes.items()})


def check(case: Case, recording: Recording) -> Check:
    """Replay the recording with the rule that the recorded build ran, and compare everything."""
    outcomes = replay_strategy(case, case.strategy(recording.rule), recording.history)
    ok = recording.history.ok
    equal = (outcomes.entries == recording.written).all(axis=1) & ok
    recorded = (recording.written != recording.serial) & ok[:, None]
    found = {(int(row), int(field)): (int(wrong), int(right)) for row, field, wrong, right in zip(
        outcomes.clobbers.culprit, outcomes.clobbers.field, outcomes.clobbers.wrong, outcomes.clobbers.right, strict=True
    )}  # fmt: skip
    wanted = {
        (int(row), int(field)): (int(recording.written[row, field]), int(recording.serial[row, field]))
        for row, field in zip(*np.nonzero(recorded), strict=True)
    }
    mismatches = [_entry_mismatch(case, recording, outcomes, int(row)) for row in np.flatnonzero(ok & ~equal)[:10]]
    for row, field in sorted({place for place, _ in set(found.items()) ^ set(wanted.items())}):
        both = (row, field) in wanted and (row, field) in found
        where = "both, with other values" if both else "the recording only" if (row, field) in wanted else "the replay only"
        mismatches.append(f"transaction {recording.ids[row]}: {case.fields[field]} clobbered in {where}")
    return Check(
        committed=int(ok.sum()),
        entries_reproduced=int(equal.sum()),
        clobbered_recorded=len(wanted),
        clobbered_reproduced=len(set(found.items()) & set(wanted.items())),
        clobbered_in_replay=len(found),
        mismatches=tuple(mismatches[:10]),
    )


def _entry_mismatch(case: Case, recording: Recording, outcomes: Outcomes, row: int) -> str:
    values = recording.history.values
    differ = [
        f"{name}: recorded {values.name(case.domains[name], int(recording.written[row, number]))}, "
        f"replay {values.name(case.domains[name], int(outcomes.entries[row, number]))}"
        for number, name in enumerate(case.fields)
        if recording.written[row, number] != outcomes.entries[row, number]
    ]
    return f"transaction {recording.ids[row]}: {'; '.join(differ)}"
