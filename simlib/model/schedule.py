"""Schedules by hand: a list of reads and commits that says what happens in which order, as one would tell it.

    [read("save"), commit("rename", label="B"), commit("save")]

A step names its transaction: the write site, and a second word where a schedule has several (`save 2`). A site that
inherits the snapshot of another one takes it from the transaction there with the same second word. A transaction that is never
read takes its snapshot at its commit. Steps are one second apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import InputError, choose, shown
from simlib.model.history import History, Values

NOTHING = -1
"""The snapshot that shows the initial entry."""


@dataclass(frozen=True)
class Step:
    """One step of a schedule: a `read`, a `commit`, or a `give_up` (the write fails, nothing is committed).

    Attributes:
        who: its transaction, which begins with the write site.
        session: number of the session, from 0.
        request: key -> value; None clears.
    """

    what: str
    who: str
    session: int = 0
    request: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """The write site."""
        return self.who.split()[0]

    def __repr__(self) -> str:
        asks = "".join(f", {key}={value!r}" for key, value in self.request.items())
        return f"{self.what}({self.who!r}, {self.session}{asks})"


def read(who: str, session: int = 0) -> Step:
    """The transaction's snapshot is taken."""
    return Step("read", who, session)


def commit(who: str, session: int = 0, /, **request: str | None) -> Step:
    """The transaction has the lock, and its patch is merged; `request` is what it was asked for."""
    return Step("commit", who, session, request)


def give_up(who: str, session: int = 0, /, **request: str | None) -> Step:
    """The transaction fails, and its caller is told."""
    return Step("give_up", who, session, request)


class Coder:
    """Value codes for names, one numbering a domain, in order of appearance."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.codes: dict[str, dict[str, int]] = {}

    def row(self, mapping: Mapping[str, str | None], keys: Sequence[str], missing: int) -> Codes:
        """(keys,) the codes of a mapping; `missing` for the keys that are not in it.

        Raises:
            InputError: a key is none of these.
        """
        row = np.full(len(keys), missing, dtype=np.int32)
        for key, value in mapping.items():
            if key not in keys:
                raise InputError(f"schedule: {shown(key)} is not in case {self.case.name}; {choose(key, keys)}")
            codes = self.codes.setdefault(self.case.domains[key], {})
            row[keys.index(key)] = UNDEFINED if value is None else codes.setdefault(value, len(codes) + 1)
        return row

    def names(self, row: Iterable[int], keys: Sequence[str]) -> dict[str, str | None]:
        """The mapping that a row stands for, without the keys that are absent; None for undefined."""
        values = self.values()
        return {
            key: values.name(self.case.domains[key], int(code)) if code > UNDEFINED else None
            for key, code in zip(keys, row, strict=True)
            if code != ABSENT
        }

    def values(self) -> Values:
        """The names of all codes so far."""
        return Values({domain: tuple(codes) for domain, codes in self.codes.items()})


def history_of(
    case: Case, schedule: Sequence[Step], initial: Mapping[str, str | None] | None = None, sessions: int = 1
) -> History:
    """The history that a schedule tells.

    Args:
        case: whose write sites, request keys and fields are named.
        schedule: the steps in the order in which they happen.
        initial: field -> value in every session before the first step; a field that is not named is undefined.
        sessions: how many there are.

    Raises:
        InputError: a site, a key or a session is not there.

    Examples:
        >>> from simlib import load_case, replay_strategy
        >>> from simlib.common.shipped import CASE
        >>> case = load_case(CASE)
        >>> site, steps = case.sites[0], [commit("patch", label="B")]
        >>> history = history_of(case, [read(site), *steps, commit(site)], {"label": "A"})
        >>> found = replay_strategy(case, case.strategy("after-19328"), history).to_frame(case)
        >>> found[["field", "kind", "fresh", "wrong"]].values.tolist()
        [['label', 'reverted', 'B', 'A']]
    """
    _check(case, schedule, sessions)
    coder = Coder(case)
    start = np.stack([coder.row(initial or {}, case.fields, UNDEFINED)] * sessions)
    newest = [NOTHING] * sessions
    snapshots: dict[str, int] = {}
    read_at: dict[str, int] = {}
    rows: list[tuple[Step, int, int, int]] = []
    for time, step in enumerate(schedule):
        if step.what == "read":
            snapshots[step.who], read_at[step.who] = newest[step.session], time
            continue
        who = _reader(case, step)
        snapshot = snapshots.get(who, newest[step.session])
        if step.site in case.snapshots:  # another site inherits what this one has seen
            snapshots[step.who] = snapshot
        rows.append((step, read_at.get(step.who, time), time, snapshot))
        if step.what == "commit":
            newest[step.session] = len(rows) - 1
    requests = [coder.row(step.request, case.request, ABSENT) for step, *_ in rows]
    site = np.array([case.sites.index(step.site) for step, *_ in rows], dtype=np.int64)
    times = np.array([time for _, _, time, _ in rows], dtype=np.float64)
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=case.sites,
        flow=np.arange(len(rows), dtype=np.int64),
        kind=site,
        site=site,
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


def _check(case: Case, schedule: Sequence[Step], sessions: int) -> None:
    for step in schedule:
        if step.site not in case.sites:
            known = choose(step.site, case.sites)
            raise InputError(f"schedule: write site {shown(step.site)} is not in case {case.name}; {known}")
        if not 0 <= step.session < sessions:
            raise InputError(f"schedule: {step!r}: no session {step.session}; allowed: 0 to {sessions - 1}")


def _reader(case: Case, step: Step) -> str:
    """The transaction whose snapshot a step uses: its own, or the one that it inherits from."""
    inherits = case.snapshots[case.sites.index(step.site)]
    return " ".join([inherits, *step.who.split()[1:]]) if inherits in case.sites else step.who
