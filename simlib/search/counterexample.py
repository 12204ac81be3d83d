"""A schedule that breaks a strategy: its steps, and the history that replay judges."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlib.case.case import Case, Scope
from simlib.case.evaluator import evaluate, merge
from simlib.case.rules import ABSENT
from simlib.common.arrays import Codes
from simlib.common.errors import RunError
from simlib.model.history import COMMITTED, Attempts, History, Values
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes, replay_strategy
from simlib.search.reliance import guard_holds


@dataclass(frozen=True)
class Step:
    """One step of a schedule.

    Attributes:
        flow: position of its flow in the scope.
        site: name of the write site.
        commits: whether it is a commit; else it is a read.
        shows: the commit that the snapshot shows, counted from 0; -1: the initial entry.
        request: key -> value code, UNDEFINED to clear; empty for a read.
        over: of a commit, the commit whose entry it is merged over, if that is not the newest; -1: the initial entry.
    """

    flow: int
    site: str
    commits: bool
    shows: int
    request: Mapping[str, int]
    over: int | None = None


@dataclass(frozen=True)
class Counterexample:
    """The shortest schedule with which a strategy clobbers; the clobber is in its last commit.

    Attributes:
        strategy, site, field: names.
        kind: one of KINDS.
        racing: whether it takes concurrency.
        initial: field -> value code before the first step; what is not named is undefined.
        price: of equally short schedules the least is the simplest: 100 a value and 1 a cleared key, in the initial entry
            and in the requests.
    """

    strategy: str
    scope: Scope
    site: str
    field: str
    kind: str
    racing: bool
    initial: Mapping[str, int]
    steps: tuple[Step, ...]
    price: int


@dataclass(frozen=True)
class Moment:
    """The last commit of a counterexample as entries, (fields,) value codes each, and its request, (request keys,).

    Attributes:
        stale, fresh: what its snapshot and the lock showed.
        written, expected: what it committed, and what a serial execution would have committed.
    """

    stale: Codes
    fresh: Codes
    request: Codes
    written: Codes
    expected: Codes


def to_history(case: Case, counterexample: Counterexample) -> History:
    """The schedule as a history of one session: step k ends at k seconds, and each flow has a process of its own."""
    steps, scope = counterexample.steps, counterexample.scope
    commits = [number for number, step in enumerate(steps) if step.commits]
    arrival = list(dict.fromkeys(step.flow for step in steps))
    kinds = tuple(dict.fromkeys(name for name, _ in scope.flows))
    flow = np.array([arrival.index(steps[number].flow) for number in commits], dtype=np.int64)
    end = np.array(commits, dtype=np.float64) + 1.0
    request = np.full((len(commits), len(case.request)), ABSENT, dtype=np.int32)
    for row, number in enumerate(commits):
        for key, code in steps[number].request.items():
            request[row, case.request.index(key)] = code
    initial = np.zeros((1, len(case.fields)), dtype=np.int32)
    for field, code in counterexample.initial.items():
        initial[0, case.fields.index(field)] = code
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=kinds,
        flow=flow,
        kind=np.array([kinds.index(scope.flows[steps[number].flow][0]) for number in commits], dtype=np.int64),
        site=np.array([case.sites.index(steps[number].site) for number in commits], dtype=np.int64),
        session=np.zeros(len(commits), dtype=np.int64),
        gateway=flow,
        read=np.array([_read_time(steps, number) for number in commits]),
        queued=end - 0.5,
        lock=end - 0.25,
        end=end,
        ok=np.ones(len(commits), dtype=np.bool_),
        snapshot=np.array([steps[number].shows for number in commits], dtype=np.int64),
        request=request,
        initial=initial,
        values=Values(dict.fromkeys(case.domains.values(), 0)),
        session_names=("session-1",),
        attempts=_attempts([steps[number] for number in commits]),
    )


def _attempts(commits: list[Step]) -> Attempts | None:
    """Each transaction is tried once; what it is merged over was read when that was the newest entry. None: it always is."""
    if all(step.over is None for step in commits):
        return None
    rows = np.arange(len(commits))
    base = np.array([row - 1 if step.over is None else step.over for row, step in enumerate(commits)], dtype=np.int64)
    outcome = np.full(rows.size, COMMITTED, dtype=np.int64)
    return Attempts(rows, np.ones_like(rows), outcome, base, base + 1, np.zeros(rows.size))


def _read_time(steps: tuple[Step, ...], number: int) -> float:
    """When a commit's own read was, or, if it has none, just before it queues."""
    step = steps[number]
    own = [at for at in range(number) if not steps[at].commits and (steps[at].flow, steps[at].site) == (step.flow, step.site)]
    return own[-1] + 1.0 if own else number + 0.4


