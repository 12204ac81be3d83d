"""The lines of a store recording, parsed and checked one by one.

A recording is a gzipped JSON-lines file: a header, then one line a transaction (data/recordings/README.md). What the kinds of
lines stand for, the section `recordings` of the case file says.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simlib.case.case import Case
from simlib.case.sections import OneWriteModel, needed
from simlib.common import broken_lines
from simlib.common.errors import InputError, allowed
from simlib.common.json_text import parse_json
from simlib.model.history_check import LONGEST, MOST_GATEWAYS

MOST_SESSIONS = 1_000_000
MOST_LINES = 500_000
"""Some three thousand bytes of memory each."""
_HEADER = {"build": str, "rule": str, "fields": list, "sessions": int}
_NEEDED: dict[str, type] = {
    "id": int, "proc": int, "session": int, "kind": str, "request": dict, "arrive": float, "lock": float, "fresh": dict,
    "fresh_rev": int, "written": dict, "commit": float, "ok": bool,
}  # fmt: skip
_MORE_WITH_A_SNAPSHOT: dict[str, type] = {"read": float, "read_rev": int, "stale": dict, "serial": dict}
_TYPES = {str: "text", list: "a list", int: "a whole number", float: "a number", dict: "an object", bool: "true or false"}
_MOST = 2**53
"""Greater numbers are not whole ones to every program that reads JSON."""


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

    Every line has its keys, with values of the right type and in their bounds; the ids that it names are those of transactions
    of the same session; the rule is one of the case.

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
    transactions: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}
    for number, line in lines:
        place = f"{path}: line {number}"
        if number > MOST_LINES:
            raise InputError(f"{place}: one line too many; allowed: {MOST_LINES:,}")
        _check_line(line, place, needed_by, header["sessions"])
        _check_values(line, place, case)
        if numbers.setdefault(line["id"], number) != number:
            raise InputError(f"{place}: id: {line['id']} is that of line {numbers[line['id']]}; an id stands twice")
        transactions.append(line)
    if not transactions:
        raise InputError(f"{path}: no transaction after the header; is the recording truncated?")
    _check_links(transactions, numbers, path)
    return header, transactions


def _header(header: dict[str, Any], case: Case, place: str) -> dict[str, Any]:
    if header.get("recording") != 1:
        raise InputError(f"{place}: not a store recording (no header with 'recording': 1)")
    _check_keys(header, _HEADER, place)
    if not 1 <= header["sessions"] <= MOST_SESSIONS:
        raise InputError(f"{place}: {header['sessions']} sessions; allowed: 1 to {MOST_SESSIONS:,}")
    if header["rule"] not in case.strategies:
        raise InputError(f"{place}: rule {header['rule']!r:.80} is not in case {case.name}; {allowed(list(case.strategies))}")
    return header


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of the file with their line numbers; plain or gzipped."""
    for number, line in broken_lines.read_lines(path):
        try:
            data = parse_json(line)
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}; is the recording truncated?") from None
        if not isinstance(data, dict):
            raise InputError(f"{path}: line {number}: expected a JSON object, found {_TYPES.get(type(data), 'null')}")
        yield number, data


def _check_line(line: dict[str, Any], place: str, needed_by: Mapping[str, Mapping[str, type]], sessions: int) -> None:
    _check_keys(line, needed_by.get(str(line.get("kind")), _NEEDED), place)
    if line["kind"] not in needed_by:
        raise InputError(f"{place}: kind {line['kind']!r:.80} is not known; {allowed(list(needed_by))}")
    for key, low, high in _bounds(line, sessions):
        if not low <= line[key] <= high:
            raise InputError(f"{place}: {key} {line[key]} is not there; allowed: {low} to {high}")


def _check_values(line: dict[str, Any], place: str, case: Case) -> None:
    for key in ("request", "fresh", "written", "stale", "serial"):
        known = case.request if key == "request" else case.fields
        for field, value in line.get(key, {}).items():
            if field not in known:
                raise InputError(f"{place}: {key}: {field!r:.80} is not in case {case.name}; {allowed(known)}")
            if isinstance(value, list | dict):
                raise InputError(
                    f"{place}: {key}: {field!r:.80}: {_TYPES[type(value)]}; allowed: text, a number, true, false, null"
                )


def _bounds(line: Mapping[str, Any], sessions: int) -> Iterator[tuple[str, float, float]]:
    """The numbers of a line, each with the least and the greatest that it can be: times in milliseconds, in their order."""
    yield "id", 0, _MOST
    yield "session", 0, sessions - 1
    yield "proc", 0, MOST_GATEWAYS - 1
    yield "arrive", 0.0, 1000 * LONGEST
    if "read" in line:
        yield "read", 0.0, 1000 * LONGEST
    yield "lock", max(line["arrive"], line.get("read", 0.0)), 1000 * LONGEST
    yield "commit", line["lock"], 1000 * LONGEST


def _check_keys(line: dict[str, Any], needed: Mapping[str, type], place: str) -> None:
    for key, kind in needed.items():
        if key not in line:
            raise InputError(f"{place}: no '{key}'; needed: {', '.join(needed)}")
        # In Python a bool is an int, and in JSON 1 is a float.
        if isinstance(line[key], bool) != (kind is bool) or not isinstance(line[key], int | float if kind is float else kind):
            raise InputError(f"{place}: {key}: {line[key]!r:.80} is not {_TYPES[kind]}")


def _check_links(transactions: list[dict[str, Any]], numbers: Mapping[int, int], path: Path) -> None:
    """What a transaction says that it saw was written before it, by one of its session."""
    known = {line["id"]: line for line in transactions}
    for line in transactions:
        for key in ("fresh_rev", "read_rev"):
            seen = line.get(key, -1)
            if seen == -1:
                continue
            place = f"{path}: line {numbers[line['id']]}: transaction {line['id']}: {key} {seen}"
            if seen not in known:
                raise InputError(f"{place} is the id of no transaction")
            other = known[seen]
            if not (other["ok"] and other["session"] == line["session"] and other["commit"] < line["commit"]):
                raise InputError(f"{place} is no earlier commit of its session")
