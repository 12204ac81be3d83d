"""A strategy's rules beside the reference's, field by field, in the form in which `replay` runs them.

What a rule means is said by `evaluator.evaluate`. Here the delivery context is written out, so that a rule is one chain of
plain sources, and two questions are answered once that replay would have to ask for every transaction: which stale fields a
rule looks at, and whether it is *faithful*, that is, writes what the reference writes whenever the snapshot is up to date.
"""

import functools
import itertools
import operator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlib.case.rules import (
    BANK,
    DEFINED,
    EFFECTIVE_FRESH,
    EFFECTIVE_STALE,
    EFFECTIVE_STALE_ALONE,
    FRESH,
    LITERAL,
    NO_SOURCE,
    REQUEST,
    REQUESTED,
    STALE,
    Context,
    Program,
    pad,
)
from simlib.common.arrays import Ints

STRATEGY, REFERENCE = 0, 1
NO_RULE = -1
NO_KEY = BANK - 1
SET_BITS = 62
ALWAYS = 1 << SET_BITS
EVERYTHING = -1


class Pairs(NamedTuple):
    """For each site, each field that the strategy or the reference has a rule for, ascending: pair p is two rules.

    Sources are packed as in `Program`, but without a delivery context: EFFECTIVE_STALE and EFFECTIVE_FRESH stand for a request
    key that counts if there is no conflict with that entry. Rows are padded with NO_SOURCE. Axes of length two are STRATEGY
    and REFERENCE. A set of fields or request keys is a mask of SET_BITS bits; those that share a bit make it larger than meant,
    never smaller, which costs a look and changes nothing.

    Attributes:
        first: (sites + 1,) pairs of site s are `first[s]` to `first[s + 1] - 1`.
        field: (pairs,).
        when: (pairs, 2) NO_RULE where that side has none.
        value: (pairs, 2, sources) the sources of the value, in order of preference.
        unless: (pairs, 2, sources) those of the condition.
        faithful: (pairs,) whether both sides write the same when the snapshot is up to date.
        reads: (pairs,) the stale fields that the strategy looks at, as a set.
        watches: (sites,) the stale fields of which one must differ for the site to change anything, as a set; EVERYTHING if the
            site may do so anyway.
        wants: (pairs,) the request keys of which one must be named for a faithful pair to change anything, as a set; ALWAYS is
            in it if it may do so anyway, or is not faithful.
        keeps: (pairs,) a faithful pair changes nothing if this is set and the field is defined.
        conflict_entry, conflict_request: as in `Context`.
    """

    first: Ints
    field: Ints
    when: Ints
    value: Ints
    unless: Ints
    faithful: NDArray[np.bool_]
    reads: Ints
    watches: Ints
    wants: Ints
    keeps: NDArray[np.bool_]
    conflict_entry: Ints
    conflict_request: Ints


class _Flat(NamedTuple):
    """A rule without a delivery context."""

    when: int = NO_RULE
    value: tuple[int, ...] = ()
    unless: tuple[int, ...] = ()


def pair_up(program: Program, reference: Program) -> Pairs:
    """The pairs of one strategy."""
    field, sides, first = [], [], [0]
    for site in range(program.first.size - 1):
        ours, theirs = _flat_rules(program, site), _flat_rules(reference, site)
        for number in sorted(ours.keys() | theirs.keys()):
            field.append(number)
            sides.append((ours.get(number, _Flat()), theirs.get(number, _Flat())))
        first.append(len(field))
    faithful = [
        _on_fresh(ours, number) == _on_fresh(theirs, number) for number, (ours, theirs) in zip(field, sides, strict=True)
    ]
    reads = [_stale_fields(ours, program.context) for ours, _ in sides]
    always = [not same or theirs.when != NO_RULE for same, (_, theirs) in zip(faithful, sides, strict=True)]
    wants = [
        _wanted(theirs, number) if same else ALWAYS for same, number, (_, theirs) in zip(faithful, field, sides, strict=True)
    ]
    keeps = [
        not theirs.unless and theirs.value[:1] == (FRESH * BANK + number,)
        for number, (_, theirs) in zip(field, sides, strict=True)
    ]
    return Pairs(
        first=np.array(first, dtype=np.int64),
        field=np.array(field, dtype=np.int64),
        when=np.array([[rule.when for rule in pair] for pair in sides], dtype=np.int64).reshape(-1, 2),
        value=_table([[rule.value for rule in pair] for pair in sides]),
        unless=_table([[rule.unless for rule in pair] for pair in sides]),
        faithful=np.array(faithful, dtype=np.bool_),
        reads=np.array(reads, dtype=np.int64),
        watches=np.array(
            [EVERYTHING if any(always[a:b]) else _union(reads[a:b]) for a, b in itertools.pairwise(first)], dtype=np.int64
        ),
        wants=np.array(wants, dtype=np.int64),
        keeps=np.array(keeps, dtype=np.bool_),
        conflict_entry=program.context.conflict_entry,
        conflict_request=program.context.conflict_request,
    )


