"""What a strategy cannot do, whatever the number of writers, and the shortest schedule of what it can.

First every write site is asked for its `certificate`. Only where one fails every interleaving of small scopes is searched.

A scope is a few flows on one session. Their steps are *reads* (a snapshot is taken) and *commits* (the lock is granted, the
patch is merged, the lock is released). The search goes through every order of the steps, every initial entry and every
request, breadth first; a state that was met before is not entered again. With `stale_reads` k, a read through the cache may
show an entry up to k commits old, but never one from before the flow's own last commit or its last read: a process's write
refreshes its cache, and a cache does not go back. (Each flow counts as its own process, which allows the most.)

What makes the search small, and why it misses nothing all the same:

- *A commit is one step.* Nobody else can commit while the lock is held, and a read meanwhile shows what a read just before
  the lock shows.
- *Fields that no rule couples are checked apart*, each with its cone (`dependencies`): what is outside does not matter inside.
- *Requests with one effect are one choice.* The request of a step acts on nothing but its commit.
- *Values are interchangeable.* Rules ask whether a value is defined and whether two are equal, never which one it is. Renaming
  values in a schedule gives a schedule with the same findings, so of a state's images only the least is kept.
- *Snapshots under which no later commit differs are one.* That includes those that nobody will use again.
- *Entries that no flow can still read are forgotten.*
- *A rejected attempt is no step.* It changes nothing, so what an attempt after it does, an attempt in its place does. Guards
  look at the fields of a cone; what they compare outside it is taken for unchanged, and each schedule that is found is tried on
  whole entries.
- *A flow that holds a lock is not interrupted by who waits for it*, and runs to its end.

A flow that gives up waiting for the lock ends there; the search judges every beginning of every schedule, so it is covered.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from simlib.case.case import Case, Scope, Strategy
from simlib.case.discipline import Discipline
from simlib.case.snapshots import READ_BEFORE, kinds
from simlib.common import bounds
from simlib.common.errors import InputError, allowed
from simlib.replay.judging import KINDS
from simlib.search.breadth_first import Found, Search, search
from simlib.search.certificate import certify
from simlib.search.counterexample import Counterexample, Step, is_let_through
from simlib.search.dependencies import SKIPPED, Cone, find_cone, has_updates, tabulate
from simlib.search.older_base import lost_updates
from simlib.search.proofs import Proof, Proofs, default_stale_reads, sites_of
from simlib.search.reliance import rely
from simlib.search.statespace import CACHED, NEWEST, PAST_CACHE, lay_out, make_system


def prove(case: Case, strategies: Sequence[str] = (), scopes: Sequence[str] = (), stale_reads: int | None = None) -> Proofs:
    """Certify the write sites of strategies, and search the scopes for everything that the others can do.

    Args:
        case: the case, whose file defines the scopes.
        strategies: their names; none means all.
        scopes: likewise.
        stale_reads: how many commits old an entry from a cache may be, at least 0; None: `default_stale_reads`.

    Raises:
        InputError: a name is not known, `stale_reads` is out of bounds, or the case defines no scopes.
        RunError: a scope is too large.

    Examples:
        >>> from simlib import load_case
        >>> from simlib.common.shipped import CASE
        >>> case = load_case(CASE)
        >>> proofs = prove(case, ["after-19328", "all-sites"], [case.scopes[0].name])
        >>> proofs.safe("all-sites"), proofs.certified("all-sites")
        (True, True)
        >>> found = proofs.strategies["after-19328"].shortest("reverted")
        >>> found.racing, len(found.steps)
        (True, 3)
    """
    stale_reads = default_stale_reads(case) if stale_reads is None else stale_reads
    bounds.STALE_READS.check("stale reads", stale_reads)
    chosen = _choose_scopes(case, scopes)
    names = list(strategies or case.strategies)
    certificates = {name: certify(case, case.strategy(name)) for name in names}
    known: dict[Any, Search] = {}
    proofs = {}
    for name in names:
        if all(certificates[name][site].certified for site in sites_of(case, chosen)):
            proofs[name] = Proof(name, dict.fromkeys((scope.name for scope in chosen), 0), ())
        else:
            proofs[name] = _search(case, case.strategy(name), chosen, stale_reads, known)
    orders = {scope.name: schedules(case, scope, stale_reads) for scope in chosen}
    return Proofs(case, stale_reads, chosen, orders, proofs, certificates)


def _search(case: Case, strategy: Strategy, scopes: Sequence[Scope], stale_reads: int, known: dict[Any, Search]) -> Proof:
    """Everything that a strategy can do; `known` keeps searches for strategies that do the same to a field."""
    states = dict.fromkeys((scope.name for scope in scopes), 0)
    if obstacle := not_searchable(case, strategy.discipline, sites_of(case, scopes)):
        return Proof(strategy.name, states, lost_updates(case, strategy, scopes), obstacle)
    found: list[Counterexample] = []
    obstacle, discipline = "", strategy.discipline
    for field, name in enumerate(case.fields):
        cone = find_cone(case, strategy, field)
        if has_updates(case, strategy, cone):
            obstacle = obstacle or f"{name} depends on update(...), which makes values without end"
            continue
        commits = tabulate(case, strategy, cone)
        # All that a search sees of a strategy and a field is this table: equal tables have equal searches.
        table = hashlib.sha256(b"".join([cone.images.tobytes(), *(part.tobytes() for part in commits)])).digest()
        for scope in scopes:
            key = (scope, table, discipline.snapshots, discipline.locks, discipline.guards)
            if key not in known:
                system = make_system(case, scope, stale_reads, cone, commits, discipline)
                known[key] = search(system, cone, f"scope {scope.name}, strategy {strategy.name}, {name}")
            states[scope.name] += known[key].states
            found += [_counterexample(case, strategy, scope, cone, one) for one in known[key].found]
    found.sort(key=lambda one: (len(one.steps), one.price))
    kept = tuple(one for one in found if is_let_through(case, one))
    if found and not kept:
        obstacle = obstacle or "its guards compare fields together that were searched apart"
    return Proof(strategy.name, states, kept, obstacle)


def not_searchable(case: Case, discipline: Discipline, sites: Sequence[str]) -> str:
    """Why the search cannot show what these write sites do under a discipline; empty if it can."""
    for site in sites:
        if broken := rely(case, discipline, site).broken:
            return f"at {site} {broken}"
        guard = discipline.guards[case.sites.index(site)]
        if guard and guard.used_up == "write" and guard.attempts > 1:
            return f"what {site} writes all the same after {guard.attempts} rejected attempts takes more flows than a scope has"
    return ""


def _choose_scopes(case: Case, names: Sequence[str]) -> tuple[Scope, ...]:
    by_name = {scope.name: scope for scope in case.scopes}
    for name in names:
        if name not in by_name:
            raise InputError(f"scope '{name}' is not in case {case.name}; {allowed(list(by_name))}")
    if not by_name:
        raise InputError(f"case {case.name} defines no scopes; add `flows` and `scopes` to its file")
    return tuple(by_name[name] for name in names or by_name)


def _counterexample(case: Case, strategy: Strategy, scope: Scope, cone: Cone, found: Found) -> Counterexample:
    """The found moves as steps, with names instead of numbers where a person looks."""
    flows, _ = lay_out(case, scope, strategy.discipline)
    reads_before = np.isin(kinds(strategy.discipline.snapshots), READ_BEFORE)
    made, commits = [0] * len(flows), 0
    held: dict[int, int] = {}
    steps = []
    for flow, site, reads, age, request, _, _ in found.moves:
        slot = flows[flow][made[flow]][2]
        made[flow] += 1
        if request == SKIPPED:
            continue
        shows = held[slot] if not reads and slot >= 0 else commits - 1 - age
        if reads:
            held[slot] = shows
        else:
            commits += 1
            if slot == NEWEST and reads_before[site]:
                steps.append(Step(flow, case.sites[site], False, shows, {}))
        row = cone.requests[site][request] if not reads else ()
        steps.append(
            Step(
                flow,
                case.sites[site],
                not reads,
                shows,
                {case.request[key]: int(code) for key, code in enumerate(row) if code >= 0},
            )
        )
    return Counterexample(
        strategy=strategy.name,
        scope=scope,
        site=case.sites[found.site],
        field=case.fields[cone.fields[0]],
        kind=KINDS[(found.finding - 1) // 2],
        racing=bool((found.finding - 1) % 2),
        initial={case.fields[field]: code for field, code in cone.decode(found.initial).items()},
        steps=tuple(steps),
        price=found.price,
    )


def schedules(case: Case, scope: Scope, stale_reads: int) -> int:
    """How many complete orders of the scope's steps there are, with what each read through the cache may show."""
    flows, _ = lay_out(case, scope, case.plain())

    @cache
    def count(made: tuple[int, ...], lag: tuple[int, ...]) -> int:
        total, ended = 0, True
        for flow, steps in enumerate(flows):
            if made[flow] == len(steps):
                continue
            ended = False
            _, reads, slot = steps[made[flow]]
            after = tuple(number + (other == flow) for other, number in enumerate(made))
            ages = range(lag[flow] + 1 if reads != PAST_CACHE else 1)
            if reads:
                total += sum(count(after, (*lag[:flow], age, *lag[flow + 1 :])) for age in ages)
            else:
                older = tuple(0 if other == flow else min(stale_reads, age + 1) for other, age in enumerate(lag))
                total += count(after, older) * (len(ages) if slot == CACHED else 1)
        return 1 if ended else total

    return count((0,) * len(flows), (0,) * len(flows))
