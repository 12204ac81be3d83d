"""The cone of a field: what decides about it, and everything that one commit can do to it.

What a write site puts into a field depends on a few fields of the entry and a few keys of the request; those depend on a few
more. `find_cone` collects them from the rules, the reference and the delivery context. Fields outside the cone can take any
value without changing what happens inside, so a search that asks about one field may leave them out: every schedule of whole
entries, looked at through the cone, is a schedule of the cone, and the other way round. This is how fields that no rule
couples are checked apart.

A cone is small enough to write down what a commit can do for every pair of snapshot and fresh entry: `tabulate` asks the
evaluator of the replay and its classification, once, and the search only looks it up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.evaluator import evaluate, merge
from simlib.case.rules import (
    ABSENT,
    BANK,
    EFFECTIVE_STALE_ALONE,
    FRESH,
    LITERAL,
    NO_SOURCE,
    REQUEST,
    REQUESTED,
    STALE,
    UNDEFINED,
    Context,
    Program,
)
from simlib.common.arrays import Codes, Ints
from simlib.common.compilation import compiled
from simlib.common.errors import RunError
from simlib.replay.replay import classify, needs_race

VALUES = 2
"""Defined values of a field; beside them it can be undefined. Two are the fewest with an older and a newer one."""
VALUE_COST, CLEAR_COST = 100, 1
"""The price of a value, and of a cleared key, in an entry or a request; of equally short schedules the cheapest wins."""
NONE, END = 0, -1
"""No finding; and the end of a row of choices."""
LARGEST = 200_000_000
"""Commits that are tabulated for one cone at most."""


@dataclass(frozen=True)
class Cone:
    """A field, and what decides about it.

    Attributes:
        fields: field numbers, the field itself first. An entry of the cone is coded as one number, in base VALUES + 1, the
            first field least.
        requests: for each site (choices, request keys of the case): every request that its rules tell apart, cheapest first.
        costs: for each site (choices,): the price of each request.
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
    """NONE, or 1 + 2 x kind + racing, if it clobbers the field that the cone is of."""
    request: Ints
    """Number of the request in `Cone.requests`."""
    cost: Ints


def find_cone(case: Case, strategy: Strategy, field: int, *others: int) -> Cone:
    """The cone of a field under one strategy; of several, if they are to be searched together, which no search needs."""
    fields = [field, *others]
    keys: list[dict[int, bool]] = [{} for _ in case.sites]  # of each site: key -> whether its rules tell a cleared one apart
    kin = _Kin()
    for member in fields:  # grows on the way
        for program in (strategy.program, case.reference.program):
            for site, row in _rows(program, member):
                for mention in _mentions(program, row):
                    fields += [other for other in mention.fields if other not in fields]
                    for key in mention.keys:
                        keys[site].setdefault(key, False)
                    kin.join([("field", member)] if mention.is_value else [], mention)
                if program.when[row] == REQUESTED:
                    keys[site][int(program.sources[row, 0]) % BANK] = True
    requests, costs = zip(*(_requests(options, len(case.request)) for options in keys), strict=True)
    return Cone(tuple(fields), requests, costs, _images([kin.find(("field", member)) for member in fields]))


class _Mention(NamedTuple):
    """Entry fields and request keys that a rule looks at together; `is_value`: it may write what it finds there."""

    fields: list[int]
    keys: list[int]
    is_value: bool


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


def _mentions(program: Program, row: int) -> Iterator[_Mention]:
    context = program.context
    for source in program.sources[row]:
        yield from _source(int(source), context, is_value=True)
    yield from _source(int(program.unless[row]), context, is_value=False)


