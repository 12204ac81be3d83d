"""Recordings of real stores: reading one, turning it into a history, and checking that replay reproduces it.

Times are in milliseconds in the file (`recording_file` reads its lines) and in seconds here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.case.snapshots import previous_commits
from simlib.common.arrays import Codes, Floats, Ints
from simlib.common.errors import InputError, allowed
from simlib.common.shipped import DATA, refuse_special
from simlib.model.history import History, Values
from simlib.replay.recording_file import read_lines, recorded_kinds
from simlib.replay.replay import Outcomes, replay_strategy


@dataclass(frozen=True)
class Recording:
    """One recording: its header, its history, and what the recorded build read and wrote.

    Attributes:
        path, build, rule: which file, which build, and the strategy whose rules the build applied.
        fields: names of the fields that were recorded; the others were not looked at.
        history: the transactions in commit order.
        ids: (n,) the recording's own transaction numbers, in that order.
        written: (n, fields of the case) value codes of the entry committed, as recorded.
        serial, fresh, stale: likewise, what a serial execution would have committed, and the entries that the lock and the
            snapshot showed.
        fresh_row: (n,) row whose commit `fresh` is said to be; -1: the initial entry.
    """

    path: Path
    build: str
    rule: str
    fields: tuple[str, ...]
    history: History
    ids: tuple[int, ...]
    written: Codes
    serial: Codes
    fresh: Codes
    stale: Codes
    fresh_row: Ints


@dataclass(frozen=True)
class Check:
    """Whether replay with the recorded rule gives what was recorded.

    Attributes:
        entries_reproduced: committed entries that replay gives exactly.
        reads_reproduced: whether every entry that was read, in the lock or as a snapshot, is the one that replay has there.
        clobbered_recorded, clobbered_reproduced: clobbered fields in the recording, and how many of them replay finds, with
            the same wrong and right value.
        mismatches: one line for each difference, at most ten.
    """

    committed: int
    entries_reproduced: int
    reads_reproduced: bool
    clobbered_recorded: int
    clobbered_reproduced: int
    clobbered_in_replay: int
    mismatches: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Every entry written or read, and every clobbered field, and none besides."""
        return (
            self.reads_reproduced
            and self.entries_reproduced == self.committed
            and self.clobbered_recorded == self.clobbered_reproduced == self.clobbered_in_replay
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
    refuse_special(name)
    raise InputError(f"{name}: no such recording; {allowed(shipped_recordings())}, or a path")


def shipped_recordings() -> list[str]:
    """The names of the shipped store recordings, sorted."""
    return sorted(path.name.removesuffix(".jsonl.gz") for path in (DATA / "recordings").glob("store-*.jsonl.gz"))


def read_recording(path: Path, case: Case) -> Recording:
    """The recording as a history of `case`.

    Args:
        path: a plain or gzipped file; `find_recording` knows the shipped ones.
        case: whose fields, sites and strategies the recording names.

    Raises:
        InputError: the file is damaged, is no recording, or has something that the case does not know; names the line.

    Examples:
        >>> from simlib import load_case
        >>> from simlib.common.shipped import CASE
        >>> recording = read_recording(find_recording("store-2026.4.22-two-processes"), load_case(CASE))
        >>> recording.rule, len(recording.history)
        ('before-19328', 1400)
    """
    header, transactions = read_lines(path, case)
    # Lock and commit order agree, as the lock is exclusive; failed transactions come where they ended.
    transactions.sort(key=lambda line: line["commit"])
    coder = _Coder(case)
    request = coder.rows([line["request"] for line in transactions], case.request, ABSENT)
    written, serial, fresh, stale = (
        coder.rows([line.get(key, line[other]) for line in transactions], case.fields, UNDEFINED)
        for key, other in (("written", "written"), ("serial", "written"), ("fresh", "fresh"), ("stale", "fresh"))
    )
    return Recording(
        path=path,
        build=str(header["build"]),
        rule=header["rule"],
        fields=tuple(header["fields"]),
        history=_history(transactions, case, path, int(header["sessions"]), request, coder.values()),
        ids=tuple(line["id"] for line in transactions),
        written=written,
        serial=serial,
        fresh=fresh,
        stale=stale,
        fresh_row=_rows_of([line["fresh_rev"] for line in transactions], transactions),
    )


def _rows_of(ids: list[int], transactions: list[dict[str, Any]]) -> Ints:
    """(n,) the rows of these transactions; -1 of -1."""
    row_of = {line["id"]: row for row, line in enumerate(transactions)} | {-1: -1}
    return np.array([row_of[number] for number in ids], dtype=np.int64)


def _history(
    transactions: list[dict[str, Any]], case: Case, path: Path, sessions: int, request: Codes, values: Values
) -> History:
    """The history of transactions in commit order, each a flow of its own, from empty entries.

    A line without a snapshot of its own says only when it arrived: it read, and began to queue, then.
    """
    kinds = recorded_kinds(case, str(path))
    flows = tuple(dict.fromkeys(write.flow for write in kinds.values()))
    writes = [kinds[line["kind"]] for line in transactions]
    site = np.array([case.sites.index(write.site) for write in writes], dtype=np.int64)

    def seconds(key: str, fallback: str) -> Floats:
        return np.array([line.get(key, line[fallback]) for line in transactions], dtype=np.float64) / 1000

    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=flows,
        flow=np.argsort(np.argsort([line["arrive"] for line in transactions], kind="stable"), kind="stable").astype(np.int64),
        kind=np.array([flows.index(write.flow) for write in writes], dtype=np.int64),
        site=site,
        session=np.array([line["session"] for line in transactions], dtype=np.int64),
        gateway=np.array([line["proc"] for line in transactions], dtype=np.int64),
        read=seconds("read", "arrive"),
        queued=np.where(case.reads_own[site], np.nan, seconds("arrive", "arrive")),
        lock=seconds("lock", "lock"),
        end=seconds("commit", "commit"),
        ok=np.array([line["ok"] for line in transactions], dtype=np.bool_),
        snapshot=_rows_of([line.get("read_rev", line["fresh_rev"]) for line in transactions], transactions),
        request=request,
        initial=np.zeros((sessions, len(case.fields)), dtype=np.int32),
        values=values,
        session_names=tuple(f"session-{number}" for number in range(sessions)),
    )


