"""The interleavings study: what every strategy can and cannot do in the small scopes, and the sections of its report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import pandas as pd

from simlib.case.case import load_case
from simlib.replay.judging import KIND_MEANINGS, KINDS
from simlib.report.diagram import schedule
from simlib.report.figure import Figure
from simlib.report.finding import Finding
from simlib.report.html import Html, bullets, paragraphs
from simlib.report.table import Columns, Table, whole
from simlib.search.counterexample import Counterexample, judge
from simlib.search.dependencies import VALUES
from simlib.search.proofs import Proofs
from simlib.search.prove import prove

NOT_COVERED = (
    "Where a site is not proved for any number of writers: more flows on one session than a scope has, or other flows. What "
    "needs one more commit is not seen.",
    f"Likewise more than {VALUES} defined values of a field, and reads that are older than the stale reads asked for.",
    "Commits that nothing keeps apart (no common lock, or one that is gone on without): of these only the shortest lost "
    "update is looked for, on one entry.",
    "How often anything happens: that is what the simulation is for.",
    "Code that does not do what the rules of the case say; a crash while a file is written; a lock that two processes hold.",
    "The opposite error: every request is tried, also ones that no caller sends. A counterexample shows its requests.",
)


CERTIFIED = ("certified", "cases")
"""What a table tells of a certificate."""


@dataclass(frozen=True)
class Interleavings:
    """What the interleavings report is made of; each method is one section."""

    proofs: Proofs

    def heading(self) -> Html:
        """What was asked, and of what."""
        case = self.proofs.case
        found = Finding(verdict=". ".join(self._sentences()))
        return Html(f"{paragraphs(f'**{case.title}**').text}{self.verdict().text}", found)

    def verdict(self) -> Html:
        """One sentence a strategy."""
        return bullets(self._sentences())

    def _sentences(self) -> list[str]:
        return [f"`{name}`: {self.proofs.verdict(name)}" for name in self.proofs.strategies]

    def certificates(self) -> Html:
        """Strategy x write site: whether the site is proved for any number of writers, and if not, what speaks against it."""
        reasons = [
            f"`{name}`, `{site}`: {one.why_not}."
            for name, sites in self.proofs.certificates.items()
            for site, one in sites.items()
            if not one.certified
        ]
        text = certificate_table(self.proofs)._repr_html_()
        return Html(text + bullets(reasons).text) if reasons else Html(text)

    def matrix(self) -> Table:
        """Strategy x kind: the length of the shortest schedule, and where."""
        return matrix(self.proofs, racing=True)

    def without_race(self) -> Table:
        """Likewise, what happens with no concurrency."""
        return matrix(self.proofs, racing=False)

    def kinds(self) -> Html:
        """What the kinds mean."""
        return bullets([f"**{kind}**: {KIND_MEANINGS[kind]}" for kind in KINDS])

    def diagrams(self) -> Html:
        """The shortest schedule of each kind that is reachable."""
        return Html("".join(figure(self.proofs, one)._repr_html_() for one in examples(self.proofs)))

    def scopes(self) -> Table:
        """The scopes in plain words, and how much was searched."""
        stale = self.proofs.stale_reads
        cache = (
            f"A read through the cache may show an entry up to {stale} commits old."
            if stale
            else "Reads show the newest entry"
            + (", as if caches were always up to date." if self.proofs.assumes_caches else ".")
        )
        text = paragraphs(
            "A scope is a few flows on one session. Every order of their reads and commits was tried, with every initial entry "
            f"and every request; a field is undefined or has one of {VALUES} values. {cache}",
        )
        return replace(scope_table(self.proofs), before=text)

    def not_covered(self) -> Html:
        """What the search says nothing about."""
        return bullets(NOT_COVERED)


def study(
    case: str, *, strategies: Sequence[str] = (), scopes: Sequence[str] = (), stale_reads: int | None = None
) -> Interleavings:
    """Search, for the report; arguments as of `interleave.prove`, the case by its name or path.

    Raises:
        InputError, RunError: as `load_case` and `prove`.
    """
    return Interleavings(prove(load_case(case), strategies, scopes, stale_reads))


def certificate_table(proofs: Proofs) -> Table:
    """A row per strategy: of each write site the `cases` that were checked, and whether it is `certified`."""
    rows = [
        {"strategy": name, **{f"{site}.{what}": getattr(one, what) for site, one in sites.items() for what in CERTIFIED}}
        for name, sites in proofs.certificates.items()
    ]
    return Table(
        pd.DataFrame(rows), {"strategy": itemgetter("strategy"), **{site: _certified(site) for site in proofs.case.sites}}
    )


def _certified(site: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: f"cannot clobber ({row[f'{site}.cases']:,} cases)" if row[f"{site}.certified"] else "not proved"


def matrix(proofs: Proofs, racing: bool = True) -> Table:
    """A row per strategy: of each kind the `steps` of the shortest schedule, 0 if there is none, its `site` and its `field`.

    The columns of the frame are `strategy` and `KIND.steps`, `KIND.site`, `KIND.field`.
    """
    frame = proofs.to_frame()
    rows = frame[frame["racing"] == racing].groupby("strategy", sort=False)
    wide = [
        {"strategy": name, **{f"{row['kind']}.{what}": row[what] for row in each for what in ("steps", "site", "field")}}
        for name, each in ((name, group.to_dict("records")) for name, group in rows)
    ]
    return Table(pd.DataFrame(wide), {"strategy": itemgetter("strategy"), **{kind: _shortest(proofs, kind) for kind in KINDS}})


def _shortest(proofs: Proofs, kind: str) -> Callable[[Mapping[str, Any]], str]:
    def form(row: Mapping[str, Any]) -> str:
        steps, site, field = (row[f"{kind}.{what}"] for what in ("steps", "site", "field"))
        if steps:
            return f"{steps} steps ({site}, {field})"
        return proofs.absence(row["strategy"])

    return form


def scope_table(proofs: Proofs) -> Table:
    """A row per scope: as `Proofs.scopes_frame`, with the write `sites` of its flows, a list each."""
    frame = proofs.scopes_frame()
    frame["sites"] = pd.Series([[list(sites) for _, sites in scope.flows] for scope in proofs.scopes], dtype=object)
    columns: Columns = {
        "scope": itemgetter("name"),
        "flows and their write sites": lambda row: "; ".join(
            f"{flow}: {', '.join(sites)}" for flow, sites in zip(row["flows"], row["sites"], strict=True)
        ),
        "orders of steps": whole("schedules"),
        "states visited": whole("states"),
    }
    return Table(frame, columns)


def examples(proofs: Proofs) -> list[Counterexample]:
    """For each kind that is reachable by a race a shortest counterexample, the latest strategy's that is as short.

    Of those one whose field somebody changed between snapshot and lock, if there is one: a diagram of that field tells it all.
    """
    found = []
    for kind in KINDS:
        races = [
            one
            for proof in reversed(list(proofs.strategies.values()))
            for one in proof.counterexamples
            if one.kind == kind and one.racing
        ]
        least = min((len(one.steps) for one in races), default=0)
        shortest = [one for one in races if len(one.steps) == least]
        found += [*(one for one in shortest if _changed(proofs, one)), *shortest][:1]
    return found


def shortest_of_all(proofs: Proofs) -> list[Counterexample]:
    """For each strategy the shortest counterexample of each kind, with a race and without one."""
    found = (proof.shortest(kind, racing) for proof in proofs.strategies.values() for racing in (True, False) for kind in KINDS)
    return [one for one in found if one]


def _changed(proofs: Proofs, counterexample: Counterexample) -> bool:
    """Whether snapshot and lock show different values of the field."""
    outcomes, number = judge(proofs.case, counterexample)
    return bool(outcomes.clobbers.stale[number] != outcomes.clobbers.fresh[number])


def figure(proofs: Proofs, counterexample: Counterexample) -> Figure:
    """The counterexample as a sequence diagram, as `--as figure` writes it."""
    return schedule(proofs.case, *judge(proofs.case, counterexample))