def _flat_rules(program: Program, site: int) -> dict[int, _Flat]:
    def flat(sources: list[int]) -> tuple[int, ...]:
        return tuple(
            itertools.chain.from_iterable(_flat_source(source, program.context) for source in sources if source != NO_SOURCE)
        )

    return {
        int(program.field[row]): _Flat(
            int(program.when[row]), flat(program.sources[row].tolist()), flat([int(program.unless[row])])
        )
        for row in range(program.first[site], program.first[site + 1])
    }


def _flat_source(source: int, context: Context) -> list[int]:
    """What one source stands for: the entry's part of its value, then the request's."""
    bank, name = divmod(source, BANK)
    if bank not in (EFFECTIVE_STALE, EFFECTIVE_FRESH, EFFECTIVE_STALE_ALONE):
        return [source]
    entry, request = (
        [int(column) for column in table[name] if column != NO_SOURCE] for table in (context.entry, context.request)
    )
    chain = [(FRESH if bank == EFFECTIVE_FRESH else STALE) * BANK + column for column in entry]
    return chain if bank == EFFECTIVE_STALE_ALONE else chain + [bank * BANK + column for column in request or [NO_KEY]]


def _on_fresh(rule: _Flat, field: int) -> tuple[object, ...]:
    """What a rule does when stale and fresh are equal; rules that give the same here do the same.

    Writing the fresh value and leaving the field alone are the same, so a rule that may leave its field alone ends with it.
    A source that was undefined is so when it is named again.
    """
    itself = FRESH * BANK + field
    fresh_bank = {STALE: FRESH, EFFECTIVE_STALE: EFFECTIVE_FRESH}

    def on_fresh(sources: tuple[int, ...]) -> list[int]:
        return [
            fresh_bank.get(source // BANK, source // BANK) * BANK + source % BANK
            for source in sources
            if source // BANK != LITERAL
        ]

    value, unless = on_fresh(rule.value), on_fresh(rule.unless)
    if unless == [itself]:
        value, unless = [itself, *value], []
    if rule.when in (NO_RULE, DEFINED):
        value.append(itself)
    return rule.value[0] if rule.when == REQUESTED else None, unless, list(dict.fromkeys(value))


def _wanted(rule: _Flat, field: int) -> int:
    """The request keys of which one must be named for the rule to change anything, as a set."""
    if rule.when == NO_RULE:
        return 0
    itself = FRESH * BANK + field
    asked = [divmod(source, BANK) for source in rule.value if source != itself]
    if rule.when == REQUESTED:
        asked = asked[:1]
    elif rule.value[-1:] != (itself,) or any(bank not in (REQUEST, EFFECTIVE_FRESH) for bank, _ in asked):
        return ALWAYS
    return _union([1 << key % SET_BITS for _, key in asked])


def _stale_fields(rule: _Flat, context: Context) -> int:
    fields = set()
    for source in (*rule.value, *rule.unless):
        bank, index = divmod(source, BANK)
        fields |= {index} if bank == STALE else set(context.conflict_entry.tolist()) if bank == EFFECTIVE_STALE else set()
    return _union([1 << field % SET_BITS for field in fields])


def _union(sets: list[int]) -> int:
    return functools.reduce(operator.or_, sets, 0)


def _table(rows: list[list[tuple[int, ...]]]) -> Ints:
    """(pairs, 2, sources), padded with NO_SOURCE."""
    width = max((len(row) for pair in rows for row in pair), default=0) or 1
    return pad([list(row) for pair in rows for row in pair], width).reshape(-1, 2, width)
