"""Schedules by hand: a list of reads and commits that says what happens in which order, as one would tell it.

    [read("handler"), commit("patch", label="B"), commit("handler")]

A step names its transaction: the write site, and a second word where a schedule has several (`handler 2`). A `run_end`
inherits the snapshot of the `run_start` with the same second word. A transaction that is never read takes its snapshot at
its commit. Steps are one second apart. `None` as a value clears the field.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simlib.case.case import Case, Strategy, load_case
from simlib.case.evaluator import evaluate
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Codes
from simlib.model.history import History, Values
from simlib.replay.books import NOBODY
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes, replay_strategy

CASE = load_case("openclaw-70575")
FIELDS, REQUEST, SITES = CASE.fields, CASE.request, CASE.sites
STRATEGIES = list(CASE.strategies)
KIND_OF_FLOW = {"handler": "turn", "run_start": "turn", "run_end": "turn", "patch": "patch", "inbound": "inbound"}


@dataclass(frozen=True)
class Step:
    """One step of a schedule: a `read`, a `commit`, or a `give_up` (the write fails, nothing is committed)."""

    what: str
    who: str
    session: int = 0
    request: dict[str, str | None] = field(default_factory=dict)

    @property
    def site(self) -> str:
        return self.who.split()[0]

    def __repr__(self) -> str:
        asks = "".join(f", {key}={value!r}" for key, value in self.request.items())
        return f"{self.what}({self.who!r}, {self.session}{asks})"


def read(who: str, session: int = 0) -> Step:
    return Step("read", who, session)


def commit(who: str, at: int = 0, /, **request: str | None) -> Step:
    return Step("commit", who, at, request)


def give_up(who: str, at: int = 0, /, **request: str | None) -> Step:
    return Step("give_up", who, at, request)


class Coder:
    """Value codes for strings, one numbering a domain, in order of appearance."""

    def __init__(self, case: Case = CASE) -> None:
        self.case = case
        self.codes: dict[str, dict[str, int]] = {}

    def row(self, mapping: dict[str, str | None], keys: tuple[str, ...], missing: int) -> Codes:
        row = np.full(len(keys), missing, dtype=np.int32)
        for key, value in mapping.items():
            codes = self.codes.setdefault(self.case.domains[key], {})
            row[keys.index(key)] = UNDEFINED if value is None else codes.setdefault(value, len(codes) + 1)
        return row

    def names(self, row: Any, keys: tuple[str, ...]) -> dict[str, str | None]:
        """The mapping that a row stands for, without the keys that are absent; None for undefined."""
        values = self.values()
        return {
            key: values.name(self.case.domains[key], int(code)) if code > UNDEFINED else None
            for key, code in zip(keys, row, strict=True)
            if code != ABSENT
        }

    def values(self) -> Values:
        return Values({domain: tuple(codes) for domain, codes in self.codes.items()})


def history_of(
    schedule: list[Step], initial: dict[str, str | None] | None = None, sessions: int = 1, case: Case = CASE
) -> History:
    """The history that the schedule tells; every session starts as `initial`."""
    coder = Coder(case)
    start = np.stack([coder.row(initial or {}, case.fields, UNDEFINED)] * sessions)
    newest = [NOBODY] * sessions
    snapshots: dict[str, int] = {}
    read_at: dict[str, int] = {}
    rows: list[tuple[Step, int, int, int]] = []
    for time, step in enumerate(schedule):
        who = step.who.replace("run_end", "run_start")
        if step.what == "read":
            snapshots[step.who], read_at[step.who] = newest[step.session], time
            continue
        snapshot = snapshots.get(who, newest[step.session])
        if step.site == "run_start":
            snapshots[step.who] = snapshot
        rows.append((step, read_at.get(step.who, time), time, snapshot))
        if step.what == "commit":
            newest[step.session] = len(rows) - 1
    requests = [coder.row(step.request, case.request, ABSENT) for step, *_ in rows]
    kinds = ("turn", "patch", "inbound")
    times = np.array([time for _, _, time, _ in rows], dtype=np.float64)
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=kinds,
        flow=np.arange(len(rows), dtype=np.int64),
        kind=np.array([kinds.index(KIND_OF_FLOW.get(step.site, "turn")) for step, *_ in rows], dtype=np.int64),
        site=np.array([case.sites.index(step.site) for step, *_ in rows], dtype=np.int64),
        session=np.array([step.session for step, *_ in rows], dtype=np.int64),
        gateway=np.zeros(len(rows), dtype=np.int64),
        read=np.array([time for _, time, _, _ in rows], dtype=np.float64),
        queued=times,
        lock=times,
        end=times,
        ok=np.array([step.what == "commit" for step, *_ in rows], dtype=np.bool_),
        snapshot=np.array([snapshot for *_, snapshot in rows], dtype=np.int64),
        request=np.array(requests, dtype=np.int32).reshape(len(rows), len(case.request)),
        initial=start,
        values=coder.values(),
        session_names=tuple(f"session-{number + 1}" for number in range(sessions)),
    )


@dataclass(frozen=True)
class Clobber:
    """One clobber with names in place of numbers; culprit and victim are steps of the schedule."""

    field: str
    kind: str
    racing: bool
    culprit: str
    victim: str | None
    wrong: str | None
    right: str | None
    until: float = np.inf


def run(strategy: str | Strategy, schedule: list[Step], initial: dict[str, str | None] | None = None) -> Outcomes:
    rules = CASE.strategy(strategy) if isinstance(strategy, str) else strategy
    return replay_strategy(CASE, rules, history_of(schedule, initial, sessions=1 + max(step.session for step in schedule)))


def clobbers_of(strategy: str | Strategy, schedule: list[Step], initial: dict[str, str | None] | None = None) -> list[Clobber]:
    """What `strategy` clobbers on the schedule, in commit order and, within a commit, in the order of the case's fields."""
    return named_clobbers(run(strategy, schedule, initial), schedule)