class _Coder:
    """Value codes for the strings of a recording, one numbering a domain."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.codes: dict[str, dict[str, int]] = {}

    def rows(self, mappings: list[dict[str, Any]], keys: tuple[str, ...], missing: int) -> Codes:
        """(mappings, keys): `missing` where a key is not there, UNDEFINED where it is null."""
        table = np.full((len(mappings), len(keys)), missing, dtype=np.int32)
        positions = {key: number for number, key in enumerate(keys)}
        for row, mapping in enumerate(mappings):
            for key, value in mapping.items():
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
    """Replay the recording with the rule that the recorded build ran, and compare everything that was read and written."""
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
    mismatches = [
        _difference(case, recording, "", recording.written, outcomes.entries, int(row)) for row in np.flatnonzero(ok & ~equal)
    ]
    mismatches += (reads := _reads_that_differ(case, recording, outcomes))
    for row, field in sorted({place for place, _ in set(found.items()) ^ set(wanted.items())}):
        both = (row, field) in wanted and (row, field) in found
        where = "both, with other values" if both else "the recording only" if (row, field) in wanted else "the replay only"
        mismatches.append(f"transaction {recording.ids[row]}: {case.fields[field]} clobbered in {where}")
    return Check(
        committed=int(ok.sum()),
        entries_reproduced=int(equal.sum()),
        reads_reproduced=not reads,
        clobbered_recorded=len(wanted),
        clobbered_reproduced=len(set(found.items()) & set(wanted.items())),
        clobbered_in_replay=len(found),
        mismatches=tuple(mismatches[:10]),
    )


def _reads_that_differ(case: Case, recording: Recording, outcomes: Outcomes) -> list[str]:
    """A line for each recorded read that is not the entry which replay has there: in the lock, the session's last commit."""
    history = recording.history
    last = previous_commits(history.session, history.ok)
    lines = [
        f"transaction {recording.ids[row]}: fresh_rev: recorded {_id(recording, recording.fresh_row[row])}, "
        f"replay {_id(recording, last[row])}"
        for row in np.flatnonzero(recording.fresh_row != last)
    ]
    for what, shown, of in (("fresh.", recording.fresh, last), ("stale.", recording.stale, history.snapshot)):
        replayed = np.where((of < 0)[:, None], history.initial[history.session], outcomes.entries[of])
        differs = np.flatnonzero((shown != replayed).any(axis=1))
        lines += [_difference(case, recording, what, shown, replayed, int(row)) for row in differs]
    return lines


def _id(recording: Recording, row: int) -> int:
    return recording.ids[row] if row >= 0 else -1


def _difference(case: Case, recording: Recording, what: str, recorded: Codes, replayed: Codes, row: int) -> str:
    values = recording.history.values
    differ = [
        f"{what}{name}: recorded {values.name(case.domains[name], int(recorded[row, number]))}, "
        f"replay {values.name(case.domains[name], int(replayed[row, number]))}"
        for number, name in enumerate(case.fields)
        if recorded[row, number] != replayed[row, number]
    ]
    return f"transaction {recording.ids[row]}: {'; '.join(differ)}"
