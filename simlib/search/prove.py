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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from simlib.case.case import Case, Scope, Strategy
from simlib.case.discipline import Discipline
from simlib.case.snapshots import READ_BEFORE, kinds
from simlib.common import bounds
from simlib.common.errors import InputError, RunError, allowed
from simlib.replay.judging import KINDS
from simlib.search.breadth_first import Found, Search, search
from simlib.search.certificate import Certificate, certify
from simlib.search.counterexample import Counterexample, Step, is_let_through
from simlib.search.dependencies import SKIPPED, Cone, find_cone, has_updates, tabulate
from simlib.search.older_base import lost_updates
from simlib.search.reliance import rely
from simlib.search.statespace import CACHED, NEWEST, PAST_CACHE, lay_out, make_system


@dataclass(frozen=True)
class Proof:
    """What one strategy can do in the scopes that were searched.

    Attributes:
        strategy: its name.
        states: scope -> states that were visited, over all fields; none where the certificates say it all.
        counterexamples: the shortest one for each scope, site, field, kind and racing or not; shortest first.
        not_searched: why there was no search of all, although the certificates do not say it all; empty if there was one. What
            `older_base` finds without a search is among the counterexamples all the same.
    """

    strategy: str
    states: Mapping[str, int]
    counterexamples: tuple[Counterexample, ...]

    not_searched: str = ""

    @property
    def safe(self) -> bool:
        """Whether nothing is reachable, race or no race."""
        return not self.counterexamples and not self.not_searched

    def shortest(
        self, kind: str, racing: bool = True, field: str | None = None, site: str | None = None
    ) -> Counterexample | None:
        """The shortest counterexample of a kind, or None if there is none in these scopes.

        Args:
            kind: one of KINDS.
            racing: whether it takes concurrency.
            field: its name; None means any.
            site: likewise.
        """
        for one in self.counterexamples:
            if one.kind == kind and one.racing == racing and field in (None, one.field) and site in (None, one.site):
                return one
        return None