def is_let_through(case: Case, counterexample: Counterexample) -> bool:
    """Whether the guards of the strategy accept every commit of the schedule, as whole entries show it.

    Raises:
        RunError: replay does not confirm the schedule.
    """
    strategy = case.strategy(counterexample.strategy)
    if not any(strategy.discipline.guards):
        return True
    outcomes, _ = judge(case, counterexample)
    history = outcomes.history
    entries = np.concatenate([history.initial, outcomes.entries])
    for row, (site, before) in enumerate(zip(history.site, _before_reads(counterexample.steps), strict=True)):
        guard = strategy.discipline.guards[site]
        if guard is None or guard.used_up == "write":
            continue
        # Where others can commit between the comparison and the write, it may as well be made right after the read.
        seen = row if guard_holds(case, strategy.discipline, case.sites[site]) else before
        columns = [case.fields.index(field) for field in guard.fields]
        stale, fresh, left = entries[history.snapshot[row] + 1], entries[seen], entries[row + 1]
        accepted = {
            "version": history.snapshot[row] == seen - 1,
            "reordered_bytes": seen == 0,
            "fields": (stale == fresh)[columns].all(),
            "owner": (left == fresh)[columns].all(),
        }
        if not accepted[guard.compared]:
            return False
    return True


def _before_reads(steps: tuple[Step, ...]) -> list[int]:
    """Of each commit, how many others there are before the last read of its transaction; if it has none, before itself."""
    before, read, commits = [], dict[tuple[int, str], int](), 0
    for step in steps:
        if step.commits:
            before.append(read.get((step.flow, step.site), commits))
            commits += 1
        else:
            read[step.flow, step.site] = commits
    return before


def judge(case: Case, counterexample: Counterexample) -> tuple[Outcomes, int]:
    """Replay the schedule; returns the replay, and which of its clobbers (by number) is the one that the counterexample names.

    Raises:
        RunError: replay finds no such clobber; the search and replay disagree.
    """
    outcomes = replay_strategy(case, case.strategy(counterexample.strategy), to_history(case, counterexample))
    found, one = outcomes.clobbers, counterexample
    last = len(outcomes.history) - 1
    wanted = (last, case.fields.index(one.field), KINDS.index(one.kind), one.racing)
    for number, clobber in enumerate(zip(found.culprit, found.field, found.kind, found.racing, strict=True)):
        if clobber == wanted:
            return outcomes, number
    raise RunError(
        f"strategy {one.strategy}: replay does not find {one.field} {one.kind} at {one.site} in scope {one.scope.name}"
    )


def last_moment(case: Case, outcomes: Outcomes) -> Moment:
    """The last commit of a replayed schedule."""
    history, last = outcomes.history, len(outcomes.history) - 1
    entries = np.concatenate([history.initial, outcomes.entries])
    stale, fresh = history.snapshot[last] + 1, last
    intended, expected = np.empty((2, len(case.fields)), dtype=entries.dtype)
    evaluate(case.reference.program, history.site[last], entries, fresh, fresh, history.request, last, intended)
    merge(entries[fresh], intended, expected)
    return Moment(entries[stale], entries[fresh], history.request[last], entries[last + 1], expected)
