"""What was proved of strategies: how an absence of counterexamples is known, and what reports, tables and gates say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from simlib.case.case import Case, Scope
from simlib.common.errors import InputError, RunError, allowed
from simlib.replay.judging import KINDS
from simlib.search.certificate import Certificate
from simlib.search.counterexample import Counterexample

Absence = Literal["cannot", "unreachable", "no schedule found", "not searched"]
"""What it means that there is no counterexample: certified for any number of writers; every interleaving of the scopes was
tried; likewise, but its guards or locks are only approximated there; or nobody looked."""
ABSENT: tuple[Absence, ...] = ("cannot", "unreachable")
"""Those that show that there is none."""


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

    def absence(self, strategy: str) -> Absence:
        """What it means that there is no counterexample of some kind for a strategy."""
        if self.certified(strategy):
            return "cannot"
        if self.strategies[strategy].not_searched:
            return "not searched"
        return "unreachable" if self.case.is_plain(self.case.strategies[strategy].discipline) else "no schedule found"

    def safe(self, strategy: str) -> bool:
        """Whether it is shown that a strategy can do nothing, race or no race."""
        return not self.strategies[strategy].counterexamples and self.absence(strategy) in ABSENT

    def verdict(self, strategy: str, kind: str | None = None) -> str:
        """What was found for a strategy, in half a sentence for a report; with `kind` (one of KINDS) of such races only."""
        proof, absence = self.strategies[strategy], self.absence(strategy)
        one = proof.shortest(kind) if kind else next(iter(proof.counterexamples), None)
        if one:
            race = "" if one.racing else ", with no concurrency"
            return f"{one.field} {one.kind} at {one.site} in {len(one.steps)} steps (scope {one.scope.name}{race})"
        if absence == "cannot":
            return self._certified_verdict(strategy)
        if absence == "not searched":
            return f"{absence}: {proof.not_searched}"
        names = ", ".join(scope.name for scope in self.scopes) if len(self.scopes) <= 3 else f"all {len(self.scopes)} scopes"
        counted = f"{sum(proof.states.values()):,} states, {sum(self.schedules.values()):,} orders of steps"
        assumed = ", assuming caches are always up to date" if self.assumes_caches else ""
        return f"{absence} in {names} ({counted}{assumed})"

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

        `reachable` is missing where no schedule was found and yet it is not shown that there is none. `steps` is a count (0
        where there is no schedule; `site` and `field` are missing then). `attrs` has `stale_reads`.
        """
        rows = [
            (
                name,
                racing,
                kind,
                True if one else False if self.absence(name) in ABSENT else None,
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
                **{key: row[key] if row["steps"] else None for key in ("steps", "site", "field")},
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


def require_safe(proofs: Proofs, strategies: Sequence[str]) -> None:
    """Insist that strategies cannot clobber in the scopes that were searched: the gate of `--require-safe`.

    Raises:
        InputError: a strategy was not searched.
        RunError: something is reachable for one of them, or it is not shown that nothing is.
    """
    for name in strategies:
        if name not in proofs.strategies:
            raise InputError(f"--require-safe {name}: not searched; {allowed(list(proofs.strategies))}")
        if not proofs.safe(name):
            known = "safe" if proofs.strategies[name].counterexamples else "proved safe"
            raise RunError(f"strategy {name} is not {known}: {proofs.verdict(name)}")
