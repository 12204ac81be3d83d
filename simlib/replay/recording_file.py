"""The lines of a store recording, parsed and checked one by one.

A recording is a gzipped JSON-lines file: a header, then one line a transaction (data/recordings/README.md). What the kinds of
lines stand for, the section `recordings` of the case file says.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simlib.case.case import Case
from simlib.case.sections import OneWriteModel, needed
from simlib.common.errors import InputError, allowed

MOST_SESSIONS = 1_000_000
_HEADER = {"build": str, "rule": str, "fields": list, "sessions": int}
_NEEDED: dict[str, type] = {
    "id": int, "proc": int, "session": int, "kind": str, "request": dict, "arrive": float, "lock": float, "fresh": dict,
    "fresh_rev": int, "written": dict, "commit": float, "ok": bool,
}  # fmt: skip
_MORE_WITH_A_SNAPSHOT: dict[str, type] = {"read": float, "read_rev": int, "stale": dict, "serial": dict}
_TYPES = {str: "text", list: "a list", int: "a whole number", float: "a number", dict: "an object", bool: "true or false"}


def recorded_kinds(case: Case, source: str) -> Mapping[str, OneWriteModel]:
    """What a recording of this case calls a transaction -> the kind of its flow, and its write site.

    Args:
        case: the case.
        source: what is read or written, for the error.

    Raises:
        InputError: the case does not say.
    """
    return needed(case.sections.recordings, "recordings", case.name, source).kinds


def read_lines(path: Path, case: Case) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header, and the transactions as the file has them, in its order.

    Every line has its keys, with values of the right type; ids are those of transactions; the rule is one of the case.

    Raises:
        InputError: the file is damaged or is no recording of this case; names the line.
    """
    kinds = recorded_kinds(case, str(path))
    needed_by = {
        kind: _NEEDED | (_MORE_WITH_A_SNAPSHOT if case.reads_own[case.sites.index(write.site)] else {})
        for kind, write in kinds.items()
    }
    lines = _lines(path)
    header = _header(next(lines, (0, {}))[1], case, f"{path}: line 1")
    transactions = []
    for number, line in lines:
        _check_line(line, f"{path}: line {number}", needed_by, header["sessions"])
        transactions.append(line)
    if not transactions:
        raise InputError(f"{path}: no transaction after the header; is the recording truncated?")
    _check_ids(transactions, path)
    return header, transactions


def _header(header: dict[str, Any], case: Case, place: str) -> dict[str, Any]:
    if header.get("recording") != 1:
        raise InputError(f"{place}: not a store recording (no header with 'recording': 1)")
    _check_keys(header, _HEADER, place)
    if not 1 <= header["sessions"] <= MOST_SESSIONS:
        raise InputError(f"{place}: {header['sessions']} sessions; allowed: 1 to {MOST_SESSIONS:,}")
    if header["rule"] not in case.strategies:
        raise InputError(f"{place}: rule '{header['rule']}' is not in case {case.name}; {allowed(list(case.strategies))}")
    return header


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


def _check_line(line: dict[str, Any], place: str, needed_by: Mapping[str, Mapping[str, type]], sessions: int) -> None:
    _check_keys(line, needed_by.get(str(line.get("kind")), _NEEDED), place)
    if line["kind"] not in needed_by:
        raise InputError(f"{place}: kind '{line['kind']}' is not known; {allowed(list(needed_by))}")
    if not 0 <= line["session"] < sessions:
        raise InputError(f"{place}: session {line['session']} is not there; allowed: 0 to {sessions - 1}")


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
