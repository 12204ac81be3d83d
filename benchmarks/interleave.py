"""The exhaustive search: states per second, and what each reduction saves. TLC is reported at some 3,000 states per second."""

from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np

from simlib.case.case import Case, Scope, load_case
from simlib.search.breadth_first import search
from simlib.search.dependencies import END, Commits, Cone, find_cone, tabulate
from simlib.search.prove import prove, schedules
from simlib.search.statespace import System, lay_out, make_system

STRATEGY, FIELD = "in-mutator", "lastTo"
ALONE = ("label", "spawnedBy", "thinkingLevel")
"""Three fields that no rule couples."""


@dataclass(frozen=True)
class Timed:
    states: int
    seconds: float


def measure() -> dict[str, Any]:
    """The figures of the default scopes, and factors in states (or choices, or orders) without and with each reduction."""
    case = load_case("openclaw-70575")
    prove(case, [STRATEGY], ["patch+patch"])  # compiles
    began = perf_counter()
    prove(case)
    all_strategies = perf_counter() - began
    scope = next(scope for scope in case.scopes if scope.name == "spawn+turn")
    cone, commits = _tables(case, FIELD)
    system = make_system(case, scope, 1, cone, commits)
    kept = np.tile(np.arange(cone.entries), (len(system.alike), 1))
    reduced = _search(system, cone)
    no_renaming = _search(system._replace(images=cone.images[:1]), cone)
    all_snapshots = _search(system._replace(alike=kept), cone)
    bare = _search(system._replace(images=cone.images[:1], alike=kept), cone)
    asked = sum(len(requests) for requests in cone.requests) * cone.entries**2
    patch = next(scope for scope in case.scopes if scope.name == "turn+patch")
    return {
        "states_per_second": bare.states / bare.seconds,
        "default_scopes_seconds": all_strategies,
        "states": {"reduced": reduced.states, "unreduced": bare.states},
        "saved_by": {
            "values_interchangeable": no_renaming.states / reduced.states,
            "snapshots_alike": all_snapshots.states / reduced.states,
            "requests_with_one_effect": asked / int((commits.entry != END).sum()),
            "fields_apart": _together(case, patch) / sum(_apart(case, patch, field) for field in ALONE),
            "commits_atomic": _orders_with_the_lock_apart(case, scope) / schedules(case, scope, 0),
        },
    }


def _tables(case: Case, *fields: str) -> tuple[Cone, Commits]:
    strategy = case.strategies[STRATEGY]
    cone = find_cone(case, strategy, *(case.fields.index(field) for field in fields))
    return cone, tabulate(case, strategy, cone)


def _search(system: System, cone: Cone) -> Timed:
    began = perf_counter()
    states = search(system, cone, "benchmark").states
    return Timed(states, perf_counter() - began)


def _together(case: Case, scope: Scope) -> int:
    cone, commits = _tables(case, *ALONE)
    return search(make_system(case, scope, 0, cone, commits), cone, "benchmark").states


def _apart(case: Case, scope: Scope, field: str) -> int:
    cone, commits = _tables(case, field)
    return search(make_system(case, scope, 0, cone, commits), cone, "benchmark").states


def _orders_with_the_lock_apart(case: Case, scope: Scope) -> int:
    """Orders of the scope's steps, if taking the lock is a step of its own and others may read while it is held."""
    flows = [
        [part for _, reads, _ in steps for part in (["read"] if reads else ["lock", "commit"])]
        for steps in lay_out(case, scope)[0]
    ]

    @cache
    def count(made: tuple[int, ...], holder: int | None) -> int:
        total, ended = 0, True
        for flow, steps in enumerate(flows):
            if made[flow] == len(steps):
                continue
            ended, step = False, steps[made[flow]]
            if step == "read" or holder in (None, flow):
                after = tuple(number + (other == flow) for other, number in enumerate(made))
                total += count(after, flow if step == "lock" else None if step == "commit" else holder)
        return 1 if ended else total

    return count((0,) * len(flows), None)


if __name__ == "__main__":
    import json

    print(json.dumps(measure(), indent=2))
