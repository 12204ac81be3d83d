"""The cone of a field: what decides about it, and everything that one commit can do to it.

What a write site puts into a field depends on a few fields of the entry and a few keys of the request; those depend on a few
more. `find_cone` collects them from the rules, the reference and the delivery context. Fields outside the cone can take any
value without changing what happens inside, so a search that asks about one field may leave them out: every schedule of whole
entries, looked at through the cone, is a schedule of the cone, and the other way round. This is how fields that no rule
couples are checked apart.

A cone is small enough to write down what a commit can do for every pair of snapshot and fresh entry: `tabulate` asks the
evaluator and the judging of the replay, once, and the search only looks it up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.evaluator import merged, written
from simlib.case.pairs import Pairs
from simlib.case.rules import (
    ABSENT,
    EFFECTIVE_FRESH,
    EFFECTIVE_STALE,
    LITERAL,
    NO_KEY,
    NO_SOURCE,
    OVERLAY_FRESH,
    REQUESTED,
    UNDEFINED,
    Program,
    Source,
    unpack,
)
from simlib.common.arrays import Bools, Codes, Ints
from simlib.common.compilation import inlined, lean
from simlib.common.errors import RunError
from simlib.replay.judging import NONE, finding
from simlib.search.reliance import rely

VALUES = 2
"""Defined values of a field; beside them it can be undefined. Two are the fewest with an older and a newer one."""
VALUE_COST, CLEAR_COST = 100, 1
"""The price of a value, and of a cleared key, in an entry or a request; of equally short schedules the cheapest wins."""
END = -1
SKIPPED = -1
"""The end of a row of choices."""
LARGEST = 200_000_000
"""The most commits that are tabulated for one cone."""


@dataclass(frozen=True)
class Cone:
    """A field, and what decides about it.

    Attributes:
        fields: field numbers, the field itself first. An entry of the cone is coded as one number, in base VALUES + 1, the
            first field least.
        requests: for each site (choices, request keys of the case): every request that its rules tell apart, cheapest first.
        costs: for each site (choices,): the price of each request, see VALUE_COST.
        images: (permutations, entries): what becomes of an entry when values are renamed; the first row changes nothing.
    """

    fields: tuple[int, ...]
    requests: tuple[Codes, ...]
    costs: tuple[Ints, ...]
    images: Ints

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return int(self.images.shape[1])

    def decode(self, code: int) -> dict[int, int]:
        """The entry of that number: field number -> value code, defined fields only."""
        digits = [code // (VALUES + 1) ** place % (VALUES + 1) for place in range(len(self.fields))]
        return {field: digit for field, digit in zip(self.fields, digits, strict=True) if digit}


class Commits(NamedTuple):
    """What a commit can do, for each (site, snapshot, fresh entry): a row of choices, one for each effect, up to END.

    Requests with the same effect are one choice, which shows the cheapest of them. All arrays are (sites, entries, entries,
    choices).
    """

    entry: Ints
    """The entry afterwards, or END."""
    finding: Ints
    """How `judging.finding` judges the commit in the field that the cone is of."""
    request: Ints
    """Number of the request in `Cone.requests`; SKIPPED: the guard rejects it, and nobody is told."""
    cost: Ints


def find_cone(case: Case, strategy: Strategy, field: int, *others: int) -> Cone:
    """The cone of a field under one strategy.

    Args:
        case: the case.
        strategy: one of its strategies.
        field: number of the field.
        others: numbers of more fields to be searched together with it. No search needs them; they serve to measure what it
            saves to search fields apart.
    """
    fields = [field, *others]
    keys: list[dict[int, bool]] = [{} for _ in case.sites]  # of each site: key -> whether its rules tell a cleared one apart
    kin = _Kin()
    for member in fields:  # grows on the way
        for program in (strategy.program, case.reference.program):
            for site, row in _rows(program, member):
                for mention in _mentions(program, row):
                    fields += [other for other in mention.fields if other not in fields]
                    for key in mention.keys:
                        keys[site][key] = keys[site].get(key, False) or mention.clears
                    kin.join([("field", member)] if mention.is_value else [], mention)
                if program.when[row] == REQUESTED:
                    keys[site][int(program.asks[row])] = True
    requests, costs = zip(*(_requests(options, len(case.request)) for options in keys), strict=True)
    return Cone(tuple(fields), requests, costs, _images([kin.find(("field", member)) for member in fields]))


def mentioned(program: Program, row: int) -> tuple[set[int], set[int]]:
    """The entry fields and the request keys that one rule looks at."""
    found = list(_mentions(program, row))
    return {field for one in found for field in one.fields}, {key for one in found for key in one.keys}


class _Mention(NamedTuple):
    """Entry fields and request keys that a rule looks at together; `is_value`: it may write what it finds there; `clears`: it
    tells a cleared key from one that is not named.
    """

    fields: list[int]
    keys: list[int]
    is_value: bool
    clears: bool = False


class _Kin:
    """Fields and request keys whose values meet: one is written to the other, or the two are compared."""

    def __init__(self) -> None:
        self.parent: dict[tuple[str, int], tuple[str, int]] = {}

    def find(self, member: tuple[str, int]) -> tuple[str, int]:
        while (parent := self.parent.get(member, member)) != member:
            member = parent
        return member

    def join(self, members: list[tuple[str, int]], mention: _Mention) -> None:
        members = [*members, *(("field", field) for field in mention.fields), *(("key", key) for key in mention.keys)]
        for member in members[1:]:
            self.parent[self.find(member)] = self.find(members[0])


def _rows(program: Program, field: int) -> Iterator[tuple[int, int]]:
    """The site and the row of every rule that writes the field."""
    for site in range(program.first.size - 1):
        for row in range(program.first[site], program.first[site + 1]):
            if program.field[row] == field:
                yield site, row


def _sources(program: Program, row: int) -> Iterator[tuple[Source, bool]]:
    """Every source of a rule, and whether the rule may write what it finds there."""
    conditions = program.condition[program.needs[row] : program.needs[row + 1]]
    for table, is_value in ((program.value[row], True), (program.unless[row], False), (conditions, False)):
        yield from ((unpack(source), is_value) for source in table.ravel().tolist() if source != NO_SOURCE)


def _mentions(program: Program, row: int) -> Iterator[_Mention]:
    for source, is_value in _sources(program, row):
        keys = [key for key in source.keys if key != NO_KEY]
        yield _Mention([*source.fields], keys, is_value, clears=source.bank > LITERAL)
        if source.bank in (EFFECTIVE_STALE, EFFECTIVE_FRESH):
            yield _Mention(program.conflict_entry.tolist(), program.conflict_request.tolist(), is_value=False)


def has_updates(case: Case, strategy: Strategy, cone: Cone) -> bool:
    """Whether a rule about the cone has `update(...)`, whose values have no end: each commit can make a new one."""
    return any(
        source.bank > OVERLAY_FRESH
        for field in cone.fields
        for program in (strategy.program, case.reference.program)
        for _, row in _rows(program, field)
        for source, _ in _sources(program, row)
    )


def _requests(options: dict[int, bool], width: int) -> tuple[Codes, Ints]:
    """Every request over these keys, cheapest first, and the prices."""
    choices = [[ABSENT, *range(1, VALUES + 1), *([UNDEFINED] if clears else [])] for clears in options.values()]
    named = list(product(*choices))
    combinations = np.array(named, dtype=np.int32).reshape(len(named), len(options))
    costs = (VALUE_COST * (combinations > UNDEFINED) + CLEAR_COST * (combinations == UNDEFINED)).sum(axis=1)
    order = np.argsort(costs, kind="stable")
    table = np.full((order.size, width), ABSENT, dtype=np.int32)
    table[:, list(options)] = combinations[order]
    return table, costs[order].astype(np.int64)


def _images(kin: list[tuple[str, int]]) -> Ints:
    """Every renaming of values as a table of entries; fields that are kin are renamed alike, undefined stays."""
    families = sorted(set(kin))
    digits = entry_digits(len(kin))
    images = []
    for renaming in product(permutations(range(1, VALUES + 1)), repeat=len(families)):
        names = [np.array([UNDEFINED, *renaming[families.index(family)]]) for family in kin]
        images.append(sum(names[place][digits[:, place]] * (VALUES + 1) ** place for place in range(len(kin))))
    return np.array(images, dtype=np.int64)


def entry_digits(fields: int) -> Codes:
    """(entries, fields): the value codes of every entry of that many fields, in the order of their numbers."""
    codes = np.arange((VALUES + 1) ** fields)[:, None]
    return (codes // (VALUES + 1) ** np.arange(fields) % (VALUES + 1)).astype(np.int32)


def tabulate(case: Case, strategy: Strategy, cone: Cone) -> Commits:
    """What each site's commit can do to the cone, for every snapshot, fresh entry and request that its guard lets through.

    What a guard compares outside the cone is taken for unchanged.

    Raises:
        RunError: the cone is too large to be written down, or has updates.
    """
    if has_updates(case, strategy, cone):
        raise RunError(
            f"{case.name}, strategy {strategy.name}: {case.fields[cone.fields[0]]} is not searched: it depends on update(...)"
        )
    most = max(len(requests) for requests in cone.requests)
    shape = (len(case.sites), cone.entries, cone.entries, most)
    if np.prod([float(size) for size in shape]) > LARGEST:
        raise RunError(
            f"{case.name}, strategy {strategy.name}: {case.fields[cone.fields[0]]} depends on {len(cone.fields)} fields and "
            f"{most} requests, too many to search (at most {LARGEST:,} commits)"
        )
    commits = Commits(np.full(shape, END), *np.zeros((3, *shape), dtype=np.int64))
    digits, members = entry_digits(len(cone.fields)), np.array(cone.fields, dtype=np.int64)
    entries = np.zeros((cone.entries, len(case.fields)), dtype=np.int32)
    entries[:, members] = digits
    weights = np.zeros(len(case.fields), dtype=np.int64)
    weights[members] = (VALUES + 1) ** np.arange(members.size)
    for site, (requests, costs) in enumerate(zip(cone.requests, cone.costs, strict=True)):
        accepts = _accepts(case, strategy, site)
        of_site = Commits(*(table[site] for table in commits))
        _tabulate_site(strategy.pairs, site, accepts, weights, entries, requests, costs, of_site)
    return commits


class _Accepts(NamedTuple):
    """Which writes of a site are let through: the fields in which snapshot and store agree, and those that the write keeps."""

    same: Bools
    kept: Bools
    skips: bool
    """Whether the flow goes on after a write that is not."""


def _accepts(case: Case, strategy: Strategy, site: int) -> _Accepts:
    reliance, guard = rely(case, strategy.discipline, case.sites[site]), strategy.discipline.guards[site]
    same, kept = (np.array([field in names for field in case.fields]) for names in (reliance.same, reliance.kept))
    return _Accepts(same, kept, guard is not None and guard.used_up == "skip")


@lean
def _tabulate_site(
    pairs: Pairs, site: int, accepts: _Accepts, weights: Any, entries: Any, requests: Any, costs: Any, commits: Commits
) -> None:
    """Fill the site's part of `commits`; `weights` are what the digits of an entry's number are worth, 0 outside the cone."""
    for snapshot in range(len(entries)):
        for current in range(len(entries)):
            count, rejected = 0, False
            for request in range(len(requests)):
                entry, found = _outcome(pairs, site, weights, entries, snapshot, current, requests, request)
                if not _is_let_through(accepts, weights, entries, snapshot, current, entry):
                    rejected = True
                    continue
                for choice in range(count):
                    same = commits.entry[snapshot, current, choice] == entry
                    if same and commits.finding[snapshot, current, choice] == found:
                        break
                else:
                    commits.entry[snapshot, current, count] = entry
                    commits.finding[snapshot, current, count] = found
                    commits.request[snapshot, current, count] = request
                    commits.cost[snapshot, current, count] = costs[request]
                    count += 1
            if rejected and accepts.skips and count < commits.entry.shape[2]:
                commits.entry[snapshot, current, count] = current
                commits.request[snapshot, current, count] = SKIPPED


@inlined
def _is_let_through(accepts: _Accepts, weights: Any, entries: Any, stale: int, fresh: int, left: int) -> bool:
    """Whether the site's guard accepts the write that leaves the entry of that number."""
    for field in range(weights.size):
        if weights[field] and accepts.same[field] and entries[stale, field] != entries[fresh, field]:
            return False
        if weights[field] and accepts.kept[field] and entries[left, field] != entries[fresh, field]:
            return False
    return True


@inlined
def _outcome(
    pairs: Pairs, site: int, weights: Any, entries: Any, stale: int, fresh: int, requests: Any, row: int
) -> tuple[int, int]:
    """The number of the entry that a commit leaves, and how the commit is judged in the first field of the cone."""
    entry, found = fresh, NONE
    for pair in range(pairs.strategy.first[site], pairs.strategy.first[site + 1]):
        field = pairs.strategy.field[pair]
        if weights[field] == 0:
            continue
        before = entries[fresh, field]
        patch, asked = written(pairs.strategy, pair, entries, stale, fresh, requests, row)
        value = merged(before, patch)
        entry += (value - before) * weights[field]
        if weights[field] == 1:
            serial, _ = written(pairs.reference, pair, entries, fresh, fresh, requests, row)
            right = merged(before, serial)
            found = finding(pairs.strategy, pair, entries, stale, fresh, requests, row, right, value, asked)
    return entry, found
