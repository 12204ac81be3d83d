"""The proof that a write site cannot clobber: not in small scopes, but whatever the number of sessions, writers and processes.

A commit is judged by three things: the snapshot, the entry that the store holds, and the request. If for *every* such triple
that a site's guard lets through the strategy leaves what the reference leaves, then no commit of that site is a clobber, in
whatever way the triple came about: by any schedule, any number of retries, any cache, lag or memory. All that it takes besides
is that the patch is merged over the newest entry (`reliance`).

**Why a few values decide it.** A field is checked apart: what a commit leaves in it depends on the entry's fields and the
request's keys that the two rules of the field mention, and on nothing else. Rules ask whether a value is defined and whether
two are equal. So a wrong commit stays wrong when its values are given other names, even if two of them get the same name, as
long as those stay different that *must* differ. There are at most three such pairs: what the strategy leaves and what the
reference leaves; the two sides of the delivery context's conflict in the snapshot; and its two sides in the store. (All else
that a wrong commit needs are equalities, which any renaming keeps: a guard lets through what *agrees*.) Draw values as points
and those pairs as lines: the points of three lines can always be coloured with three colours so that no line joins two of one
colour. So if any values at all make a commit wrong, three do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.evaluator import merged, written
from simlib.case.pairs import SET_BITS, Pairs
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Ints
from simlib.common.compilation import lean
from simlib.model.history import Values
from simlib.search.dependencies import mentioned
from simlib.search.reliance import Reliance, rely

VALUES = 3
"""Defined values of a field, or of a request's key; the head of this module says why three are enough."""
MOST_CASES = 20_000_000
"""A field that takes more is not certified."""
SNAPSHOT, STORE, BOTH, REQUEST = range(4)
"""What a variable is of; BOTH: of snapshot and store alike, which agree there."""


@dataclass(frozen=True)
class Certificate:
    """Whether a site's write equals the reference for every snapshot, stored entry and request that is let through.

    Attributes:
        strategy, site: names.
        cases: how many triples were checked, over all fields; a check ends at the first that is wrong.
        why_not: the first wrong one, or what stands in the way of any proof; empty if the site is certified.
        reliance: what was taken for granted because locks and guard give it.
        fields: field -> its cases.
    """

    strategy: str
    site: str
    cases: int
    why_not: str
    reliance: Reliance
    fields: Mapping[str, int]

    @property
    def certified(self) -> bool:
        """Whether the site cannot clobber, whatever the number of writers."""
        return not self.why_not


def certify(case: Case, strategy: Strategy, values: int = VALUES) -> dict[str, Certificate]:
    """Check every write site of a strategy; site -> certificate.

    Args:
        case: the case.
        strategy: one of its strategies.
        values: how many defined values a field can have; more than VALUES change no verdict.
    """
    return {site: _certify_site(case, strategy, site, values) for site in case.sites}


def _certify_site(case: Case, strategy: Strategy, site: str, values: int) -> Certificate:
    reliance = rely(case, strategy.discipline, site)
    if reliance.broken:
        return Certificate(strategy.name, site, 0, reliance.broken, reliance, {})
    checked: dict[str, int] = {}
    pairs, number = strategy.pairs, case.sites.index(site)
    written_by = {int(pairs.strategy.field[row]): row for row in range(*pairs.strategy.first[number : number + 2])}
    why = ""
    for column, name in enumerate(case.fields):
        if column not in written_by:
            checked[name] = 1 + values  # both sides leave it as it is
            continue
        pair = written_by[column]
        question = _ask(case, pairs, pair, reliance, values)
        if (size := float(np.prod(question.choices, dtype=np.float64))) > MOST_CASES:
            why = f"{name} depends on too much to try it all: {size:.0g} cases; allowed: {MOST_CASES:,}"
            break
        checked[name], wrong = _try_all(pairs, pair, *question)
        if wrong:
            why = _tell(case, pairs, pair, question)
            break
    return Certificate(strategy.name, site, sum(checked.values()), why, reliance, checked)


class _Question(NamedTuple):
    """One field of one site.

    Attributes:
        what, column: (variables,) what each is of, and the number of its field or key.
        choices: (variables,) how many values it takes.
        kept: whether only writes are let through that leave the field as it is.
        entries: (2, fields) room for the snapshot and the stored entry.
        request: (1, keys) room.
    """

    what: Ints
    column: Ints
    choices: Ints
    kept: bool
    entries: Any
    request: Any