def _source(source: int, context: Context, is_value: bool) -> Iterator[_Mention]:
    bank, index = divmod(source, BANK)
    if source == NO_SOURCE or bank == LITERAL:
        return
    if bank in (STALE, FRESH):
        yield _Mention([index], [], is_value)
    elif bank == REQUEST:
        yield _Mention([], [index], is_value)
    else:
        alone = bank == EFFECTIVE_STALE_ALONE
        yield _Mention(_columns(context.entry[index]), [] if alone else _columns(context.request[index]), is_value)
        if not alone:
            yield _Mention(_columns(context.conflict_entry), _columns(context.conflict_request), is_value=False)


def _columns(row: Ints) -> list[int]:
    return [int(column) for column in row if column != NO_SOURCE]


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
    """What each site's commit can do to the cone.

    Raises:
        RunError: the cone is too large to be written down.
    """
    most = max(len(requests) for requests in cone.requests)
    shape = (len(case.sites), cone.entries, cone.entries, most)
    if np.prod([float(size) for size in shape]) > LARGEST:
        raise RunError(
            f"{case.name}, strategy {strategy.name}: {case.fields[cone.fields[0]]} depends on {len(cone.fields)} fields and "
            f"{most} requests, too many to search (at most {LARGEST:,} commits)"
        )
    commits = Commits(np.full(shape, END), *np.zeros((3, *shape), dtype=np.int64))
    program, reference = (_restricted(rules.program, cone.fields) for rules in (strategy, case.reference))
    digits, members = entry_digits(len(cone.fields)), np.array(cone.fields, dtype=np.int64)
    entries = np.zeros((cone.entries, len(case.fields)), dtype=np.int32)
    entries[:, members] = digits
    for site, (requests, costs) in enumerate(zip(cone.requests, cone.costs, strict=True)):
        _tabulate_site(program, reference, site, entries, members, requests, costs, commits)
    return commits


def _restricted(program: Program, fields: tuple[int, ...]) -> Program:
    """The rules that write these fields, and no others."""
    keep = np.isin(program.field, fields)
    first = np.concatenate([[0], np.cumsum(keep)])[program.first]
    return Program(first, program.field[keep], program.when[keep], program.unless[keep], program.sources[keep], program.context)


@compiled
def _tabulate_site(
    program: Program, reference: Program, site: int, entries: Any, members: Any, requests: Any, costs: Any, commits: Commits
) -> None:
    """Fill the site's part of `commits`."""
    target, weights = members[0], (VALUES + 1) ** np.arange(members.size)
    patch, serial, entry = np.empty((3, entries.shape[1]), dtype=np.int32)
    asked, unused = np.empty((2, entries.shape[1]), dtype=np.bool_)
    right = np.empty((len(entries), len(requests)), dtype=np.int32)  # what the reference leaves in the field
    for current in range(len(entries)):
        for number in range(len(requests)):
            evaluate(reference, site, entries[current], entries[current], requests[number], patch, unused)
            merge(entries[current], patch, entry)
            right[current, number] = entry[target]
    for snapshot in range(len(entries)):
        for current in range(len(entries)):
            stale, fresh = entries[snapshot], entries[current]
            count = 0
            for number in range(len(requests)):
                evaluate(program, site, stale, fresh, requests[number], patch, asked)
                merge(fresh, patch, entry)
                finding = NONE
                if entry[target] != right[current, number]:
                    evaluate(program, site, fresh, fresh, requests[number], serial, unused)
                    kind = classify(stale[target], fresh[target], entry[target], asked[target])
                    finding = 1 + 2 * kind + needs_race(right[current, number], fresh[target], serial[target])
                code = 0
                for place in range(members.size):
                    code += entry[members[place]] * weights[place]
                for choice in range(count):
                    same = commits.entry[site, snapshot, current, choice] == code
                    if same and commits.finding[site, snapshot, current, choice] == finding:
                        break
                else:
                    commits.entry[site, snapshot, current, count] = code
                    commits.finding[site, snapshot, current, count] = finding
                    commits.request[site, snapshot, current, count] = number
                    commits.cost[site, snapshot, current, count] = costs[number]
                    count += 1
