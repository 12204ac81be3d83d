"""Schedules in which a write lands over what was committed since the entry was read that it is made of.

Where nothing keeps others from committing between that read and the write (`reliance`), a scope has too many states to be
searched. But the shortest such schedule is known: the site reads, another flow commits, the site commits. All that is looked
for are values with which that does harm, and replay says what harm.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import Any

import numpy as np

from simlib.case.case import Case, Scope, Strategy
from simlib.case.snapshots import READ_BEFORE, kinds
from simlib.replay.judging import KINDS
from simlib.replay.replay import replay_strategy
from simlib.search.counterexample import Counterexample, Step, is_let_through, to_history
from simlib.search.dependencies import VALUE_COST, Cone, find_cone
from simlib.search.reliance import rely


def lost_updates(case: Case, strategy: Strategy, scopes: Sequence[Scope]) -> tuple[Counterexample, ...]:
    """For each write site whose entry may be old at its commit, and each field, a shortest schedule; shortest first."""
    found: dict[tuple[str, int], Counterexample] = {}
    cones = [find_cone(case, strategy, field) for field in range(len(case.fields))]
    for scope in scopes:
        for mine, other in permutations(range(len(scope.flows)), 2):
            site = scope.flows[mine][1][0]
            if not rely(case, strategy.discipline, site).broken or _exclude(strategy, site, scope.flows[other][1][0]):
                continue
            for field, cone in enumerate(cones):
                if (site, field) not in found and (one := _cheapest(case, strategy, scope, mine, other, cone)):
                    found[site, field] = one
    return tuple(sorted(found.values(), key=lambda one: (len(one.steps), one.price)))


def _exclude(strategy: Strategy, one: str, other: str) -> bool:
    """Whether the two sites take a common lock, so that neither commits between the other's read and write of an entry.

    What a site that stores the whole file does to other entries is not shown here.
    """
    locks = [lock for lock in strategy.discipline.locks if lock.late == "fail"]
    ours, theirs = ({lock.scope for lock in locks if site in lock.sites} for site in (one, other))
    return bool(ours & theirs)


def _cheapest(
    case: Case, strategy: Strategy, scope: Scope, mine: int, other: int, cone: Cone
) -> Counterexample | None:  # fmt: skip
    """The cheapest schedule of the flows `mine` and `other` that does harm to the cone's field, of few values."""
    sites = [scope.flows[flow][1][0] for flow in (mine, other)]
    entries = [entry for entry in map(cone.decode, range(cone.entries)) if len(entry) <= 1]
    own_requests, their_requests = (_few(case, cone, site) for site in sites)
    for initial, own, theirs in sorted(product(entries, own_requests, their_requests), key=lambda values: _price(*values)):
        named = {case.fields[number]: code for number, code in initial.items()}
        steps = tuple(_steps(case, strategy, sites, (mine, other), own, theirs))
        price = _price(initial, own, theirs)
        one = Counterexample(strategy.name, scope, sites[0], case.fields[cone.fields[0]], "", True, named, steps, price)
        if harm := _harm(case, strategy, one):
            return harm
    return None


def _few(case: Case, cone: Cone, site: str) -> list[dict[str, int]]:
    """The requests of a site that name one key at most."""
    rows = cone.requests[case.sites.index(site)]
    named = [{case.request[key]: int(row[key]) for key in np.flatnonzero(row >= 0)} for row in rows]
    return [request for request in named if len(request) <= 1]


def _price(*values: Mapping[Any, int]) -> int:
    return sum(VALUE_COST if code else 1 for each in values for code in each.values())


def _steps(
    case: Case, strategy: Strategy, sites: list[str], flows: tuple[int, int], own: Mapping[str, int], theirs: Mapping[str, int]
) -> Iterator[Step]:
    reads = np.isin(kinds(strategy.discipline.snapshots), READ_BEFORE)
    mine, other = flows
    yield Step(mine, sites[0], False, -1, {})  # its snapshot, and what it is going to store
    if reads[case.sites.index(sites[1])]:
        yield Step(other, sites[1], False, -1, {})
    yield Step(other, sites[1], True, -1, theirs)
    yield Step(mine, sites[0], True, -1, own, over=-1)


def _harm(case: Case, strategy: Strategy, one: Counterexample) -> Counterexample | None:
    """The schedule with the clobber that its last commit does to the field, if it does one and every guard lets it."""
    clobbers = replay_strategy(case, strategy, to_history(case, one)).clobbers
    for row, field, kind, racing in zip(clobbers.culprit, clobbers.field, clobbers.kind, clobbers.racing, strict=True):
        if row == 1 and racing and case.fields[field] == one.field:
            found = Counterexample(**{**vars(one), "kind": KINDS[kind]})
            return found if is_let_through(case, found) else None
    return None
