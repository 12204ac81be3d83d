"""Schedules by hand (`simlib.model.schedule`) of the shipped case, and what becomes of them, by name."""

from dataclasses import dataclass, replace

import numpy as np

from simlib.case.case import Case, Strategy, load_case
from simlib.case.evaluator import evaluate
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.model import schedule as schedules
from simlib.model.history import History
from simlib.model.schedule import Coder, Step, commit, give_up, read
from simlib.replay.books import NOBODY
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes, replay_strategy

__all__ = ["Coder", "Step", "commit", "give_up", "read"]  # beside what is defined here

CASE = load_case("openclaw-70575")
FIELDS, REQUEST, SITES = CASE.fields, CASE.request, CASE.sites
STRATEGIES = list(CASE.strategies)
KINDS_OF_FLOWS = ("turn", "patch", "inbound")


def history_of(
    schedule: list[Step], initial: dict[str, str | None] | None = None, sessions: int = 1, case: Case = CASE
) -> History:
    """The history that the schedule tells; every session starts as `initial`. What is no patch and no inbound is a turn."""
    history = schedules.history_of(case, schedule, initial, sessions)
    kinds = [KINDS_OF_FLOWS.index(site) if site in KINDS_OF_FLOWS else 0 for site in case.sites]
    return replace(history, kinds=KINDS_OF_FLOWS, kind=np.array(kinds, dtype=np.int64)[history.site])


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