def _ask(case: Case, pairs: Pairs, pair: int, reliance: Reliance, values: int) -> _Question:
    """What the two rules of a pair depend on: of the snapshot what the strategy looks at, of the store what either mentions."""
    (fields, keys), (more, other_keys) = (mentioned(program, pair) for program in (pairs.strategy, pairs.reference))
    stale = {one for one in fields if pairs.reads[pair] >> one % SET_BITS & 1}
    fresh = {int(pairs.strategy.field[pair])} | fields | more
    same = {case.fields.index(name) for name in reliance.same}
    variables = [
        *((SNAPSHOT, one) for one in sorted(stale - same)),
        *((BOTH if one in same else STORE, one) for one in sorted(fresh)),
        *((REQUEST, key) for key in sorted(keys | other_keys)),
    ]
    what, column = np.array(variables, dtype=np.int64).T
    return _Question(
        what=what,
        column=column,
        choices=values + np.where(what == REQUEST, 2, 1),
        kept=case.fields[pairs.strategy.field[pair]] in reliance.kept,
        entries=np.zeros((2, len(case.fields)), dtype=np.int32),
        request=np.full((1, len(case.request)), ABSENT, dtype=np.int32),
    )


@lean
def _try_all(
    pairs: Pairs, pair: int, what: Any, column: Any, choices: Any, kept: bool, entries: Any, request: Any
) -> tuple[int, bool]:
    """How many cases were tried, and whether the last one is wrong; it is left in `entries` and `request`."""
    field, count, total = pairs.strategy.field[pair], 0, 1
    for variable in range(choices.size):
        total *= choices[variable]
    for number in range(total):
        rest = number
        for variable in range(choices.size):
            value, rest = rest % choices[variable], rest // choices[variable]
            if what[variable] == REQUEST:
                request[0, column[variable]] = value + ABSENT
            if what[variable] == SNAPSHOT or what[variable] == BOTH:
                entries[0, column[variable]] = value
            if what[variable] == STORE or what[variable] == BOTH:
                entries[1, column[variable]] = value
        before = entries[1, field]
        patch, _ = written(pairs.strategy, pair, entries, 0, 1, request, 0)
        left = merged(before, patch)
        if kept and left != before:
            continue
        count += 1
        serial, _ = written(pairs.reference, pair, entries, 1, 1, request, 0)
        if left != merged(before, serial):
            return count, True
    return count, False


def _tell(case: Case, pairs: Pairs, pair: int, question: _Question) -> str:
    """The wrong case that `_try_all` left behind, in names."""
    stale, fresh = question.entries
    patch, _ = written(pairs.strategy, pair, question.entries, 0, 1, question.request, 0)
    serial, _ = written(pairs.reference, pair, question.entries, 1, 1, question.request, 0)
    column = int(pairs.strategy.field[pair])
    values = Values(dict.fromkeys(case.domains.values(), 0))

    def name(key: str, code: int) -> str:
        return values.name(case.domains[key], code) if code > UNDEFINED else "undefined"

    def row(keys: tuple[str, ...], codes: Any, wanted: tuple[int, ...]) -> str:
        shown = [one for kind, one in zip(question.what, question.column, strict=True) if kind in wanted]
        return ", ".join(f"{keys[one]} = {name(keys[one], codes[one])}" for one in shown if codes[one] != ABSENT) or "nothing"

    left, right = (name(case.fields[column], int(merged(fresh[column], one))) for one in (patch, serial))
    return (
        f"snapshot {row(case.fields, stale, (SNAPSHOT, BOTH))}; store {row(case.fields, fresh, (STORE, BOTH))}; request "
        f"{row(case.request, question.request[0], (REQUEST,))}: {case.fields[column]} becomes {left}, serially {right}"
    )


def to_json(case: Case, certificates: Mapping[str, Mapping[str, Certificate]]) -> dict[str, Any]:
    """What a checker needs that has only the case file: strategy -> site -> what was checked, and on which grounds."""
    return {
        "certificates": 1,
        "case": case.name,
        "values": VALUES,
        "strategies": {
            name: {
                site: {
                    "certified": one.certified,
                    "cases": one.cases,
                    "why_not": one.why_not,
                    "same": [name for name in case.fields if name in one.reliance.same],
                    "kept": [name for name in case.fields if name in one.reliance.kept],
                    "fields": dict(one.fields),
                }
                for site, one in sites.items()
            }
            for name, sites in certificates.items()
        },
    }
