"""A strategy's rules beside the reference's, field by field, and what replay may skip.

What a rule writes, `evaluator.written` says. Here questions are answered once that replay would have to ask for every
transaction: which stale fields a rule looks at, and whether it is *faithful*, that is, writes what the reference writes
whenever the snapshot is up to date. Skipping changes no result; a test runs every rule of every transaction and compares.
"""

import functools
import itertools
import operator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlib.case.rules import (
    DEFINED,
    EFFECTIVE_FRESH,
    EFFECTIVE_STALE,
    FRESH,
    LITERAL,
    NO_RULE,
    OVERLAY_FRESH,
    REQUEST,
    REQUESTED,
    Context,
    FlatRule,
    Program,
    Source,
    tabulate_rules,
    unpack,
)
from simlib.common.arrays import Ints

SET_BITS = 62
ALWAYS = 1 << SET_BITS
EVERYTHING = -1


class Pairs(NamedTuple):
    """For each site, each field that the strategy or the reference has a rule for, ascending: pair p is two rules.

    A set of fields or request keys is a mask of SET_BITS bits; those that share a bit make it larger than meant, never smaller,
    which costs a look and changes nothing.

    Attributes:
        strategy, reference: row p of each is one rule of pair p; `when` is NO_RULE where that side has none. Their `first` and
            `field` are equal.
        faithful: (pairs,) whether both sides write the same when the snapshot is up to date.
        reads: (pairs,) the stale fields that the strategy looks at, as a set.
        watches: (sites,) the stale fields of which one must differ for the site to change anything, as a set; EVERYTHING if the
            site may do so anyway.
        wants: (pairs,) the request keys of which one must be named for a faithful pair to change anything, as a set; ALWAYS is
            in it if it may do so anyway, or is not faithful.
        keeps: (pairs,) a faithful pair changes nothing if this is set and the field is defined.
    """

    strategy: Program
    reference: Program
    faithful: NDArray[np.bool_]
    reads: Ints
    watches: Ints
    wants: Ints
    keeps: NDArray[np.bool_]


def pair_up(ours: list[dict[int, FlatRule]], theirs: list[dict[int, FlatRule]], context: Context) -> Pairs:
    """The pairs of one strategy: its rules of each site, and the reference's."""
    nothing = FlatRule()
    sides = [
        {field: (own.get(field, nothing), serial.get(field, nothing)) for field in sorted(own.keys() | serial.keys())}
        for own, serial in zip(ours, theirs, strict=True)
    ]
    strategy, reference = (
        tabulate_rules([{field: pair[side] for field, pair in pairs.items()} for pairs in sides], context) for side in (0, 1)
    )
    pairs = [(field, *pair) for of_site in sides for field, pair in of_site.items()]
    faithful = [_on_fresh(own, field) == _on_fresh(serial, field) for field, own, serial in pairs]
    reads = [_stale_set(own, context) for _, own, _ in pairs]
    always = [not same or serial.when != NO_RULE for same, (_, _, serial) in zip(faithful, pairs, strict=True)]
    wants = [_wanted(serial, field) if same else ALWAYS for same, (field, _, serial) in zip(faithful, pairs, strict=True)]
    keeps = [not serial.unless and serial.value[:1] == (Source(FRESH, field).pack(),) for field, _, serial in pairs]
    watches = [
        EVERYTHING if any(always[first:last]) else _union(reads[first:last])
        for first, last in itertools.pairwise(strategy.first.tolist())
    ]
    return Pairs(
        strategy=strategy,
        reference=reference,
        faithful=np.array(faithful, dtype=np.bool_),
        reads=np.array(reads, dtype=np.int64),
        watches=np.array(watches, dtype=np.int64),
        wants=np.array(wants, dtype=np.int64),
        keeps=np.array(keeps, dtype=np.bool_),
    )


def _on_fresh(rule: FlatRule, field: int) -> tuple[object, ...]:
    """What a rule does when stale and fresh are equal; rules that give the same here do the same.

    Writing the fresh value and leaving the field alone are the same, so a rule that may leave its field alone ends with it, and
    one that looks at a request only where the field is named is one that overlays it. A source that was undefined is so when it
    is named again.
    """
    itself = Source(FRESH, field)

    def on_fresh(chain: tuple[int, ...]) -> list[Source]:
        return [source.on_fresh for source in map(unpack, chain) if source.bank != LITERAL]

    value, unless = on_fresh(rule.value), on_fresh(rule.unless)
    only_if = {tuple(dict.fromkeys(on_fresh(chain))) for chain in rule.only_if}
    asks = value[0] if rule.when == REQUESTED else None
    if asks and value == [asks] and asks.bank == REQUEST:
        value, asks = [Source(OVERLAY_FRESH, field, asks.number)], None
    elif asks and value == [asks] and asks.number == field:
        asks = None
    if unless == [itself]:
        value, unless = [itself, *value], []
    if rule.when in (NO_RULE, DEFINED):
        value.append(itself)
    return asks, list(dict.fromkeys(unless)), only_if, list(dict.fromkeys(value))


def _wanted(rule: FlatRule, field: int) -> int:
    """The request keys of which one must be named for the rule to change anything, as a set."""
    if rule.when == NO_RULE:
        return 0
    sources = [unpack(source) for source in rule.value]
    asked = [source for source in sources if source != Source(FRESH, field)]
    if rule.when == REQUESTED:
        asked = asked[:1]
    elif not sources or sources[-1].fields != (field,) or not all(_idle(source, field) for source in asked):
        return ALWAYS
    return _union([1 << key % SET_BITS for source in asked for key in source.keys])


def _idle(source: Source, field: int) -> bool:
    """Whether a source of a serial rule finds nothing, or the field as it is, unless the request names its key."""
    return source.bank in (REQUEST, EFFECTIVE_FRESH) or (source.bank > LITERAL and source.number == field)


def stale_fields(rule: FlatRule, context: Context) -> set[int]:
    """The fields of the snapshot that a rule looks at."""
    return {
        field
        for source in rule.sources()
        if source.looks_at_stale
        for field in (context.conflict_entry if source.bank == EFFECTIVE_STALE else source.fields)
    }


def _stale_set(rule: FlatRule, context: Context) -> int:
    return _union([1 << field % SET_BITS for field in stale_fields(rule, context)])


def _union(sets: list[int]) -> int:
    return functools.reduce(operator.or_, sets, 0)