def final_entry(strategy: str | Strategy, schedule: list[Step], initial: dict[str, str | None] | None = None) -> dict[str, str]:
    """The entry that the schedule's last commit leaves behind, its defined fields by name."""
    outcomes = run(strategy, schedule, initial)
    return defined(outcomes, np.flatnonzero(outcomes.history.ok)[-1])


def named_clobbers(outcomes: Outcomes, schedule: list[Step]) -> list[Clobber]:
    steps = [step.who for step in schedule if step.what != "read"]
    found = outcomes.clobbers
    return [
        Clobber(
            field=FIELDS[found.field[n]],
            kind=KINDS[found.kind[n]],
            racing=bool(found.racing[n]),
            culprit=steps[found.culprit[n]],
            victim=steps[found.victim[n]] if found.victim[n] != NOBODY else None,
            wrong=_name(outcomes, found.field[n], found.wrong[n]),
            right=_name(outcomes, found.field[n], found.right[n]),
            until=float(found.until[n]),
        )
        for n in range(len(found))
    ]


def defined(outcomes: Outcomes, row: int) -> dict[str, str]:
    """The defined fields of the entry after a row, by name."""
    named = {name: _name(outcomes, number, outcomes.entries[row, number]) for number, name in enumerate(FIELDS)}
    return {name: value for name, value in named.items() if value is not None}


def _name(outcomes: Outcomes, number: int, code: int) -> str | None:
    return outcomes.history.values.name(CASE.domains[FIELDS[number]], int(code)) if code > UNDEFINED else None


def patch_of(
    rules: Strategy,
    site: str,
    stale: dict[str, str | None],
    fresh: dict[str, str | None] | None = None,
    request: dict[str, str | None] | None = None,
    case: Case = CASE,
) -> dict[str, str | None]:
    """The patch that a site writes: None for a key that is there and undefined; absent keys are absent."""
    coder = Coder(case)
    patch = np.empty(len(case.fields), dtype=np.int32)
    entries = np.array([coder.row(entry, case.fields, UNDEFINED) for entry in (stale, stale if fresh is None else fresh)])
    requests = coder.row(request or {}, case.request, ABSENT)[None, :]
    evaluate(rules.program, case.sites.index(site), entries, 0, 1, requests, 0, patch)
    return coder.names(patch, case.fields)