@dataclass(frozen=True)
class Proofs:
    """Every strategy in the same scopes.

    Attributes:
        case: the case that was searched.
        stale_reads: how many commits old an entry from the cache was allowed to be.
        scopes: the scopes that were searched.
        schedules: scope -> complete orders of its steps (with what each stale read shows), whatever the values.
        strategies: name -> what the strategy can do.
        certificates: strategy -> site -> whether the site's writes are right, whatever the number of writers.
    """

    case: Case
    stale_reads: int
    scopes: tuple[Scope, ...]
    schedules: Mapping[str, int]
    strategies: Mapping[str, Proof]
    certificates: Mapping[str, Mapping[str, Certificate]]

    def certified(self, strategy: str) -> bool:
        """Whether no write site of the scopes can clobber, whatever the number of writers."""
        return all(self.certificates[strategy][site].certified for site in sites_of(self.case, self.scopes))

    def verdict(self, strategy: str, kind: str | None = None) -> str:
        """What was found for a strategy, in half a sentence for a report; with `kind` (one of KINDS) of such races only."""
        proof = self.strategies[strategy]
        one = proof.shortest(kind) if kind else next(iter(proof.counterexamples), None)
        if one:
            race = "" if one.racing else ", with no concurrency"
            return f"{one.field} {one.kind} at {one.site} in {len(one.steps)} steps (scope {one.scope.name}{race})"
        if self.certified(strategy):
            return self._certified_verdict(strategy)
        if proof.not_searched:
            return f"not searched: {proof.not_searched}"
        names = ", ".join(scope.name for scope in self.scopes) if len(self.scopes) <= 3 else f"all {len(self.scopes)} scopes"
        counted = f"{sum(proof.states.values()):,} states, {sum(self.schedules.values()):,} orders of steps"
        assumed = ", assuming caches are always up to date" if self.assumes_caches else ""
        discipline = self.case.strategies[strategy].discipline
        word = "unreachable" if self.case.is_plain(discipline) else "no schedule found"
        return f"{word} in {names} ({counted}{assumed})"

    def _certified_verdict(self, strategy: str) -> str:
        certificates = self.certificates[strategy]
        sites = sites_of(self.case, self.scopes)
        everywhere = all(one.certified for one in certificates.values())
        where = "" if everywhere else f" at {', '.join(sites)}"
        return f"cannot{where}, for any number of writers ({sum(certificates[site].cases for site in sites):,} cases checked)"

    @property
    def assumes_caches(self) -> bool:
        """Whether the search took reads for up to date that need not be."""
        return self.stale_reads == 0 and default_stale_reads(self.case) > 0

    def to_frame(self) -> pd.DataFrame:
        """A row per strategy, kind, and racing or not: `reachable`, and of the shortest schedule `steps`, `site` and `field`.

        `steps` is a count (0 where nothing is reachable; `site` and `field` are missing then). `attrs` has `stale_reads`.
        """
        rows = [
            (
                name,
                racing,
                kind,
                one is not None,
                len(one.steps) if one else 0,
                one.site if one else None,
                one.field if one else None,
            )
            for name, proof in self.strategies.items()
            for racing in (True, False)
            for kind in KINDS
            for one in [proof.shortest(kind, racing)]
        ]
        columns = ["strategy", "racing", "kind", "reachable", "steps", "site", "field"]
        frame = pd.DataFrame(rows, columns=columns)
        frame.attrs["stale_reads"] = self.stale_reads
        return frame

    def scopes_frame(self) -> pd.DataFrame:
        """A row per scope: `name`, `flows`, `stale_reads`, `states` visited over all strategies, `schedules` (orders)."""
        return pd.DataFrame(
            {
                "name": scope.name,
                "flows": [flow for flow, _ in scope.flows],
                "stale_reads": self.stale_reads,
                "states": sum(proof.states[scope.name] for proof in self.strategies.values()),
                "schedules": self.schedules[scope.name],
            }
            for scope in self.scopes
        )

    def to_json(self) -> dict[str, Any]:
        """As `simlib interleave --json` prints it; races under `strategies`, what needs no concurrency under `not_racing`."""
        kinds: dict[bool, dict[str, Any]] = {racing: {name: {} for name in self.strategies} for racing in (True, False)}
        for row in self.to_frame().to_dict("records"):
            kinds[row["racing"]][row["strategy"]][row["kind"]] = {
                "reachable": row["reachable"],
                **{key: row[key] if row["reachable"] else None for key in ("steps", "site", "field")},
            }
        certificates = {
            name: {site: {"certified": one.certified, "cases": one.cases} for site, one in sites.items()}
            for name, sites in self.certificates.items()
        }
        return {
            "scopes": self.scopes_frame().to_dict("records"),
            "strategies": kinds[True],
            "not_racing": kinds[False],
            "certificates": certificates,
        }


def require_safe(proofs: Proofs, strategies: Sequence[str]) -> None:
    """Insist that strategies cannot clobber in the scopes that were searched: the gate of `--require-safe`.

    Raises:
        InputError: a strategy was not searched.
        RunError: something is reachable for one of them.
    """
    for name in strategies:
        if name not in proofs.strategies:
            raise InputError(f"--require-safe {name}: not searched; {allowed(list(proofs.strategies))}")
        if not proofs.strategies[name].safe:
            raise RunError(f"strategy {name} is not safe: {proofs.verdict(name)}")


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
        >>> proofs.strategies["all-sites"].safe, proofs.certified("all-sites")
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


def sites_of(case: Case, scopes: Sequence[Scope]) -> list[str]:
    """The write sites of the scopes, in the order of the case."""
    used = {site for scope in scopes for _, sites in scope.flows for site in sites}
    return [site for site in case.sites if site in used]


def default_stale_reads(case: Case) -> int:
    """1 where a read can show an older entry: through a cache, from a replica, out of a process's memory; else 0.

    One is enough to see whether old reads do harm, and small enough to be searched. Certificates hold for every age.
    """
    words = {word for strategy in case.strategies.values() for word in strategy.discipline.snapshots}
    return int(bool(words & {"own", "in_lock", "lagged", "memory"}))


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
